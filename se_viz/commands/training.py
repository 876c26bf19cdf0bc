"""`train` and `evaluate`: a network made from images, and how often it is right."""

import argparse

from se_viz.commands.inputs import load


def train(arguments: argparse.Namespace) -> int:
    """Train a network, or go on with a run."""
    if arguments.all:
        from se_viz.train.trials import run
    elif arguments.recipe:
        from se_viz.train.thousand import run
    else:
        from se_viz.train.command import run

    run(arguments)
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Print the top-1 accuracy of a network."""
    from se_viz.train.data import find_data
    from se_viz.train.evaluate import evaluate_folder
    from se_viz.train.options import LIST

    network = load(arguments, photos=True)
    folder = arguments.data
    if folder is None or not (folder / LIST).is_file():
        folder = find_data(folder)
    top1, count = evaluate_folder(network, folder)
    print(
        f"{network.card.name}: top-1 {top1:.2%} on {count} images at {network.card.input_size} px "
        f"({network.device})"
    )
    return 0
