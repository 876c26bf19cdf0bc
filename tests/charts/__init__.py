"""Tests of `se_viz.charts`."""
