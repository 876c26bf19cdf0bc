"""Tests of `se_viz.commands`."""
