"""How SE blocks are written: one row for each class of block. To support another one, add a row.

Why: docs/decisions/001-where-squeeze-and-gate-are-read.md
"""

import re
from dataclasses import dataclass
from math import inf

from torch import nn


def path_of(kind: type) -> str:
    """Return the dotted path of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


@dataclass(frozen=True, slots=True)
class Spelling:
    """Where one class of SE block has its squeeze and its gate."""

    kind: type[nn.Module] | str
    """The block's class, or its dotted path, which needs no import; ``*.Name`` is any class of
    that name."""
    squeeze: str
    """Path of the child whose input is the squeeze: the excitation's first layer."""
    gate: str
    """Path of the child whose output is the gate: the excitation's last function; ``fc.-1`` is the
    last of ``fc``."""
    channels_last: bool = False
    """Whether the block's input is (batch, height, width, channels)."""
    padding: str = ""
    """Attribute of the block that says by how many values each end of the squeeze is padded;
    empty: by none."""

    @property
    def form(self) -> str:
        """What to call it: library and class, e.g. ``timm SEModule``."""
        path = self.kind if isinstance(self.kind, str) else path_of(self.kind)
        library = path.split(".")[0]
        name = path.split(".")[-1]
        return name if library == "*" else f"{library} {name}"

    @property
    def guessed(self) -> bool:
        """Whether the row goes by a class's name alone, which many a class may have."""
        return isinstance(self.kind, str) and self.kind.startswith("*.")


SPELLINGS: list[Spelling] = [
    Spelling("torchvision.ops.misc.SqueezeExcitation", squeeze="fc1", gate="scale_activation"),
    Spelling("timm.layers.squeeze_excite.SEModule", squeeze="fc1", gate="gate"),
    Spelling(
        "timm.layers.squeeze_excite.SqueezeExciteCl", squeeze="fc1", gate="gate", channels_last=True
    ),
    Spelling("timm.layers.squeeze_excite.EffectiveSEModule", squeeze="fc", gate="gate"),
    Spelling("timm.layers.eca.EcaModule", squeeze="conv", gate="gate"),
    Spelling("timm.layers.eca.CecaModule", squeeze="conv", gate="gate", padding="padding"),
    Spelling("timm.layers.global_context.GlobalContext", squeeze="mlp_scale", gate="gate"),
    Spelling("timm.models._efficientnet_blocks.SqueezeExcite", squeeze="conv_reduce", gate="gate"),
    Spelling("timm.models.senet.SEModule", squeeze="fc1", gate="sigmoid"),
    Spelling("timm.models.hgnet.EseModule", squeeze="conv", gate="sigmoid"),
    *(
        Spelling(
            f"transformers.models.{module}.modeling_{module}.{name}", squeeze=squeeze, gate=gate
        )
        for module, name, squeeze, gate in (
            ("regnet", "RegNetSELayer", "attention.0", "attention.3"),
            ("efficientnet", "EfficientNetSqueezeExciteLayer", "reduce", "act_expand"),
            ("align", "AlignVisionSqueezeExciteLayer", "reduce", "act_expand"),
            ("pp_lcnet", "PPLCNetSqueezeExcitationModule", "convolutions.0", "convolutions.3"),
            ("pp_lcnet_v3", "PPLCNetV3SqueezeExcitationModule", "convolutions.0", "convolutions.3"),
            ("pp_lcnet_v4", "PPLCNetV4SqueezeExcitationModule", "convolutions.0", "convolutions.3"),
        )
    ),
    Spelling("*.SELayer", squeeze="fc.0", gate="fc.-1"),
    Spelling("*.SEBlock", squeeze="fc.0", gate="fc.-1"),
    Spelling("*.SEModule", squeeze="fc1", gate="sigmoid"),
]
"""Every spelling that se_viz knows. A module's nearest class counts; of two rows that name it
alike, the later."""

_SPLIT = (
    "Split attention (arXiv 2004.08955) gates the output of its own convolution, by a softmax over "
    "its branches."
)
_KERNEL = (
    "A selective kernel (arXiv 1903.06586) shares each channel out between kernel sizes by a "
    "softmax."
)
_CBAM = (
    "CBAM (arXiv 1807.06521) multiplies by a gate of mean and maximum, then by a map over places."
)
_PLACES = (
    "Coordinate attention (arXiv 2103.02907) has gates for rows and columns, not one for a whole "
    "channel."
)
_SCSE = (
    "scSE (arXiv 1803.02579) adds the outputs of a gate for each channel and of a gate for each "
    "place."
)
_CLAMP = "An SE block whose gate is computed without a module (a clamp), so that it cannot be read."

OTHERS: dict[str, str] = {
    "se_viz.insertion.blocks.NoSqueeze": (
        "Excitation without a squeeze (arXiv 1709.01507, section 7.1) has a gate for each place "
        "of a channel, not one for all."
    ),
    "timm.layers.gather_excite.GatherExcite": (
        "Gather-excite (arXiv 1810.12348) may have a gate for each place of a channel, not one for "
        "all."
    ),
    "timm.layers.global_context.GlobalContext": (
        "Global context (arXiv 1904.11492) of the kind that adds to each channel and multiplies "
        "none."
    ),
    "timm.layers.cbam.CbamModule": _CBAM,
    "timm.layers.cbam.LightCbamModule": _CBAM,
    "timm.layers.coord_attn.CoordAttn": _PLACES,
    "timm.layers.coord_attn.SimpleCoordAttn": _PLACES,
    "timm.layers.coord_attn.EfficientLocalAttn": _PLACES,
    "timm.layers.coord_attn.StripAttn": _PLACES,
    "timm.layers.selective_kernel.SelectiveKernel": _KERNEL,
    "timm.layers.split_attn.SplitAttn": _SPLIT,
    "timm.layers.non_local_attn.NonLocalAttn": (
        "Non-local attention (arXiv 1711.07971) lets places attend to places; it has no gate for a "
        "channel."
    ),
    "timm.layers.non_local_attn.BatNonLocalAttn": (
        "A bilinear attention transform (CVPR 2020) mixes places; it has no gate for a channel."
    ),
    "timm.models.davit.ChannelAttention": (
        "Channel attention of DaViT (arXiv 2204.03645) mixes channels with each other; it has no "
        "gate for one."
    ),
    **dict.fromkeys(
        ("*.SCSEModule", "*.scSE", "*.SCSE", "*.SCSEBlock", "*.ChannelSpatialSELayer"), _SCSE
    ),
    **{
        f"transformers.models.{module}.modeling_{module}.{name}SqueezeExcitationModule": _CLAMP
        for module, name in (
            ("pp_ocrv5_mobile_det", "PPOCRV5MobileDet"),
            ("pp_ocrv6_small_det", "PPOCRV6SmallDet"),
        )
    },
}
"""Attention to channels that is no SE gate, and what it does instead; ``*.Name`` is any class of
that name."""

# SE as a word inside a name, in capitals or in snake case, the same in full, and ECA or CA.
_SUSPECTS = re.compile(
    r"(?<![A-Z])SE(?=$|_|[A-Z][a-z]|Net)|(?<![A-Za-z])se(?=_|$)|[sc]SE"
    r"|(?i:squeeze_?(and_?|n_?)?(excit|attention|layer|block|module))"
    r"|(?i:channel_?(wise_?)?(att|gat|se(?![a-z])))|(?<![A-Za-z])(E?CA|[eE]ca|eca)(?=_|$|[A-Z][a-z]|[Ll]ayer|[Mm]odule)"
)


def is_named_like_se(name: str) -> bool:
    """Return whether the name of a class says that it is an SE block, or attention to channels of
    another kind.
    """
    return bool(_SUSPECTS.search(name))


RANGES: dict[str, tuple[float, float, bool]] = {
    "Sigmoid": (0.0, 1.0, False),
    "Softmax": (0.0, 1.0, False),
    "Tanh": (-1.0, 1.0, False),
    "ReLU": (0.0, inf, True),
    **dict.fromkeys(("TwiceSigmoid", "OnePlusTanh"), (0.0, 2.0, False)),
    **dict.fromkeys(
        ("Hardsigmoid", "HardSigmoid", "HardSigmoidMe", "Hsigmoid", "h_sigmoid"), (0.0, 1.0, True)
    ),
}
"""Ends of a gate function's range by the name of its class, and whether it reaches them."""
