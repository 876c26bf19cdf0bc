"""Bundles made and run again: one pass alone for gates and logits, then each map."""

import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from se_viz import __version__
from se_viz.attribution.pixels import attribute
from se_viz.devices import Report, Watch, available_devices
from se_viz.errors import BundleError
from se_viz.experiments import analyse_together
from se_viz.files import read_file
from se_viz.gates import edit_gates
from se_viz.gates.surgery import GateEdit, compile_edits
from se_viz.images import MAX_BYTES
from se_viz.networks import Network
from se_viz.networks.loading import load_listed
from se_viz.networks.weights import hash_weights
from se_viz.replay.comparison import TOLERANCE, Replayed, compare
from se_viz.replay.files import read_bundle
from se_viz.replay.records import Answers, Bundle, MapSettings, Settings

_PACKAGES = ("torch", "torchvision", "captum", "numpy", "pillow", "timm")


def make_bundle(
    network: Network,
    photo: bytes | Path | str,
    *,
    maps: Sequence[MapSettings] = (),
    edits: Sequence[GateEdit] = (),
    block: str | None = None,
    channel: int | None = None,
    with_photo: bool = False,
    name: str = "",
) -> Bundle:
    """Compute gates, logits and maps of a photo, with all that it takes to do so again.

    The photo's file goes along only ``with_photo``; without it whoever runs the bundle again has to
    have it. ``block`` and ``channel`` are notes of what was looked at.

    Raises:
        ImageError: the photo cannot be used.
        AttributionError: a map cannot be made.
        EditError: an edit does not fit the network.
    """
    content = photo if isinstance(photo, bytes) else _read_photo(Path(photo))
    settings = Settings(
        network=network.card.name,
        weights="",
        photo=hashlib.sha256(content).hexdigest(),
        name=name or ("" if isinstance(photo, bytes) else Path(photo).name),
        maps=tuple(maps),
        edits=tuple(edits),
        block=block,
        channel=channel,
    )
    bundle = run_settings(network, network.see(content), settings)
    return replace(bundle, content=content if with_photo else None)


def run_settings(
    network: Network,
    square: Image.Image | Tensor,
    settings: Settings,
    *,
    watch: Watch = lambda _: None,
    report: Report = lambda *_: None,
) -> Bundle:
    """Compute what settings ask for, and return it with where that was; without the photo's file.

    ``square`` is the photo as `Network.crop` cuts it, or an input that `Network.prepare` made. The
    pass runs alone: in one with other images, last digits would differ.

    Raises:
        AttributionError: a map cannot be made.
        EditError: an edit does not fit the network.
    """
    (analysis,) = analyse_together(network, [square], edits=settings.edits, whole=True, watch=watch)
    inputs = network.take(square, whole=True)
    changes = compile_edits(settings.edits, network.inspection.sites)
    maps = []
    with edit_gates(network.model, changes):
        for asked in settings.maps:
            attribution = attribute(
                network,
                inputs,
                asked.target,
                asked.method,
                against=asked.against,
                baseline=asked.baseline,
                stage=asked.stage,
                watch=watch,
                report=report,
                **dict(asked.options),
            )
            maps.append(attribution.map.numpy())
    gates = {record.name: record.gate[0].numpy() for record in analysis.records}
    return Bundle(describe(network, settings), Answers(gates, analysis.logits.numpy(), tuple(maps)))


def describe(network: Network, settings: Settings) -> Settings:
    """Return settings with what is so here: the network's weights, device, precision, versions."""
    return replace(
        settings,
        weights=hash_weights(network.model),
        classes=tuple(network.classes[asked.target] for asked in settings.maps),
        device=str(network.device),
        precision=str(network.precision).removeprefix("torch."),
        versions=tuple(_versions()),
        machine=f"{platform.system()} {platform.machine()}",
    )


def replay(
    source: Path | str | bytes | Bundle,
    *,
    photo: bytes | Path | str | None = None,
    network: Network | None = None,
    device: str | None = None,
    folder: Path | None = None,
    tolerance: float = TOLERANCE,
) -> Replayed:
    """Run a bundle again, and compare what comes out.

    ``photo`` is needed where the bundle does not hold it. Without a ``network`` the one of the
    bundle's name is loaded, from ``folder`` if that is given, to the device of the bundle where
    there is one of that name here.

    Raises:
        BundleError: the bundle cannot be read, or photo or weights are others.
        NetworkError: there is no network of this name.
    """
    bundle = source if isinstance(source, Bundle) else read_bundle(source)
    content = _photo_of(bundle, photo)
    if network is None:
        usual = bundle.settings.device if bundle.settings.device in available_devices() else None
        # Never what the name itself says: a stranger wrote it.
        network = load_listed(bundle.settings.network, device or usual, folder=folder)
    check_weights(bundle.settings, hash_weights(network.model), network.card.title)
    again = run_settings(network, network.see(content), bundle.settings)
    return compare_bundles(bundle, again, tolerance=tolerance)


def compare_bundles(bundle: Bundle, again: Bundle, *, tolerance: float = TOLERANCE) -> Replayed:
    """Compare a bundle with the one that its settings gave here.

    Raises:
        BundleError: the weights are others.
    """
    check_weights(bundle.settings, again.settings.weights, again.settings.network)
    differences = compare(bundle.settings, bundle.answers, again.answers)
    return Replayed(differences, tuple(_changes(bundle.settings, again.settings)), tolerance)


def check_weights(settings: Settings, weights: str, title: str) -> None:
    """Check that a network has the weights of a bundle.

    Raises:
        BundleError: it has others.
    """
    if weights != settings.weights:
        raise BundleError(
            f"{title} has other weights here ({weights[:12]}…) than where the bundle was made "
            f"({settings.weights[:12]}…). Load the weights that it was made with."
        )


def check_photo(settings: Settings, content: bytes) -> None:
    """Check that a file is the photo of a bundle.

    Raises:
        BundleError: it is another one.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest != settings.photo:
        raise BundleError(
            f"This is another photo ({digest[:12]}…) than that of the bundle "
            f"({settings.photo[:12]}…, {settings.name or 'without a name'}). Give the very file."
        )


def _photo_of(bundle: Bundle, photo: bytes | Path | str | None) -> bytes:
    if photo is None:
        content = bundle.content
    else:
        content = photo if isinstance(photo, bytes) else _read_photo(Path(photo))
    if content is None:
        raise BundleError(
            f"The bundle does not hold its photo ({bundle.settings.name or 'without a name'}). "
            "Give the file with --photo, or in Python as photo=."
        )
    check_photo(bundle.settings, content)
    return content


def _read_photo(path: Path) -> bytes:
    try:
        return read_file(path, MAX_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BundleError(f"{path} cannot be read: {reason}. Check the name.") from error


def _versions() -> Iterator[tuple[str, str]]:
    yield "se_viz", __version__
    yield "python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _changes(before: Settings, here: Settings) -> Iterator[str]:
    """Yield what is another one here, in words."""
    pairs: list[tuple[str, Any, Any]] = [
        (what, getattr(before, what), getattr(here, what))
        for what in ("device", "precision", "machine")
    ]
    versions = dict(here.versions)
    pairs += [(name, value, versions.get(name, "none")) for name, value in before.versions]
    for what, first, second in pairs:
        if first != second:
            yield f"{what} {first}, here {second}"
