"""Tests of `se_viz.attribution`."""
