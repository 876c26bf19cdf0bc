"""Measurements of time and memory; each prints a table and the machine, and no test asserts a number."""
