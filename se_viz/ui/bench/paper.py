"""What the paper measured of each choice, with networks that were trained for it."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

from se_viz.ui.session import keys, link_option


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the paper."""

    title: str
    """What is chosen."""
    section: str
    """Where it stands."""
    rows: Mapping[str, tuple[str, float]]
    """For each choice its name and the top-1 error in percent."""


TABLES: Mapping[str, Table] = {
    "ratio": Table(
        "Ratio",
        "6.1",
        {
            "2": ("r = 2", 22.29),
            "4": ("r = 4", 22.25),
            "8": ("r = 8", 22.26),
            "16": ("r = 16", 22.28),
            "32": ("r = 32", 22.72),
            "": ("no block", 23.30),
        },
    ),
    "squeeze": Table(
        "Squeeze",
        "6.2 and 7.1",
        {
            "mean": ("mean", 22.28),
            "max": ("max", 22.57),
            "none": ("none", 22.93),
        },
    ),
    "excitation": Table(
        "Excitation",
        "6.3",
        {
            "sigmoid": ("sigmoid", 22.28),
            "tanh": ("tanh", 23.00),
            "relu": ("ReLU", 23.47),
        },
    ),
    "stage": Table(
        "Stages",
        "6.4",
        {
            "2": ("stage 2 alone", 23.03),
            "3": ("stage 3 alone", 23.04),
            "4": ("stage 4 alone", 22.68),
            "all": ("all stages", 22.28),
        },
    ),
    "integration": Table(
        "Integration",
        "6.5",
        {
            "SE": ("SE", 22.28),
            "SE-PRE": ("SE-PRE", 22.23),
            "SE-POST": ("SE-POST", 22.78),
            "SE-Identity": ("SE-Identity", 22.20),
            "SE_3x3": ("SE_3x3", 22.48),
        },
    ),
}
"""Top-1 errors of SE-ResNet-50 on ImageNet: Hu et al., arXiv 1709.01507, sections 6 and 7.1."""

_NO_PREDICTION = (
    "The paper trained each of its networks with the choice, so its errors do not predict what "
    "this switch does."
)


def show_paper(in_use: Mapping[str, str]) -> None:
    """Show the table of one choice; ``in_use`` has the rows to mark, by the key of their table."""
    st.markdown("##### In the paper, trained")
    titles = {key: table.title for key, table in TABLES.items()}
    link_option(keys.BENCH_TABLE, titles, "ratio")
    key = st.selectbox(
        "Choice",
        list(titles),
        format_func=titles.__getitem__,
        key=keys.BENCH_TABLE,
        persist_state="session",
    )
    table = TABLES[key]
    st.markdown(write_table(table, in_use.get(key)))
    if key == "integration":
        st.markdown(
            "Where a block stands in its unit cannot be switched without training: "
            "`insert_se(integration=...)` builds such networks to be trained."
        )
    st.caption(
        _NO_PREDICTION,
        help="Top-1 error of SE-ResNet-50 on ImageNet: Hu et al., Squeeze-and-Excitation Networks, "
        f"[arXiv 1709.01507](https://arxiv.org/abs/1709.01507), section {table.section}. In use "
        "is the choice of the open block.",
    )


def write_table(table: Table, in_use: str | None) -> str:
    """Return a table in Markdown, with the row in use marked."""
    lines = [f"| {table.title} | Top-1 error |", "| :-- | --: |"]
    for key, (name, error) in table.rows.items():
        if key == in_use:
            lines.append(f"| **▶ {name}: in use** | **{error:.2f} %** |")
        else:
            lines.append(f"| {name} | {error:.2f} % |")
    return "\n".join(lines)
