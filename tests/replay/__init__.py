"""Tests of `se_viz.replay`."""
