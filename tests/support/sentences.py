"""Sentences, counted as a reader counts them."""

import re

_NOT_AN_END = re.compile(r"\b(?:e\.g|i\.e|et al|vs|arXiv \d+)\.|\d\.\d|(?<=\w)\.(?=\w)|\(\W*\)")
_END = re.compile(r"[.!?…]+[)*_`\"']*(?:\s|$)")


def count_sentences(text: str) -> int:
    """Return how many sentences a text has; what stands behind the last full stop is one too.

    Full stops of numbers, abbreviations, addresses and names of files end none.
    """
    plain = re.sub(r"\]\([^)]*\)", "]", text)
    plain = _NOT_AN_END.sub("", plain)
    parts = [part for part in _END.split(plain) if re.search(r"\w", part)]
    return len(parts)
