"""Tests of `se_viz.ui`."""
