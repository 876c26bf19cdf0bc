"""Captum's attribution methods, run on SE networks."""
