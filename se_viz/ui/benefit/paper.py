"""What the paper reports: its Table 2, as numbers."""

import pandas as pd
import streamlit as st

_ROWS = (
    ("ResNet-50", 24.80, 7.48, 23.29, 6.62),
    ("ResNet-101", 23.17, 6.52, 22.38, 6.07),
    ("ResNeXt-50", 22.11, 5.90, 21.10, 5.49),
    ("VGG-16 with norms", 27.02, 8.81, 25.22, 7.70),
    ("BN-Inception", 25.38, 7.89, 24.23, 7.14),
    ("Inception-ResNet-v2", 20.37, 5.21, 19.80, 4.79),
    ("MobileNet", 28.4, 9.4, 25.3, 7.7),
    ("ShuffleNet", 32.6, 12.5, 31.0, 11.1),
)
"""Network, then top-1 and top-5 error as the authors trained it without SE, and with."""


def tabulate_paper() -> pd.DataFrame:
    """Return the table, with the difference that SE makes."""
    table = pd.DataFrame(_ROWS, columns=["network", "top1", "top5", "se_top1", "se_top5"])
    table["gain"] = table["top1"] - table["se_top1"]
    return table


def show_paper() -> None:
    """Show the table, and what it is of."""
    error = st.column_config.NumberColumn
    st.dataframe(
        tabulate_paper(),
        hide_index=True,
        column_config={
            "network": st.column_config.TextColumn("Network", pinned=True),
            "top1": error("Top-1 error", format="%.2f%%"),
            "top5": error("Top-5 error", format="%.2f%%"),
            "se_top1": error("With SE, top-1", format="%.2f%%"),
            "se_top5": error("With SE, top-5", format="%.2f%%"),
            "gain": error("Gain, points", format="%.2f"),
        },
    )
    st.caption(
        "ImageNet's validation images (Hu et al., arXiv 1709.01507, Tables 2 and 3). SE makes "
        "ResNet-50 right 1.51 points more often, for 3.87 GFLOPs in place of 3.86.",
        help="Both columns are networks that the authors trained themselves; those without SE come "
        "out a little better than in the papers that they are from. FLOPs are multiply-adds there.",
    )
