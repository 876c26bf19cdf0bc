"""Two networks before one image: which classes both know, and their answers and gates as tables."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from se_viz.experiments.analysis import Analysis
from se_viz.gates.records import GateRecord
from se_viz.gates.tables import summarise_blocks
from se_viz.networks.labels import numbered_classes


def match_classes(first: Sequence[str], second: Sequence[str]) -> dict[int, int]:
    """Return the index of each class that both lists have, and its index in the second.

    Equal lists match throughout. Otherwise names match letter for letter, where no list has them
    twice; numbers that stand for unknown names match nothing.
    """
    if tuple(first) == tuple(second):
        return {index: index for index in range(len(first))}
    if any(tuple(names) == numbered_classes(len(names)) for names in (first, second)):
        return {}
    often = {name for names in (first, second) for name, n in Counter(names).items() if n > 1}
    places = {name: index for index, name in enumerate(second) if name not in often}
    return {index: places[name] for index, name in enumerate(first) if name in places}


def pair_answers(
    first: Analysis,
    second: Analysis,
    classes: Sequence[str],
    matches: Mapping[int, int],
    *,
    count: int = 5,
) -> pd.DataFrame:
    """Return one row a class that both networks know and that is among the ``count`` best of
    either: name and both probabilities.

    ``classes`` are the first network's, ``matches`` of `match_classes`. The first network's best
    come first.
    """
    own = [*matches]
    numbers = [
        first.probabilities[own].numpy(),
        second.probabilities[[matches[index] for index in own]].numpy(),
    ]
    best = [np.argsort(-values, kind="stable")[:count].tolist() for values in numbers]
    rows = [*dict.fromkeys(best[0] + best[1])]
    return pd.DataFrame(
        {
            "class": [classes[own[row]] for row in rows],
            "first": numbers[0][rows],
            "second": numbers[1][rows],
        }
    )


def tabulate_depth(records: Sequence[GateRecord]) -> pd.DataFrame:
    """Return one row a block, as `summarise_blocks` does, with its ``depth``: 0 for the first block
    and 100 for the last one, whatever their number.
    """
    table = summarise_blocks(records)
    places = np.linspace(0.0, 100.0, len(table)) if len(table) > 1 else np.full(len(table), 50.0)
    return table.assign(depth=places)
