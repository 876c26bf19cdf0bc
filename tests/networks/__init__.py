"""Tests of `se_viz.networks`."""
