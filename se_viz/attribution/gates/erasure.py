"""Put a map to the test: erase what it marks, and the same shape at many other places, and read
the gate again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from statistics import mean, stdev

import torch
from jaxtyping import Bool, Float
from PIL import Image, ImageFilter
from torch import Tensor

from se_viz.attribution.passes import Slices
from se_viz.attribution.question import make_baseline
from se_viz.devices import Watch, line_of, memory_in_words
from se_viz.errors import AttributionError
from se_viz.gates.neurons import Neuron, read_neuron
from se_viz.networks import Network

FILLS = {"blur": "a blur", "mean": "the mean colour"}
"""What erased pixels are replaced by."""

REPEATS = 40
"""Places that the same shape is erased at, for comparison."""

LEAST = {"gate": 0.02, "logit": 0.1}
"""Of less than this no word is said: neither of what a map shares out, nor of what erasing does."""

CHANCE = 0.05
"""Highest chance of a map that knows nothing at which a word is said."""

_BLUR = 16
# Places lie an eighth of a photo's side apart: a shape that hardly moved would be compared with
# itself.
_PLACES = 64


@dataclass(frozen=True, slots=True)
class Erasure:
    """One gate, or its pre-sigmoid value, before and after a region of the photo was erased."""

    picture: Image.Image | Tensor
    """The photo without the region, exactly as the network saw it; or such an input."""
    share: float
    """Share of the photo that was erased, 0 to 1."""
    before: float
    """Value for the photo as it is."""
    after: float
    """Value without the region."""
    controls: tuple[float, ...]
    """Value with the same shape erased elsewhere, one for each place."""
    sign: int = 1
    """1: the region is said to raise the value, so that it should fall; -1: to lower it."""
    least: float = LEAST["gate"]
    """Less than this is no change."""

    @property
    def move(self) -> float:
        """Return how far the value went where the map points: down without pixels that raise it,
        up without pixels that lower it.
        """
        return self.sign * (self.before - self.after)

    @property
    def is_clear(self) -> bool:
        """Tell whether the value moved at all, either way."""
        # Three digits are shown: a change that reads as the least one is one.
        return round(abs(self.move), 3) >= self.least

    @property
    def mean(self) -> float:
        """Return the mean over the other places."""
        return mean(self.controls)

    @property
    def spread(self) -> float:
        """Return the standard deviation over the other places, as that of a sample."""
        return stdev(self.controls)

    @property
    def beaten(self) -> int:
        """Return at how many other places the value moved less than where the map pointed."""
        return sum(self.sign * value > self.sign * self.after for value in self.controls)

    @property
    def chance(self) -> float:
        """Return how often a map that knows nothing moves the value furthest of all its places."""
        return 1 / (1 + len(self.controls))

    @property
    def holds(self) -> bool:
        """Tell whether these pixels held the value where it is: it moves furthest without them,
        which is rare by chance.
        """
        moves = self.is_clear and self.move > 0
        return moves and self.beaten == len(self.controls) and self.chance <= CHANCE


def mark_strongest(
    values: Float[Tensor, "*sides"], share: float, *, sign: int = 1
) -> Bool[Tensor, "*sides"]:
    """Mark the highest ``share`` of a map's positive values, one at least.

    With a ``sign`` of -1 the lowest of its negative values.

    Raises:
        AttributionError: no value has this sign, so that there is nothing to mark.
    """
    values = sign * values
    positive = int((values > 0).sum())
    if not positive:
        raise AttributionError(
            f"No pixel of this map is {'positive' if sign > 0 else 'negative'}, so that there is "
            "nothing to erase. Choose the value before the gate function, another method or "
            "another channel."
        )
    marked = torch.zeros(values.numel(), dtype=torch.bool)
    marked[values.flatten().topk(ceil(share * positive)).indices] = True
    return marked.reshape(values.shape)


def erase(
    network: Network, photo: Image.Image | Tensor, region: Bool[Tensor, "*sides"], fill: str
) -> Image.Image | Tensor:
    """Return a photo of the network's own size with a region replaced by one of ``FILLS``.

    The blur's radius is a sixteenth of the photo's side; the mean colour is the one that the
    network calls 0. Of another input it is the baseline of that name, see `make_baseline`.
    """
    if isinstance(photo, Tensor):
        return torch.where(region.to(photo.device), make_baseline(network, photo, fill), photo)
    if fill == "blur":
        filling = photo.filter(ImageFilter.GaussianBlur(photo.width / _BLUR))
    else:
        red, green, blue = (round(255 * value) for value in network.card.mean)
        filling = Image.new("RGB", photo.size, (red, green, blue))
    return Image.composite(filling, photo, Image.fromarray(region.numpy()))


def check_region(
    network: Network,
    photo: Image.Image | Tensor,
    region: Bool[Tensor, "*sides"],
    neuron: Neuron,
    *,
    fill: str = "blur",
    sign: int = 1,
    seed: int = 0,
    watch: Watch = lambda _: None,
) -> Erasure:
    """Erase a region of what the network sees, and for comparison the same shape at ``REPEATS``
    other places.

    The region is moved around the photo, and what leaves it at one side comes in at the other, so
    that size and texture stay. The places are drawn with ``seed`` from a grid that an eighth of a
    side lies between. A region that lies anywhere on it by chance moves the gate furthest of all
    once in ``REPEATS + 1`` times, by symmetry: down, or with a ``sign`` of -1 up. Each picture runs
    alone, no further than to the gate; other passes on the device run in between.

    Raises:
        TooLittleMemoryError: the device has too little memory.
        CaptureError: the network has no such gate.
        BusyError: too many wait for the device.
    """
    # The region itself first: what follows is its comparison.
    regions = [region, *_elsewhere(region, seed)]
    pictures = [photo, *(erase(network, photo, area, fill) for area in regions)]
    with line_of(network.device).turn(watch, sliced=True) as turn, torch.inference_mode():
        slices = Slices(
            lambda images: read_neuron(network.model, images, neuron), network.device, turn
        )
        inputs = (network.take(picture, whole=True) for picture in pictures)
        with memory_in_words(network.device, network.card.title):
            before, after, *controls = [slices(images).item() for images in inputs]
    least = LEAST["logit" if neuron.logit else "gate"]
    share = region.float().mean().item()
    return Erasure(pictures[1], share, before, after, tuple(controls), sign, least)


def _elsewhere(region: Tensor, seed: int) -> Iterator[Tensor]:
    """Yield the region moved by steps of a grid, each time by others, and never by none."""
    # The same number of places in one, two and three dimensions.
    steps = round(_PLACES ** (1 / region.ndim))
    # From 1 on: step 0 of the grid is the region where it is.
    places = 1 + torch.randperm(
        steps**region.ndim - 1, generator=torch.Generator().manual_seed(seed)
    )
    for place in places[:REPEATS]:
        moves = torch.unravel_index(place, (steps,) * region.ndim)
        shifts = tuple(
            int(move) * side // steps for move, side in zip(moves, region.shape, strict=True)
        )
        yield region.roll(shifts, tuple(range(region.ndim)))
