"""`counterfactuals`: does it matter what the gates do?"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from se_viz.commands.inputs import load, write
from se_viz.commands.progress import end, whole, work_on
from se_viz.errors import CheckpointError, SeVizError
from se_viz.experiments import (
    Counterfactual,
    Replacement,
    Seen,
    choose_lenders,
    describe_many,
    see_image,
    summarise_counterfactuals,
    survey_image,
    tabulate_counterfactuals,
)
from se_viz.images import find_images
from se_viz.names import name_path, show_path, show_text
from se_viz.networks import Network
from se_viz.networks.lenders import Lender, read_lenders
from se_viz.readings import KINDS
from se_viz.terminal import complain


def counterfactuals(arguments: argparse.Namespace) -> int:
    """Show or write what replaced gates do to each image's answer.

    Return 1 if one was left out, 2 if all were.
    """
    questions = [
        Replacement(kind, arguments.scope, arguments.repeats, arguments.seed)
        for kind in dict.fromkeys(arguments.kinds)
    ]
    network = load(arguments)
    images, left_out = _see_all(network, arguments.images)
    missing = arguments.missing + left_out
    if not images:
        return 2
    gallery = _gather_lenders(network, images, arguments)
    results: dict[Seen, Sequence[Counterfactual]] = {}
    with work_on(images) as work:
        for image in images:
            lenders = choose_lenders(image.digest, gallery, arguments.lenders)
            answers = survey_image(network, image, lenders, questions)
            with whole():
                results[image] = answers
                work.finish()
    if results:
        _tell(network, results, arguments)
    return end(work, missing, files="the numbers are of")


def _see_all(network: Network, paths: Sequence[Path]) -> tuple[list[Seen], int]:
    """Return the images with their gates, and how many were left out."""
    images = list[Seen]()
    with work_on(paths) as work:
        for path in paths:
            try:
                images.append(see_image(network, path))
            except SeVizError as error:
                work.leave_out(path, error)
            else:
                work.finish()
    if work.stopped:
        # Each image lends its gates to all others: none has an answer before all were seen.
        raise KeyboardInterrupt
    return images, work.left_out


def _gather_lenders(
    network: Network, images: Sequence[Seen], arguments: argparse.Namespace
) -> list[Lender]:
    """Return the images; where they are too few, those that come with the network too, and the
    samples.
    """
    gallery = [image.lender for image in images]
    if len(gallery) <= arguments.lenders:
        try:
            gallery += read_lenders(network.card, network.inspection.sites, arguments.checkpoints)
        except CheckpointError as error:
            complain(f"{error} Without it, fewer images lend their gates.")
    if len(gallery) <= arguments.lenders and network.sees_photos:
        gallery += [see_image(network, path).lender for path in find_images([])]
    return gallery


def _tell(
    network: Network,
    results: Mapping[Seen, Sequence[Counterfactual]],
    arguments: argparse.Namespace,
) -> None:
    tables = [
        tabulate_counterfactuals(answers, network.classes).assign(image=name_path(image.path))
        for image, answers in results.items()
    ]
    table = pd.concat(tables, ignore_index=True)
    table.insert(0, "image", table.pop("image"))
    summary = summarise_counterfactuals(table)
    print(summary.drop(columns="path").to_string(index=False, float_format="{:.4f}".format))
    for line in describe_many([*results.values()], network.classes):
        print(show_text(line))
    if arguments.out:
        write(table, arguments.out, "counterfactuals")
    if arguments.plot:
        # Here, so that other commands do not wait for Plotly.
        from se_viz.charts import LIGHT, draw_counterfactuals, save_figure

        card = network.card
        value = "" if card.shares else KINDS[card.answer].number
        figure = draw_counterfactuals(summary, LIGHT, dots=table, value=value)
        save_figure(figure, arguments.plot)
        print(f"The plot over depth is written to {show_path(arguments.plot)}")
