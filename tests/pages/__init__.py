"""Tests of whole pages, without a browser."""
