"""Tests of `se_viz.engine`."""
