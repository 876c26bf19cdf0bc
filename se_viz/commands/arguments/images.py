"""The arguments of commands that look at images, or judge methods and networks by them."""

from argparse import ArgumentParser, ArgumentTypeError

from se_viz.commands.arguments.words import IMAGES, PLOT, TABLE, read_share
from se_viz.errors import NetworkError
from se_viz.readings import Region, read_region
from se_viz.train.options import read_count, read_path, read_seed

_STATUS = (
    "Exit status: 0; 1 if an image was left out, and named; 2 if nothing could be done. "
    "Tables and plots are written beside their place and renamed: a command that ends "
    "early leaves the older file."
)


def add_gates(command: ArgumentParser) -> None:
    """Add images, and where their gates are written."""
    command.epilog = _STATUS
    command.add_argument(
        "images", nargs="+", type=read_path, metavar="IMAGE_OR_FOLDER", help=IMAGES
    )
    command.add_argument("--out", type=read_path, help=TABLE)
    _add_batch(command)


def add_health(command: ArgumentParser) -> None:
    """Add images, limits, and where the numbers are written."""
    command.epilog = _STATUS
    _add_images(command)
    command.add_argument(
        "--out", type=read_path, help="file for the numbers: .csv, .parquet, .json or .npz"
    )
    command.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="where a flag begins, e.g. constant=0.05",
    )
    _add_batch(command)


def add_counterfactuals(command: ArgumentParser) -> None:
    """Add images, and what gates are replaced by."""
    command.epilog = _STATUS
    _add_images(command)
    command.add_argument(
        "--scope",
        default="block",
        help="unit whose gates are replaced at once: block, stage, network",
    )
    kinds = ("mean", "other", "shuffle", "ones")
    command.add_argument(
        "--kinds", nargs="+", default=kinds, help=f"what by (default: {' '.join(kinds)})"
    )
    _add_place(command)
    lenders = "other images whose gates each image gets (default: 30)"
    command.add_argument("--lenders", type=read_count, default=30, help=lenders)
    command.add_argument(
        "--repeats", type=read_count, default=5, help="shuffles of each place (default: 5)"
    )
    command.add_argument(
        "--seed", type=read_seed, default=0, help="seed of the first shuffle (default: 0)"
    )
    command.add_argument("--out", type=read_path, help=TABLE)
    command.add_argument(
        "--plot",
        type=read_path,
        metavar="FILE",
        help=PLOT.format("the plot over depth"),
    )


def add_score(command: ArgumentParser) -> None:
    """Add images, and the maps that are scored."""
    command.epilog = _STATUS
    _add_images(command)
    command.add_argument(
        "--methods",
        nargs="+",
        metavar="METHOD",
        help="e.g. saliency grad_cam (default: quick ones)",
    )
    _add_target(command)
    _add_place(command)
    command.add_argument(
        "--baseline", default="mean", help="replacement of masked pixels (default: mean)"
    )
    command.add_argument(
        "--seed", type=read_seed, default=0, help="seed of random maps and squares (default: 0)"
    )
    command.add_argument("--out", type=read_path, help=TABLE)
    command.add_argument(
        "--plot",
        type=read_path,
        metavar="FILE",
        help=PLOT.format("the mean curves"),
    )


def add_attribute(command: ArgumentParser) -> None:
    """Add images, and the maps that are made of each."""
    command.epilog = _STATUS
    _add_images(command)
    command.add_argument(
        "--method",
        "--methods",
        dest="methods",
        nargs="+",
        action="extend",
        metavar="METHOD",
        help="e.g. saliency grad_cam; `se_viz methods` lists all (default: integrated_gradients)",
    )
    _add_target(command)
    _add_place(command)
    command.add_argument(
        "--baseline",
        default="mean",
        help="what the image is compared with, where a method does that (default: mean)",
    )
    command.add_argument(
        "--stage", type=read_count, help="stage that Grad-CAM and its like look at (default: last)"
    )
    command.add_argument(
        "--option",
        dest="options",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="option of the methods that have it, e.g. n_steps=64 or seed=1",
    )
    command.add_argument(
        "--out",
        type=read_path,
        required=True,
        metavar="FOLDER",
        help="folder for the maps (.npz), pictures (.png) and the table attributions.csv",
    )


def add_replay(command: ArgumentParser) -> None:
    """Add the bundle, its photo, and what counts as the same."""
    command.epilog = (
        "Exit status: 0 if gates, logits and maps are the same within the tolerance, 1 if not, 2 "
        "if the bundle could not be run. Nothing in a bundle is run but what se_viz does itself."
    )
    command.add_argument("bundle", type=read_path, metavar="BUNDLE.zip")
    command.add_argument(
        "--photo", type=read_path, metavar="FILE", help="the photo, where the bundle has it not"
    )
    command.add_argument(
        "--tolerance",
        type=read_share,
        default=1e-4,
        metavar="SHARE",
        help="largest difference that counts as the same, as a share of the largest value "
        "(default: %(default)s)",
    )


def add_methods(command: ArgumentParser) -> None:
    """Add where the table is written."""
    command.epilog = _STATUS
    command.add_argument("--out", type=read_path, help=TABLE)


def _add_batch(command: ArgumentParser) -> None:
    command.add_argument(
        "--batch",
        type=read_count,
        default=8,
        metavar="IMAGES",
        help="images a pass (default: 8); with 1 each is alone, to the last digit",
    )


def _add_target(command: ArgumentParser) -> None:
    command.add_argument(
        "--target",
        metavar="CLASS",
        help="name or number, from 0; a name comes first where both fit (default: each image's "
        "most probable class)",
    )
    command.add_argument(
        "--against", metavar="CLASS", help="explain how far the target leads this class"
    )


def _add_place(command: ArgumentParser) -> None:
    group = command.add_argument_group("where an answer is read (see --answer)")
    group.add_argument(
        "--region",
        type=_read_region,
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="rectangle whose mask or box is meant, from 0 to 1 of the square that the network "
        "sees, e.g. 0.2,0.2,0.6,0.8 (default: the whole square)",
    )
    group.add_argument(
        "--beside",
        type=read_path,
        metavar="IMAGE",
        help="second image, which an embedding is compared with",
    )


def _read_region(word: str) -> Region:
    try:
        return read_region(word)
    except NetworkError as error:
        raise ArgumentTypeError(str(error).rstrip(".")) from error


def _add_images(command: ArgumentParser) -> None:
    command.add_argument(
        "images",
        nargs="*",
        type=read_path,
        metavar="IMAGE_OR_FOLDER",
        help=f"{IMAGES} (default: the samples)",
    )


def add_evaluate(command: ArgumentParser) -> None:
    """Add the images whose classes are known."""
    command.add_argument(
        "--data",
        type=read_path,
        help="folder with train and val, or with labels.csv (default: download Imagenette v2)",
    )
