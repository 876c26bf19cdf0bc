"""The command line: `python -m se_viz gates | networks | train | evaluate | info`."""

import argparse
import sys
from importlib.metadata import version
from pathlib import Path

from se_viz import __version__
from se_viz.errors import SeVizError


def main(words: list[str] | None = None) -> int:
    """Run one command; return 0, or 1 if an input was left out, or 2 if nothing could be done."""
    parser = _parser()
    arguments = parser.parse_args(words)
    try:
        return arguments.command(arguments) or 0
    except SeVizError as error:
        print(f"se_viz: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="se_viz", description="See what squeeze-and-excitation gates do to an image.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    gates = commands.add_parser("gates", help="every gate of an SE network for one or more images")
    gates.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    gates.add_argument("--out", type=Path, help="file for the table: .csv, .parquet, .json or .npz")
    gates.set_defaults(command=_gates)
    commands.add_parser("networks", help="the networks that can be loaded").set_defaults(command=_networks)
    training = commands.add_parser("train", help="train an SE network from scratch")
    training.set_defaults(command=_train)
    evaluation = commands.add_parser("evaluate", help="top-1 accuracy of a network")
    evaluation.add_argument("--data", type=Path, help="folder with train and val (default: download Imagenette v2)")
    evaluation.set_defaults(command=_evaluate)
    for command in (gates, evaluation):
        command.add_argument("--network", help="name of the network (default: the first of `se_viz networks`)")
        command.add_argument("--device", help="cuda, cuda:1, cpu … (default: the best there is)")
    commands.add_parser("info", help="versions, devices and networks").set_defaults(command=_info)
    if "train" in sys.argv[1:]:
        # Only then: the recipe's arguments cost the import of PyTorch.
        from se_viz.train.command import add_arguments

        add_arguments(training)
    return parser


def _load(arguments: argparse.Namespace):
    from se_viz.networks import list_networks, load_network

    cards = list_networks()
    name = arguments.network or (cards[0].name if cards else "")
    return load_network(name, arguments.device)


def _gates(arguments: argparse.Namespace) -> int:
    from se_viz.analysis import analyse
    from se_viz.gates.tables import check_target, summarise_blocks, tabulate_gates, write_table
    from se_viz.images import open_image

    if arguments.out:
        check_target(arguments.out)
    network = _load(arguments)
    seen, left_out = {}, 0
    for path in arguments.images:
        try:
            analysis = analyse(network, open_image(path))
        except SeVizError as error:
            left_out += 1
            print(f"se_viz: {path}: {error}", file=sys.stderr)
            continue
        seen[str(path)] = analysis.records
        answer = ", ".join(f"{network.classes[index]} {share:.1%}" for index, share in analysis.top(3))
        print(f"{path}: {answer}")
        if not arguments.out:
            print(summarise_blocks(analysis.records).to_string(index=False, float_format="{:.3f}".format))
    if arguments.out and seen:
        import pandas as pd

        table = pd.concat([tabulate_gates(records, images=[name]) for name, records in seen.items()])
        write_table(table, arguments.out)
        print(f"{len(table)} gates written to {arguments.out}")
    return 2 if not seen else int(left_out > 0)


def _networks(_: argparse.Namespace) -> None:
    from se_viz.networks import list_networks

    for card in list_networks():
        print(f"{card.name:32} {card.parameters / 1e6:6.2f} M parameters  top-1 {card.top1:.2%}  {card.data}")


def _train(arguments: argparse.Namespace) -> None:
    from se_viz.train.command import run

    run(arguments)


def _evaluate(arguments: argparse.Namespace) -> None:
    from se_viz.train.data import find_data
    from se_viz.train.evaluate import evaluate_folder

    network = _load(arguments)
    top1, count = evaluate_folder(network, find_data(arguments.data))
    print(f"{network.card.name}: top-1 {top1:.2%} on {count} images at {network.card.input_size} px ({network.device})")


def _info(arguments: argparse.Namespace) -> None:
    from se_viz.runtime import available_devices, choose_device

    packages = ("torch", "torchvision", "captum", "streamlit", "plotly")
    print(f"se_viz {__version__}, Python {sys.version.split()[0]}")
    print(", ".join(f"{package} {version(package)}" for package in packages))
    print(f"devices: {', '.join(available_devices())}; used: {choose_device().reason}")
    print("networks:")
    _networks(arguments)


if __name__ == "__main__":
    sys.exit(main())
