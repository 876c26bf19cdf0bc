"""Masks: the mean logit of each class over a region."""

import pytest
import torch
from torch import nn

from se_viz import Network
from se_viz.errors import NetworkError
from se_viz.readings import Reading, read_region
from tests.support.answers import load_code

NET = load_code()


@pytest.fixture
def image() -> torch.Tensor:
    """One image."""
    return torch.randn(1, 3, 64, 48, generator=torch.Generator().manual_seed(1))


def read(network: Network, image: torch.Tensor, *region: float) -> torch.Tensor:
    return network.at(Reading(read_region(region))).model(image)


def test_a_region_is_the_mean_of_its_pixels(image: torch.Tensor):
    """Pixel by pixel, by hand: rows 16 to 31 of 64, columns 12 to 47 of 48."""
    model = NET.segmenter()
    network = Network.from_model(model, answer="segments", input_size=64)
    out = model(image)["out"][0]
    total = torch.zeros(4)
    for row in range(16, 32):
        for column in range(12, 48):
            total += out[:, row, column]
    found = read(network, image, 0.25, 0.25, 1.0, 0.5)
    torch.testing.assert_close(found[0], total / (16 * 36))
    torch.testing.assert_close(network.model(image)[0], out.mean((1, 2)))


def test_a_pixel_is_one_cell(image: torch.Tensor):
    """The smallest region touches one cell at least, also at the far edge."""
    model = NET.segmenter()
    network = Network.from_model(model, answer="segments", input_size=64)
    out = model(image)["out"][0]
    torch.testing.assert_close(read(network, image, 0.0, 0.5, 0.01, 0.51)[0], out[:, 32, 0])
    torch.testing.assert_close(read(network, image, 0.999, 0.999, 1, 1)[0], out[:, 63, 47])


def test_only_pixels_near_a_region_move_it(image: torch.Tensor):
    """Were another region read, gradients would come from elsewhere: of plain convolutions, whose
    gates see all, only those of the region's neighbourhood are large.
    """
    torch.manual_seed(0)
    model = NET.segmenter()
    for block in (model.encoder[0][3], model.encoder[1][3]):
        # Gates that see nothing: one half everywhere.
        nn.init.zeros_(block.fc2.weight)
        nn.init.zeros_(block.fc2.bias)
    network = Network.from_model(model, answer="segments", input_size=64)
    pixels = image.clone().requires_grad_()
    read(network, pixels, 0.0, 0.0, 0.25, 0.25)[0, 1].backward()
    assert pixels.grad is not None
    assert pixels.grad[..., :16, :12].abs().max() > 0
    assert pixels.grad[..., 32:, 24:].abs().max() == 0


def test_one_channel_is_a_yes_or_no(image: torch.Tensor):
    """As any single logit; more exclude each other."""
    one = Network.from_model(NET.mask(), answer="segments", classes=["road"], input_size=64)
    logit = one.model(image)[0]
    torch.testing.assert_close(one.probabilities(logit), logit.sigmoid())
    assert one.name_answer(torch.tensor([-1.0])) == "not road"
    four = Network.from_model(NET.segmenter(), answer="segments", input_size=64)
    assert four.probabilities(four.model(image)[0]).sum().item() == pytest.approx(1)


def test_areas_are_those_of_the_most_probable_class(image: torch.Tensor):
    """Shares are counted by hand, and each rectangle is the smallest around its pixels."""
    model = NET.segmenter()
    network = Network.from_model(model, answer="segments", input_size=64)
    labels = model(image)["out"][0].argmax(0)
    assert network.reader is not None
    places = network.reader.find(model, image)
    assert places
    for place in places:
        rows, columns = (labels == place.index).nonzero().unbind(1)
        assert place.share == pytest.approx(len(rows) / labels.numel())
        left, top, right, bottom = place.region
        assert (left * 48, right * 48) == pytest.approx(
            (int(columns.min()), int(columns.max()) + 1)
        )
        assert (top * 64, bottom * 64) == pytest.approx((int(rows.min()), int(rows.max()) + 1))
    assert [place.share for place in places] == sorted((p.share for p in places), reverse=True)


def test_code_picks_a_mask_that_nobody_knows(image: torch.Tensor):
    """Libraries return objects of their own."""
    with pytest.raises(NetworkError, match=r"Wrapped returns a list, and segments .* Choose"):
        Network.from_model(NET.wrapped(), answer="segments", input_size=64)
    picked = Network.from_model(NET.wrapped(), answer=("segments", NET.pick), input_size=64)
    plain = Network.from_model(NET.segmenter(), answer="segments", input_size=64)
    assert torch.equal(picked.model(image), plain.model(image))


class Softened(nn.Module):
    """A segmenter that returns probabilities, made larger."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = NET.segmenter()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the mask."""
        maps = self.inner(images)["out"].softmax(1)
        return nn.functional.interpolate(maps, scale_factor=2, mode="bilinear")


def test_probabilities_are_refused():
    """A softmax of their means would be none of anything."""
    with pytest.raises(NetworkError, match=r"returns probabilities, for its last step"):
        Network.from_model(Softened(), answer="segments", input_size=64)


@pytest.mark.parametrize(
    "value", ["", "0,0,1", "a,b,c,d", "0.5,0,0.5,1", "0,0,1.1,1", "-1,0,1,1", "nan,0,1,1", 7, None]
)
def test_what_is_no_region_is_told(value: object):
    """A typing error must not explain another place."""
    with pytest.raises(NetworkError, match=r"is no rectangle in the image\. Give left, top, right"):
        read_region(value)
    assert read_region(" 0.25, 0,0.75,1") == (0.25, 0.0, 0.75, 1.0)


def test_names_have_to_fit():
    """As for classes."""
    with pytest.raises(NetworkError, match="returns 4 values for 2 class names"):
        Network.from_model(NET.segmenter(), answer="segments", classes=["a", "b"], input_size=64)
