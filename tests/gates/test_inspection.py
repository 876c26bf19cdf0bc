from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers.cbam import CbamModule
from timm.layers.coord_attn import CoordAttn
from timm.layers.gather_excite import GatherExcite
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from se_viz import capture_gates, edit_gates, find_gates, inspect_gates
from se_viz.errors import CaptureError, EditError, NoSEBlocksError
from se_viz.gates import SPELLINGS, Spelling
from se_viz.gates.tables import label_blocks, tabulate_gates


class Block(nn.Module):
    """A block of the test's own; subclasses do one thing otherwise."""

    def __init__(self, channels: int = 8, sigmoid: nn.Module | None = None):
        super().__init__()
        self.reduce = nn.Linear(channels, 4)
        self.expand = nn.Linear(4, channels)
        self.sigmoid = sigmoid or nn.Sigmoid()

    def gate(self, x: Tensor) -> Tensor:
        """Return the gates, (batch, channels)."""
        return self.sigmoid(self.expand(self.reduce(x.mean((2, 3))).relu()))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input times its gate."""
        return x * self.gate(x)[:, :, None, None]


class Adds(Block):
    """Puts out more than the product."""

    def forward(self, x: Tensor) -> Tensor:
        """Return more than the product."""
        return x + x * self.gate(x)[:, :, None, None]


class InPlace(Block):
    """Works in place."""

    def forward(self, x: Tensor) -> Tensor:
        """Overwrite the input with the product."""
        return x.mul_(self.gate(x)[:, :, None, None])


class ForOneImage(Block):
    """Has gates of fewer axes for one image."""

    def gate(self, x: Tensor) -> Tensor:
        """Drop every axis of length one, as a careless ``squeeze()`` does."""
        return super().gate(x).squeeze()

    def forward(self, x: Tensor) -> Tensor:
        """Return the product."""
        return x * self.gate(x).view(len(x), -1, 1, 1)


class Spatial(Block):
    """Has a gate for each place."""

    def forward(self, x: Tensor) -> Tensor:
        """Give every place a gate of its own."""
        return x * self.sigmoid(self.expand(self.reduce(x.movedim(1, 3)))).movedim(3, 1)


class Skips(Block):
    """Has a gate that nothing runs."""

    def forward(self, x: Tensor) -> Tensor:
        """Make no gate at all."""
        return x


class SELayer(nn.Module):
    """A class that only shares its name with the SE blocks of research code: its fc.3 is a
    layer.
    """

    def __init__(self):
        super().__init__()
        self.fc = nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Identity(), nn.Linear(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        """Return the input."""
        return x


class Twice(nn.Module):
    """One block used at two strides, with a pooling between."""

    def __init__(self, block: nn.Module):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.se = block

    def forward(self, x: Tensor) -> Tensor:
        """Return 8 channels at a quarter of the side."""
        return self.se(nn.functional.avg_pool2d(self.se(self.conv(x)), 2))


@pytest.fixture
def spell(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Add a row to the table for this test alone."""

    def add(kind: Any, squeeze: str = "reduce", gate: str = "sigmoid") -> None:
        row = Spelling(kind, squeeze=squeeze, gate=gate)
        monkeypatch.setattr("se_viz.gates.spellings.SPELLINGS", [*SPELLINGS, row])

    return add


def net(block: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), block, nn.Conv2d(8, 4, 1)).eval()


@pytest.mark.parametrize("kind", [Block, InPlace, ForOneImage])
@pytest.mark.parametrize("by", ["class", "path", "name"])
def test_a_row_names_a_class_in_three_ways(spell: Callable[..., None], kind: type[Block], by: str):
    """The class itself, its dotted path, or its bare name; a pass needs no import of the
    library.
    """
    spell({"class": kind, "path": f"{__name__}.{kind.__name__}", "name": f"*.{kind.__name__}"}[by])
    inspection = inspect_gates(net(kind()), size=32)
    assert [(site.block, site.stage, site.channels, site.hidden) for site in inspection.sites] == [
        ("1", 1, 8, 4)
    ]
    assert inspection.refused == {}


def test_a_row_fits_subclasses_and_the_nearest_class_counts(spell: Callable[..., None]):
    """A library's subclass is found without a row of its own, but a row of its own wins."""
    spell(Block)
    assert find_gates(net(InPlace()), size=32)[0].form.endswith("Block")
    spell(InPlace, gate="nowhere")
    with pytest.raises(CaptureError, match="no child 'nowhere'"):
        find_gates(net(InPlace()), size=32)


def test_a_bare_name_is_not_enough():
    """Another library's SELayer may be anything: its last child has to be a function."""
    assert inspect_gates(net(SELayer()), size=32).sites == ()
    with pytest.raises(NoSEBlocksError, match="Sequential has no squeeze-and-excitation block"):
        find_gates(net(SELayer()), size=32)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (Adds, r"output is not its input times its gate\."),
        (Spatial, r"shapes \(1, 8, 16, 16\), \(1, 16, 16, 8\), \(1, 16, 16, 8\)"),
        (Skips, r"gate, the output of 'sigmoid', was not computed\."),
    ],
)
def test_a_block_that_does_not_multiply_by_its_gate_is_refused(
    spell: Callable[..., None], kind: type[Block], sentence: str
):
    """A picture of such gates would be wrong; the sentence says why there is none."""
    spell(kind)
    inspection = inspect_gates(net(kind()), size=32)
    assert inspection.sites == ()
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(inspection.refused["1"])
    with pytest.raises(NoSEBlocksError, match=rf"no SE block that can be read\. 1: .*{sentence}"):
        find_gates(net(kind()), size=32)


def test_a_block_that_is_not_used_is_refused(spell: Callable[..., None]):
    """A head that only training runs has no gates for an image."""
    spell(Block)
    model = net(Block())
    model[1].register_module("spare", Block())
    assert inspect_gates(model, size=32).refused == {
        "1.spare": "It does not run in a pass of one image."
    }


def test_a_refused_block_can_be_left_out(spell: Callable[..., None]):
    """The gates of a network with one odd block are still to be seen."""
    spell(Spatial)
    model = nn.Sequential(net(Spatial()), nn.Conv2d(4, 8, 1), SqueezeExcitation(8, 4)).eval()
    images = torch.randn(2, 3, 32, 32)
    message = r"0\.1 \(.*Spatial\) .*which no SE block has\. Leave it out"
    with pytest.raises(CaptureError, match=message), capture_gates(model):
        model(images)
    with capture_gates(
        model, blocks=[site.block for site in inspect_gates(model, size=32).sites]
    ) as records:
        model(images)
    assert [record.block for record in records] == ["2"]


def test_zero_features_do_not_hide_a_wrong_block(spell: Callable[..., None]):
    """A new network's U may be zero everywhere, and zero times anything is zero: the block is
    asked with noise.
    """
    for kind, refused in (
        (Block, {}),
        (Adds, {"1": "Its output is not its input times its gate."}),
    ):
        spell(kind)
        model = net(kind())
        for value in model[0].parameters():
            nn.init.zeros_(value)
        assert inspect_gates(model, size=32).refused == refused


def test_the_image_can_have_another_number_of_channels(spell: Callable[..., None]):
    """Radiographs have one."""
    spell(Block)
    model = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), Block()).eval()
    assert [site.stage for site in find_gates(model, size=(1, 32, 32))] == [1]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: CbamModule(8), "CBAM"),
        (lambda: CoordAttn(8), "gates for rows and columns"),
        (lambda: GatherExcite(8, extent=2, use_mlp=False), "gate for each place"),
    ],
)
def test_attention_of_another_kind_is_named(make: Callable[[], nn.Module], words: str):
    """A reader learns what the block does instead of seeing an empty page, or a wrong one."""
    model = net(make())
    inspection = inspect_gates(model, size=32)
    assert (inspection.sites, inspection.refused, list(inspection.others)) == ((), {}, ["1"])
    assert words in inspection.others["1"]
    with (
        pytest.raises(NoSEBlocksError, match=rf"What it has is no SE gate: 1 \(.*{words}"),
        capture_gates(model),
    ):
        pass


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("skresnet18", "shares each channel out"),
        ("resnest14d", "softmax over its branches"),
        ("gcresnet33ts", "adds to each channel and multiplies none"),
    ],
)
def test_networks_of_another_kind_have_no_gates(name: str, words: str):
    """Selective kernels, split attention and additive global context look alike in a module's name
    only.
    """
    inspection = inspect_gates(timm.create_model(name), size=64)
    assert (inspection.sites, inspection.refused) == ((), {})
    assert all(words in sentence for sentence in inspection.others.values())
    assert inspection.others


def test_a_block_used_twice_gives_two_records():
    """Weights may be shared: each use has its own squeeze, gate, stage and name."""
    torch.manual_seed(0)
    model = Twice(SqueezeExcitation(8, 4)).eval()
    images = torch.randn(2, 3, 32, 32)
    inputs: list[Tensor] = []
    model.se.register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    with torch.no_grad(), capture_gates(model, keep_features=["se#2"]) as records:
        model(images)
        model(images)
    squeezes = [value.mean((2, 3)) for value in inputs]
    assert [(record.block, record.name, record.stage, record.call) for record in records] == [
        ("se", "se", 1, 0),
        ("se", "se#2", 2, 1),
    ] * 2
    assert all(
        torch.equal(record.squeeze, value) for record, value in zip(records, squeezes, strict=True)
    )
    assert [record.features is not None for record in records] == [False, True] * 2
    assert [(site.name, site.stage) for site in find_gates(model, size=32)] == [
        ("se", 1),
        ("se#2", 2),
    ]


def test_both_uses_of_a_block_have_a_label_and_rows_of_their_own():
    """Drawn as one, the second use's channels would stand behind the first's."""
    model = Twice(SqueezeExcitation(8, 4)).eval()
    with capture_gates(model) as records:
        model(torch.randn(1, 3, 32, 32))
    assert label_blocks(records) == {"se": "SE_1_1", "se#2": "SE_2_1"}
    table = tabulate_gates(records)
    assert table.groupby("path", sort=False)["channel"].agg(list).to_dict() == {
        "se": list(range(8)),
        "se#2": list(range(8)),
    }
    assert table["block"].unique().tolist() == ["SE_1_1", "SE_2_1"]


def test_blocks_may_share_their_gate_function(spell: Callable[..., None]):
    """One sigmoid for all blocks, and for other layers, is common: what counts is in which block
    it runs.
    """
    spell(Block)
    sigmoid = nn.Sigmoid()
    torch.manual_seed(0)
    early = Block(8, sigmoid)
    late = Block(8, sigmoid)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), early, sigmoid, late, sigmoid).eval()
    images = torch.randn(2, 3, 16, 16)
    with capture_gates(model) as records, torch.no_grad():
        model(images)
    assert [record.block for record in records] == ["1", "3"]
    with torch.no_grad():
        first = model[:1](images)
        second = model[:3](images)
    assert torch.equal(records[0].gate, early.gate(first))
    assert torch.equal(records[1].gate, late.gate(second))
    with edit_gates(model, {"3": torch.ones_like}), torch.no_grad():
        assert torch.equal(model(images), sigmoid(second))


@pytest.mark.parametrize("name", ["seresnet18", "efficientnet_b0", "ecaresnet26t"])
def test_gates_under_autocast_are_recorded_as_they_are(name: str):
    """bfloat16 gates of shape (N, C, 1, 1) and (N, 1, C) become the same numbers in float32."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    gates: list[Tensor] = []
    sites = inspect_gates(model, size=64).sites
    for site in sites:
        model.get_submodule(f"{site.block}.gate").register_forward_hook(
            lambda *call: gates.append(call[2].clone())
        )
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), capture_gates(model) as records:
        model(torch.randn(2, 3, 64, 64))
    assert {gate.dtype for gate in gates} == {torch.bfloat16}
    assert len(gates) == len(records) == len(sites)
    assert all(
        torch.equal(r.gate, gate.float().reshape(2, -1))
        for r, gate in zip(records, gates, strict=True)
    )


def test_a_list_of_images_has_stages_too():
    """Detectors take a list; the size of its first image counts."""

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = net(SqueezeExcitation(8, 4))

        def forward(self, images: list[Tensor]) -> Tensor:
            return self.body(torch.stack(images))

    with capture_gates(model := Detector()) as records:
        model([torch.randn(3, 32, 32)])
    assert [record.stage for record in records] == [1]


class Multiplies(Block):
    """A block that does something with its product, or its gate, by the name of it."""

    def __init__(self, way: str):
        super().__init__()
        self.way = way

    def forward(self, x: Tensor) -> Tensor:
        """Return what the way says."""
        gate = self.gate(x)[:, :, None, None]
        ways: dict[str, Callable[[], Tensor]] = {
            "adds": lambda: x + x * gate,
            "returns the gate": lambda: gate,
            "spreads the gate": lambda: gate.expand_as(x),
            "sigmoid once more": lambda: x * torch.sigmoid(gate),
            "scales": lambda: 2 * x * gate,
            "clamps": lambda: x * gate.clamp(0.4, 0.5),
            "drops": lambda: x * nn.functional.dropout(gate, training=self.training),
            "skips": lambda: x,
        }
        return ways[self.way]()


WAYS = (
    "adds",
    "returns the gate",
    "spreads the gate",
    "sigmoid once more",
    "scales",
    "clamps",
    "skips",
)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_not_the_multiplier_is_neither_recorded_nor_edited(
    spell: Callable[..., None], way: str
):
    """Capture and edit alone, without an inspection before, must not take anything else for the
    gate.
    """
    spell(Multiplies)
    model = net(Multiplies(way))
    images = torch.randn(2, 3, 32, 32)
    message = (
        r"^1 \(.*Multiplies\) puts out something else than its input times its gate.*Leave it out: "
        r"`inspect_gates`"
    )
    with pytest.raises(CaptureError, match=message), capture_gates(model) as records:
        model(images)
    assert records == []
    with (
        pytest.raises(EditError, match=r"puts out something else"),
        edit_gates(model, {"1": lambda gate: 0.7 * gate}),
    ):
        model(images)


def test_a_block_is_checked_in_every_pass(spell: Callable[..., None]):
    """A dropout of the gate passes it on in evaluation, and changes it in training."""
    spell(Multiplies)
    model = net(Multiplies("drops"))
    images = torch.randn(2, 3, 32, 32)
    with capture_gates(model) as records:
        model(images)
        with pytest.raises(CaptureError, match="puts out something else"):
            model.train()(images)
    assert len(records) == 1


@pytest.mark.parametrize("precision", [torch.float64, torch.float16, torch.bfloat16])
def test_a_right_block_passes_the_check_in_every_precision(
    spell: Callable[..., None], precision: torch.dtype
):
    """Rounding of the block's own precision is no other gate; nor is a map that it writes over."""
    spell(InPlace)
    model = net(InPlace()).to(precision)
    with capture_gates(model) as records, torch.no_grad():
        model(torch.randn(2, 3, 32, 32).to(precision))
    assert len(records) == 1


def test_a_dropout_before_the_sigmoid_of_a_known_name_is_read_past():
    """The last child makes the gate, however many there are: output over input tells."""

    class SELayer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layers = [nn.Linear(8, 4), nn.ReLU(), nn.Linear(4, 8), nn.Dropout(0.1), nn.Sigmoid()]
            self.fc = nn.Sequential(*layers)

        def forward(self, x: Tensor) -> Tensor:
            return x * self.fc(x.mean((2, 3)))[:, :, None, None]

    model = net(SELayer())
    images = torch.randn(2, 3, 32, 32)
    with capture_gates(model) as records, torch.no_grad():
        model(images)
        before = model[0](images)
    expected = (model[1](before) / before).flatten(2)[:, :, 0]
    torch.testing.assert_close(records[0].gate, expected)


def named(name: str) -> nn.Module:
    """Return a block under a name, whose gate is one of each place."""

    def forward(self: Any, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.layer(x.movedim(1, 3))).movedim(3, 1)

    module = type(name, (nn.Module,), {"forward": forward})()
    module.layer = nn.Linear(8, 8)
    return module


UNKNOWN = [
    "SELayer",
    "SEBlock",
    "SE",
    "SE_Block",
    "Squeeze_excitation_layer",
    "SqueezeAndExcite",
    "ChannelAttention",
]
UNKNOWN += [
    "cSE",
    "ChannelSELayer",
    "CALayer",
    "eca_layer",
    "EfficientChannelAttention",
    "se_block",
    "SEUnit",
]
PLAIN = [
    "SegmentationHead",
    "BaseModel",
    "Cascade",
    "MSELossHead",
    "Sequence",
    "SqueezeFire",
    "PhraseEncoder",
    "SELUHead",
]


@pytest.mark.parametrize("name", [*UNKNOWN, *PLAIN])
def test_what_is_named_like_an_se_block_and_cannot_be_read_is_named(name: str):
    """Beside a block that is known, a reader would not miss the other; modules of other names are
    left alone.
    """
    model = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), SqueezeExcitation(8, 4), named(name)).eval()
    inspection = inspect_gates(model, size=32)
    assert [site.block for site in inspection.sites] == ["1"]
    assert list(inspection.refused) == (["2"] if name in UNKNOWN else [])
    assert all("is named like an SE block" in sentence for sentence in inspection.refused.values())


def test_what_holds_a_known_block_is_not_named():
    """SEBottleneck and SEResNet are named for the blocks inside, which are found."""
    holder = type("SEBottleneck", (nn.Sequential,), {})(nn.Conv2d(8, 8, 1), SqueezeExcitation(8, 4))
    inspection = inspect_gates(
        type("SENet", (nn.Sequential,), {})(nn.Conv2d(3, 8, 3), holder).eval(), size=32
    )
    assert ([site.block for site in inspection.sites], inspection.refused) == (["1.1"], {})


def test_scse_is_named_for_what_it_is():
    """It adds two products, so no one number a channel is its gate; no row of the table could read
    it.
    """
    model = net(named("SCSEModule"))
    assert "scSE (arXiv 1803.02579)" in inspect_gates(model, size=32).others["1"]
    with pytest.raises(NoSEBlocksError, match=r"no SE gate: 1 \(scSE"), capture_gates(model):
        pass


# PyTorch itself warns that these will go one day.
@pytest.mark.filterwarnings("ignore")
def test_quantised_blocks_are_read_and_not_edited():
    """A quantised product is rounded to whole steps; the gate is what its numbers stand for."""
    from torchvision.models.quantization import mobilenet_v3_large

    if "qnnpack" not in torch.backends.quantized.supported_engines:
        pytest.skip("this build of PyTorch has no qnnpack")
    engine = torch.backends.quantized.engine
    torch.backends.quantized.engine = "qnnpack"
    try:
        torch.manual_seed(0)
        model = mobilenet_v3_large(weights=None, quantize=True).eval()
        inspection = inspect_gates(model, size=64)
        with capture_gates(model) as records:
            model(torch.rand(1, 3, 64, 64))
        edit = edit_gates(model, {records[0].block: torch.zeros_like})
        with pytest.raises(EditError, match="quantised gates, which cannot be edited"), edit:
            model(torch.rand(1, 3, 64, 64))
    finally:
        torch.backends.quantized.engine = engine
    assert (len(inspection.sites), inspection.refused) == (8, {})
    assert [record.stage for record in records] == [3, 3, 3, 4, 4, 5, 5, 5]
    assert all(record.gate.dtype == torch.float32 for record in records)
