"""Measurements of time and memory.

Each prints a table and the machine, and no test asserts a number.
"""
