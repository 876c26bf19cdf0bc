"""Loading a network by its name, or by what makes it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from se_viz.devices import choose_device
from se_viz.errors import NetworkError
from se_viz.networks import downloads
from se_viz.networks.architectures import build, build_trained
from se_viz.networks.cache import own_folder
from se_viz.networks.checkpoints import FOLDER
from se_viz.networks.given import find_source
from se_viz.networks.labels import imagenet_classes
from se_viz.networks.making import make_network
from se_viz.networks.network import Network
from se_viz.networks.onnx.loading import LIBRARY, build_onnx
from se_viz.networks.sources import Form, form_of, make_source, read_input
from se_viz.networks.views import way_of
from se_viz.networks.weights import read_weights
from se_viz.networks.zoo import OWN, find_card, find_file


def load_network(
    name: str,
    device: str | None = None,
    *,
    folder: Path | None = None,
    download: bool = False,
    config: Path | str | None = None,
    weights: Path | str | None = None,
    labels: Path | str | Sequence[str] | None = None,
    input: int | str | Sequence[int] | None = None,
    multi_label: bool = False,
    preprocess: str = "",
    answer: str = "",
    plain: bool = False,
) -> Network:
    """Load a network by name, or one of ``folder``, to a device (default: the best there is).

    ``name`` may also be code of one's own, which is imported and called without arguments:
    ``file.py:callable`` or ``package.module:callable``, whose callable returns an `nn.Module` or a
    `Network`, or which is one itself. Of that alone ``weights`` are a file of weights to fill in,
    ``labels`` names of the classes or a file of them, ``input`` the side of an RGB square or its
    whole shape, such as ``"3x224x224"``, and ``preprocess`` what makes an input of a file that is
    no photo, see `Network.from_model`; also code, ``file.py:callable``. So is ``answer``, what is
    read of an answer that is no logits: ``segments``, ``boxes``, ``embedding``, ``value``, code, or
    both as ``segments=file.py:callable``.

    A network of the zoo that is not on this disk is fetched only with ``download=True``. ``config``
    is a file that lists networks of one's own (default: ``se_viz.toml`` in the working directory).
    With ``plain`` the network may be without SE blocks, to be compared with one that has some, see
    `Network.from_model`.

    Raises:
        NetworkError: there is no network of this name, the library that builds it is not
            installed, or the code that makes it fails.
        DownloadError: its weights are not on this disk, or could not be fetched.
        CheckpointError: its weights are missing, damaged or do not fit.
        DeviceError: the device is not on this machine.
    """
    if form_of(name) is Form.LISTED:
        if weights or labels or input or multi_label or preprocess or answer:
            raise NetworkError(
                f"{name} is a listed network, with weights and classes of its own. Give these for "
                "code of your own, file.py:callable, or read your weights by `read_own`."
            )
        return load_listed(
            name, device, folder=folder, download=download, config=config, plain=plain
        )
    names = () if labels is None or isinstance(labels, (str, Path)) else tuple(labels)
    source = make_source(
        name,
        weights=str(weights or ""),
        labels="" if names else str(labels or ""),
        input=() if input is None else read_input(input),
        multi_label=multi_label,
        preprocess=preprocess,
        answer=answer,
    )
    return make_network(source, device, classes=names, plain=plain)


def load_listed(
    name: str,
    device: str | None = None,
    *,
    folder: Path | None = None,
    download: bool = False,
    config: Path | str | None = None,
    plain: bool = False,
) -> Network:
    """Load a network that `list_networks` has; see `load_network`.

    Nothing that the name says is run: it may come from a browser or from a file. Code of one's own
    is run for a name that whoever runs the program has given to it.

    Raises:
        SeVizError: as `load_network`.
    """
    source = None if folder else find_source(name, config)
    if source:
        return make_network(source, device, plain=plain)
    card = find_card(name, folder, config=config)
    place = choose_device(device).device
    own = folder is None and card.name.startswith(OWN)
    holder = own_folder() if own else folder
    file = replace(card, name=card.name.removeprefix(OWN)) if own else card
    if card.source:
        path = downloads.download(card) if download else find_file(card)
        card = replace(card, classes=card.classes or imagenet_classes(card.num_classes))
        model = build_trained(card, path)
    elif card.library == LIBRARY:
        model = build_onnx(file, holder or FOLDER)
    else:
        model = build(card, num_classes=len(card.classes))
        read_weights(model, file, holder)
    model = model.eval().requires_grad_(False).to(place)
    return Network(model, card, place, way_of(card), plain=plain)
