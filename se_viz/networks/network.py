"""A loaded network: the model, where it comes from, and how a photo becomes its input."""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import SupportsIndex

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as transforms

from se_viz.errors import NetworkError, NoSEBlocksError
from se_viz.gates import Inspection, find_gates
from se_viz.gates.following import lend_findings
from se_viz.gates.gains import find_gains, include_gains
from se_viz.gates.places import scan_model
from se_viz.images import open_image
from se_viz.inputs import Preprocess
from se_viz.networks.admission import admit_model, check_answer, inspect_model, read_classes
from se_viz.networks.answering import admit_answer, begin, check_reading
from se_viz.networks.answers import Labels, labels_of, name_answer, probabilities_of
from se_viz.networks.card import NetworkCard
from se_viz.networks.crop import crop_image
from se_viz.networks.views import make_input, read_view
from se_viz.readings import (
    Answer,
    Answering,
    Place,
    Reader,
    Reading,
    model_inside,
    read_elsewhere,
    reader_of,
    usual_colours,
)


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A loaded network in evaluation mode, its parameters frozen."""

    model: nn.Module
    """The module itself; (batch, 3, height, width) in, or what the card's ``shape`` says; (batch,
    classes) logits out."""
    card: NetworkCard
    """Where it comes from."""
    device: torch.device
    """Where it runs."""
    way: Preprocess | None = field(default=None, repr=False)
    """What makes an input of an open file; None: a photo is scaled, cut and normalised."""
    plain: bool = field(default=False, repr=False)
    """Whether it may be without SE blocks, such as the plain twin that one with blocks is compared
    with."""
    _lack: str = field(init=False, repr=False)
    _inspection: Inspection = field(init=False, repr=False)
    _kinds: dict[str, tuple[str, type]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Check every SE block.

        Raises:
            NoSEBlocksError: the model has no SE block that can be read, and may not be ``plain``,
                or has some that cannot be read.
            NetworkError: it does not return one logit for each class.
        """
        inspection = inspect_model(self.model, self.card.shape)
        lack = "" if inspection.sites else _say_lack(self, inspection)
        check_answer(inspection.returned, self.card.title, self.classes)
        gains = find_gains(self.model, {site.block for site in inspection.sites})
        # The way to set a field of a frozen record while it is made.
        object.__setattr__(self, "_lack", lack)
        object.__setattr__(self, "_inspection", include_gains(inspection, gains))
        object.__setattr__(self, "_kinds", _kinds_of(self.model))

    @property
    def inspection(self) -> Inspection:
        """Its SE blocks, each checked in one forward pass to multiply by the gate that is read.

        Where the network multiplies once more beside a block, as norm-free ones do by 2, ranges are
        those of gate x gain.

        Raises:
            NetworkError: a block was replaced since by a module of another kind, of which this is
                not true.
        """
        kinds = _kinds_of(self.model)
        stale = [path for path, kind in self._kinds.items() if kinds.get(path) != kind]
        if stale:
            raise NetworkError(
                f"{stale[0]} of {self.card.title} is no longer the SE block that was checked: it "
                "or its gate function was replaced. Make a network of the model anew, with "
                "Network.from_model."
            )
        return self._inspection

    @property
    def lack(self) -> str:
        """Why there are no gates to see, in one sentence; empty where it has SE blocks."""
        return self._lack

    @property
    def classes(self) -> tuple[str, ...]:
        """Readable class names, in the order of the logits."""
        return self.card.classes

    def probabilities(
        self, logits: Float[Tensor, "*batch classes"]
    ) -> Float[Tensor, "*batch classes"]:
        """Return the probability of each class: softmax, or a sigmoid each for independent classes
        or one logit; a similarity or a value as it is.
        """
        card = self.card
        return probabilities_of(logits, independent=card.independent, shares=card.shares)

    def labels(self, logits: Float[Tensor, "classes"]) -> Labels:
        """Return the answer: the most probable class, or all independent ones with a probability
        of 0.5 or more.
        """
        return labels_of(logits, independent=self.card.independent, shares=self.card.shares)

    def name_answer(self, logits: Float[Tensor, "classes"]) -> str:
        """Return the answer in words: names of classes, ``no class``, or of a single logit also
        ``not malignant``; of a value its name and number.
        """
        return name_answer(logits, self.card)

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        *,
        classes: Iterable[str] | None = (),
        input_size: SupportsIndex | str | Sequence[int] = 224,
        mean: Iterable[float] | None = None,
        std: Iterable[float] | None = None,
        multi_label: bool = False,
        preprocess: Preprocess | str | None = None,
        answer: Answer = "classes",
        plain: bool = False,
    ) -> "Network":
        """Make a network of any model that takes (batch, 3, height, width), or inputs that
        ``preprocess`` makes, and returns (batch, classes) logits.

        It is the model itself, not a copy, on the device where it is; it is put into evaluation
        mode and its parameters are frozen. Without ``classes`` they are numbered. ``mean`` and
        ``std`` are by default ImageNet's.

        ``preprocess`` takes an open file, and returns one input without a batch, of the shape
        ``input_size``, e.g. (1, 64, 500) or ``"1x64x500"``. Or it is the name of a ready way:
        ``grey``, ``channels``, ``log-mel``, ``waveform``, ``array``, whose inputs are normalised
        only by ``mean`` and ``std`` that are given, a number a channel.

        Probabilities are a softmax over the classes; with ``multi_label`` each class has one of its
        own, the sigmoid of its logit. So has the class of a single logit: below 0.5 the answer is
        its negation.

        ``answer`` is for models that return no logits, and says what is read of their answer:
        ``segments``, ``boxes`` (of a detector of torchvision, or of lists of boxes, labels and
        scores), ``embedding``, ``value``. Or it is code that takes what the model returns and
        returns (batch, numbers), which are taken as they are; or a pair of both, a kind and what
        picks the mask, boxes, embedding, or with ``classes`` the logits.

        With ``plain`` the model may be without SE blocks, to be compared with one that has some:
        its answers can be read and explained, and what needs gates refuses it.

        Inputs have the model's precision, also half or double; records are float32. Of
        `nn.DataParallel` it takes the model inside.

        Raises:
            NoSEBlocksError: the model has no SE block that se_viz knows and is not to be ``plain``,
                is compiled or quantised.
            NetworkError: it does not run on one image of three colours, or does not return one
                logit for each class, but probabilities; or an argument is none.
        """
        names = read_classes(classes)
        model = admit_model(model)
        name = type(model).__name__
        if mean is None and std is None and preprocess is None:
            mean, std = usual_colours(model)
        view = read_view(input_size, mean, std, preprocess)
        admitted = admit_answer(model, view, answer, names)
        # Only now: a model that is refused stays as it was.
        model = begin(admitted.model, view.shape)
        card = NetworkCard(
            name=name,
            title=name,
            architecture=name,
            arguments={},
            classes=admitted.classes,
            answer=admitted.kind,
            **view.details,
            parameters=sum(value.numel() for value in model.parameters()),
            top1=None,
            library="own",
            multi_label=bool(multi_label) or admitted.kind == "boxes",
            **dict.fromkeys(
                ("evaluated_with", "trained_with", "data", "date", "sha256", "licence"), ""
            ),
        )
        place = next(
            (value.device for value in chain(model.parameters(), model.buffers())),
            torch.device("cpu"),
        )
        return cls(model, card, place, view.way, plain=plain)

    @property
    def reader(self) -> Reader | None:
        """What reads its answer; None where it returns logits itself."""
        return reader_of(self.model)

    def at(self, reading: Reading, beside: Image.Image | Tensor | None = None) -> "Network":
        """Return the same network with its answer read at another place.

        It shares modules and weights. ``beside`` is the second image of an embedding, as the square
        that the network sees or as its input, and runs once. To be asked by who has the turn on the
        device.

        Raises:
            NetworkError: its answer has no places, or no second image.
        """
        check_reading(reading, self.card, has_beside=beside is not None)
        if not isinstance(self.model, Answering) or reading == Reading():
            return self
        if isinstance(beside, Image.Image):
            beside = self.preprocess(beside, whole=True)
        sibling = copy(self)
        # The blocks are checked already, and the same.
        model = read_elsewhere(self.model, reading, beside)
        lend_findings(self.model, model)
        object.__setattr__(sibling, "model", model)
        return sibling

    def find_places(self, inputs: Float[Tensor, "1 channels *sides"]) -> tuple[Place, ...]:
        """Return what it finds in an image, where its answer may be read: boxes, or areas of
        classes.

        The strongest or largest first; nothing where its answer is of the whole image. To be asked
        by who has the turn on the device.
        """
        return self.reader.find(model_inside(self.model), inputs) if self.reader else ()

    @property
    def sees_photos(self) -> bool:
        """Whether its inputs are photos in three colours."""
        return self.way is None

    def prepare(
        self, source: bytes | Path | str, *, confined: bool = False
    ) -> Float[Tensor, "1 channels *sides"]:
        """Turn a file, or its bytes, into the network's input: a photo, or what its way reads.

        On its device, in its precision. With ``confined`` sound and arrays, too, are read in a
        child process with limits, as photos always are: for files of strangers.

        Raises:
            ImageError: the file is no photo that can be read.
            InputError: the file cannot be read, or becomes no input of the network's shape.
            NetworkError: code of one's own that reads it fails.
        """
        if self.way is None:
            return self.preprocess(open_image(source))
        inputs = make_input(self.way, source, self.card, confined=confined)
        return inputs[None].to(self.device, self.precision)

    @property
    def precision(self) -> torch.dtype:
        """The precision of its input: that of its first weights."""
        values = chain(self.model.parameters(), self.model.buffers())
        return next((value.dtype for value in values if value.is_floating_point()), torch.float32)

    def crop(self, image: Image.Image) -> Image.Image:
        """Return the square that the network sees, in pixels of its input.

        Raises:
            NetworkError: it sees no photos.
        """
        self._check_photos()
        return crop_image(image, self.card.view)

    def preprocess(
        self, image: Image.Image, *, whole: bool = False
    ) -> Float[Tensor, "1 3 height width"]:
        """Turn an RGB image into the network's input: scaled, cut, normalised.

        On its device, in its precision.

        As the source of the weights does, for an image of any size. With ``whole`` the image is
        taken whole, neither scaled nor cut: for a square that `crop` returned, or that was cut out
        before.

        Raises:
            NetworkError: an image that is taken whole is not of the network's size.
        """
        self._check_photos()
        side = self.card.input_size
        if whole and image.size != (side, side):
            raise NetworkError(
                f"The image is {image.width} x {image.height} pixels, and {self.card.title} sees "
                f"{side} x {side}: it cannot be taken whole. Cut it out with `Network.crop`, or "
                "leave `whole` out."
            )
        square = image if whole else self.crop(image)
        pixels = transforms.to_dtype(transforms.pil_to_tensor(square), torch.float32, scale=True)
        inputs = transforms.normalize(pixels, list(self.card.mean), list(self.card.std))[None]
        return inputs.to(self.device, self.precision)

    def see(self, source: bytes | Path | str) -> Image.Image | Float[Tensor, "1 channels *sides"]:
        """Return what the network looks at of a file, or of its bytes, for `take`: the square of a
        photo, or the input that `prepare` makes.

        Raises:
            ImageError, InputError, NetworkError: as `prepare`.
        """
        return self.crop(open_image(source)) if self.sees_photos else self.prepare(source)

    def take(
        self, seen: Image.Image | Tensor, *, whole: bool = False
    ) -> Float[Tensor, "1 channels *sides"]:
        """Return the input of an image, see `preprocess`, or an input that `prepare` has made, on
        the network's device and in its precision.

        Raises:
            NetworkError: an image of another size is taken whole, or of a network that sees no
                photos; or the input has another shape than the network's.
        """
        if not isinstance(seen, Tensor):
            return self.preprocess(seen, whole=whole)
        if tuple(seen.shape) != (1, *self.card.shape):
            raise NetworkError(
                f"The input has the shape {tuple(seen.shape)}, and {self.card.title} takes "
                f"{(1, *self.card.shape)}. Make it with `Network.prepare`."
            )
        return seen.to(self.device, self.precision)

    def _check_photos(self) -> None:
        if self.way is not None:
            raise NetworkError(
                f"{self.card.title} sees no photos: {self.card.preprocess} makes its inputs, of "
                f"the shape {'x'.join(map(str, self.card.shape))}. Give it a file with `se_viz "
                "gates FILE`, or in Python with `Network.prepare`."
            )


def _say_lack(network: Network, inspection: Inspection) -> str:
    """Return why a network without SE blocks shows no gates.

    Raises:
        SeVizError: the same, where it has to have some, or where those that it has cannot be read.
    """
    try:
        find_gates(network.model, size=network.card.shape)
    except NoSEBlocksError as error:
        if network.plain and not inspection.refused:
            return str(error)
        raise
    return ""


def _kinds_of(model: nn.Module) -> dict[str, tuple[str, type]]:
    """Return for the path of each SE block how it is written, and what makes its gate."""
    return {
        place.path: (place.row.form, type(place.gate))
        for place in scan_model(model).blocks.values()
    }
