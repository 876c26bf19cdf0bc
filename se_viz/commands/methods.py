"""`methods`: every attribution method, and what each is worth on a network."""

import argparse
from textwrap import fill

from se_viz.attribution.catalogue import EXPLAINED, METHODS, NEEDS, REFUSED, tabulate_methods
from se_viz.attribution.pixels import judge_method
from se_viz.commands.inputs import load, write
from se_viz.networks import Network


def methods(arguments: argparse.Namespace) -> int:
    """List what methods explain, take and need.

    For a network that is named, also what each is worth there.
    """
    network = load(arguments) if arguments.network or arguments.weights else None
    table = tabulate_methods(shape=network.card.shape) if network else tabulate_methods()
    for explains, words in EXPLAINED.items():
        print(f"{words}\n  {'method':22} {'forward':>7} {'back':>5}  computes with")
        for row in table.loc[table["explains"] == explains].to_dict("records"):
            needs = f"; needs {row['needs']}" if row["needs"] else ""
            print(
                f"  {row['method']:22} {row['forward']:7} {row['backward']:5}  "
                f"{row['kind'].lower()}{needs}"
            )
    print("forward and back: about how many images run; needs:")
    for need, words in NEEDS.items():
        print(f"  {need}: {words}")
    if network:
        _judge(network)
    if arguments.out:
        write(table, arguments.out, "methods")
    return 0


def _judge(network: Network) -> None:
    methods_of: dict[str, list[str]] = {}
    for method in (*METHODS, *REFUSED):
        verdict = judge_method(network, method)
        words = verdict.words if verdict.runs else f"does not run here. {verdict.words}"
        methods_of.setdefault(words, []).append(method)
    print(f"\nOn {network.card.title}:")
    for words, keys in methods_of.items():
        print(fill(f"{', '.join(keys)}: {words or 'nothing to say.'}", 100, subsequent_indent="  "))
