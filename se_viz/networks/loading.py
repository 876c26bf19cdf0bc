"""Loading a network by its name."""

from dataclasses import replace
from pathlib import Path

from se_viz.devices import choose_device
from se_viz.networks import downloads
from se_viz.networks.architectures import build, build_trained
from se_viz.networks.cache import own_folder
from se_viz.networks.labels import imagenet_classes
from se_viz.networks.network import Network
from se_viz.networks.weights import read_weights
from se_viz.networks.zoo import OWN, find_card, find_file


def load_network(
    name: str, device: str | None = None, *, folder: Path | None = None, download: bool = False
) -> Network:
    """Load a network by name, or one of ``folder``, to a device (default: the best there is).

    A network of the zoo that is not on this disk is fetched only with ``download=True``.

    Raises:
        NetworkError: there is no network of this name, or the library that builds it is not
            installed.
        DownloadError: its weights are not on this disk, or could not be fetched.
        CheckpointError: its weights are missing, damaged or do not fit.
        DeviceError: the device is not on this machine.
    """
    card = find_card(name, folder)
    place = choose_device(device).device
    if card.source:
        path = downloads.download(card) if download else find_file(card)
        card = replace(card, classes=card.classes or imagenet_classes(card.num_classes))
        model = build_trained(card, path)
    else:
        model = build(card, num_classes=len(card.classes))
        own = folder is None and card.name.startswith(OWN)
        file = replace(card, name=card.name.removeprefix(OWN)) if own else card
        read_weights(model, file, own_folder() if own else folder)
    return Network(model.eval().requires_grad_(False).to(place), card, place)
