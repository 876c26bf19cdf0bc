"""Tests of `se_viz.gates`."""
