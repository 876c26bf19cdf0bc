"""The Dockerfile, read as far as tests ask."""

import json
import re

from tests import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")


def words_of(instruction: str) -> list[str]:
    """Return the words of an instruction that is written as a JSON list."""
    (line,) = re.findall(rf"^{instruction}\b[^\[\n]*(\[.*\])$", DOCKERFILE, re.MULTILINE)
    return json.loads(line)
