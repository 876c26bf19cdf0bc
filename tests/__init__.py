"""The test suite: a folder for each package, `support` for what they share, `browser` for the
running app.
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
"""The folder of the repository."""
