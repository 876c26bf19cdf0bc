"""Tests of `se_viz.train`."""
