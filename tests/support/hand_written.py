"""SE blocks as people write them by hand, each telling the squeeze and the gate that it uses, and
blocks that have no such gate.
"""
# ruff: noqa: D102 - what a method does is said by its class.

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

C = 12
"""Channels of every block here."""


class Told(nn.Module):
    """A block that keeps what it computes: lists of squeezes and gates, (batch, channels) each."""

    def __init__(self) -> None:
        super().__init__()
        self.squeezes: list[Tensor] = []
        self.gates: list[Tensor] = []

    def tell(self, squeeze: Tensor, gate: Tensor) -> Tensor:
        """Keep copies, and return the gate."""
        self.squeezes.append(squeeze.detach().clone().reshape(len(squeeze), -1))
        self.gates.append(gate.detach().clone().reshape(len(gate), -1))
        return gate


class Plain(Told):
    """Two linear layers; subclasses do one thing otherwise."""

    def __init__(self, hidden: int = 4) -> None:
        super().__init__()
        self.down = nn.Linear(C, hidden)
        self.up = nn.Linear(hidden, C)

    def squeeze(self, x: Tensor) -> Tensor:
        """Return one value a channel."""
        return x.mean((2, 3))

    def excite(self, z: Tensor) -> Tensor:
        """Return what goes into the gate function."""
        return self.up(F.relu(self.down(z)))

    def function(self, logit: Tensor) -> Tensor:
        """Return gates."""
        return torch.sigmoid(logit)

    def scale(self, x: Tensor, gate: Tensor) -> Tensor:
        """Return the product."""
        return x * gate[:, :, None, None]

    def forward(self, x: Tensor) -> Tensor:
        z = self.squeeze(x)
        return self.scale(x, self.tell(z, self.function(self.excite(z))))


def variant(name: str, **methods: Callable[..., Any]) -> type[Plain]:
    """Return a class of its own that does some things otherwise."""
    return type(name, (Plain,), methods)


def _pools(pool: Callable[[Tensor], Tensor]) -> Callable[..., Tensor]:
    return lambda self, x: pool(x)


SQUEEZES: dict[str, Callable[[Tensor], Tensor]] = {
    "mean of two axes": lambda x: x.mean((2, 3)),
    "mean of negative axes": lambda x: x.mean(dim=(-1, -2)),
    "mean of means": lambda x: x.mean(3).mean(2),
    "torch.mean, axes kept": lambda x: torch.mean(x, [2, 3], keepdim=True).flatten(1),
    "adaptive pooling": lambda x: F.adaptive_avg_pool2d(x, 1).view(len(x), -1),
    "adaptive pooling to (1, 1)": lambda x: (
        F.adaptive_avg_pool2d(x, (1, 1)).squeeze(-1).squeeze(-1)
    ),
    "pooling of the full size": lambda x: F.avg_pool2d(x, x.shape[-2:]).flatten(1),
    "view and mean": lambda x: x.view(len(x), x.shape[1], -1).mean(-1),
    "flatten and mean": lambda x: x.flatten(2).mean(2),
    "sum by size": lambda x: x.sum((2, 3)) / (x.shape[2] * x.shape[3]),
    "einsum": lambda x: torch.einsum("nchw->nc", x) / x[0, 0].numel(),
    "permuted": lambda x: x.permute(0, 2, 3, 1).reshape(len(x), -1, x.shape[1]).mean(1),
    "transposed": lambda x: x.flatten(2).transpose(1, 2).mean(dim=1),
    "maximum": lambda x: x.amax((2, 3)),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, 1).flatten(1),
    "maximum of maxima": lambda x: x.max(3)[0].max(2).values,
    "standard deviation": lambda x: x.flatten(2).std(2),
    "norm": lambda x: x.flatten(2).norm(2, dim=2),
}
FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], float, float]] = {
    "torch.sigmoid": (torch.sigmoid, 0, 1),
    "method": (lambda y: y.sigmoid(), 0, 1),
    "in place": (lambda y: y.sigmoid_(), 0, 1),
    "by hand": (lambda y: F.relu6(y + 3.0) / 6.0, 0, 1),
    "by hand, multiplied": (lambda y: F.relu6(y + 3.0, inplace=True) * (1 / 6), 0, 1),
    "hardsigmoid": (F.hardsigmoid, 0, 1),
    "clamp": (lambda y: (0.2 * y + 0.5).clamp(0.0, 1.0), 0, 1),
    "torch.clamp": (lambda y: torch.clamp(y, min=0, max=1), 0, 1),
    "twice the sigmoid": (lambda y: 2 * torch.sigmoid(y), 0, 2),
    "one and tanh": (lambda y: 1 + torch.tanh(y), 0, 2),
    "softmax": (lambda y: F.softmax(y, dim=1), 0, 1),
    "one less the sigmoid": (lambda y: 1 - torch.sigmoid(y), 0, 1),
    "hardtanh": (lambda y: F.hardtanh(y), -1, 1),
    "sigmoid written out": (lambda y: 1 / (1 + torch.exp(-y)), 0, 1),
    "its reciprocal": (lambda y: (1.0 + (-y).exp()).reciprocal(), 0, 1),
    "no function": (lambda y: y, -torch.inf, torch.inf),
    "relu": (F.relu, 0, torch.inf),
}
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "operator": lambda x, s: x * s[:, :, None, None],
    "other way round": lambda x, s: s.view(*s.shape, 1, 1) * x,
    "mul": lambda x, s: torch.mul(x, s.unsqueeze(-1).unsqueeze(-1)),
    "method": lambda x, s: x.mul(s.reshape(len(s), -1, 1, 1)),
    "in place": lambda x, s: x.clone().mul_(s[..., None, None]),
    "einsum": lambda x, s: torch.einsum("nchw,nc->nchw", x, s),
    "einsum of both": lambda x, s: torch.einsum("nc,nchw->nchw", s, x),
    "expand_as": lambda x, s: x * s.view(*s.shape, 1, 1).expand_as(x),
    "expand": lambda x, s: x * s[:, :, None, None].expand(-1, -1, *x.shape[2:]),
    "copied": lambda x, s: x * s[:, :, None, None].repeat(1, 1, *x.shape[2:]),
    "enlarged": lambda x, s: x * F.interpolate(s[:, :, None, None], size=x.shape[2:]),
    "permuted": lambda x, s: (x.permute(0, 2, 3, 1) * s[:, None, None]).permute(0, 3, 1, 2),
    "flattened": lambda x, s: (x.flatten(2) * s.unsqueeze(2)).view_as(x),
}


class Inline(Told):
    """An inverted residual whose excitation is written in its own ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.expand = nn.Conv2d(C, 2 * C, 1)
        self.depthwise = nn.Conv2d(2 * C, 2 * C, 3, padding=1, groups=2 * C)
        self._se_reduce = nn.Conv2d(2 * C, 4, 1)
        self._se_expand = nn.Conv2d(4, 2 * C, 1)
        self.project = nn.Conv2d(2 * C, C, 1)
        self.norm = nn.BatchNorm2d(2 * C)

    def forward(self, inputs: Tensor) -> Tensor:
        x = F.silu(self.norm(self.depthwise(F.silu(self.expand(inputs)))))
        z = F.adaptive_avg_pool2d(x, 1)
        gate = torch.sigmoid(self._se_expand(F.silu(self._se_reduce(z))))
        x = self.tell(z, gate) * x
        return self.project(x) + inputs


class Swish(torch.autograd.Function):
    """A function that saves memory on the way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        sigmoid = torch.sigmoid(x)
        return gradients[0] * (sigmoid * (1 + x * (1 - sigmoid)))


class Efficient(Plain):
    """Has a function of autograd's between its layers."""

    def excite(self, z: Tensor) -> Tensor:
        return self.up(Swish.apply(self.down(z)))


class ECA(Told):
    """A convolution over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)
        self.sigmoid = nn.Sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        z = self.avg_pool(x)
        y = self.conv(z.squeeze(-1).transpose(-1, -2)).transpose(-1, -2).unsqueeze(-1)
        return x * self.tell(z, self.sigmoid(y)).expand_as(x)


class Sound(Told):
    """Maps of (batch, channels, time), of which only so much counts as each is long."""

    def __init__(self, *, masked: bool = False) -> None:
        super().__init__()
        self.masked = masked
        self.conv1 = nn.Conv1d(C, 4, 1)
        self.conv2 = nn.Conv1d(4, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        z = x.mean(dim=2, keepdim=True)
        if self.masked:
            lengths = torch.tensor([0.5, 1.0][: len(x)]) * x.shape[-1]
            mask = (torch.arange(x.shape[-1])[None] < lengths[:, None]).to(x).unsqueeze(1)
            z = (x * mask).sum(dim=2, keepdim=True) / mask.sum(dim=2, keepdim=True)
        return self.tell(z, torch.sigmoid(self.conv2(torch.relu(self.conv1(z))))) * x


class Volume(Told):
    """Maps of (batch, channels, depth, height, width)."""

    def __init__(self) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool3d(1)
        self.fc = nn.Sequential(nn.Linear(C, 4), nn.ReLU(), nn.Linear(4, C), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        z = self.avg_pool(x).view(x.shape[:2])
        return x * self.tell(z, self.fc(z)).view(*x.shape[:2], 1, 1, 1)


class Tokens(Told):
    """Tokens of (batch, tokens, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(C)
        self.fc = nn.Sequential(nn.Linear(C, 4), nn.GELU(), nn.Linear(4, C))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        z = x.mean(1, keepdim=True)
        return x * self.tell(z, self.fc(z).sigmoid())


class ChannelsLast(Told):
    """Maps of (batch, height, width, channels)."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(C, 4), nn.ReLU(), nn.Linear(4, C))

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        z = x.mean((1, 2))
        return (x * self.tell(z, self.fc(z).sigmoid())[:, None, None, :]).permute(0, 3, 1, 2)


class MeanAndMaximum(Plain):
    """CBAM's channel part: one excitation of two statistics."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.mean((2, 3))
        gate = torch.sigmoid(self.excite(mean) + self.excite(x.amax((2, 3))))
        return self.scale(x, self.tell(mean, gate))


class MeanAndDeviation(Told):
    """An excitation of the mean beside the standard deviation."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2 * C, C)

    def forward(self, x: Tensor) -> Tensor:
        mean, deviation = x.mean((2, 3)), x.flatten(2).std(-1)
        gate = self.tell(mean, torch.sigmoid(self.fc(torch.cat([mean, deviation], 1))))
        return x * gate[..., None, None]


class Normed(Plain):
    """Norms and dropout inside, and weights that are normed."""

    def __init__(self) -> None:
        super().__init__()
        self.down = parametrizations.weight_norm(self.down)
        self.norm = nn.LayerNorm(4)
        self.dropout = nn.Dropout(0.5)

    def excite(self, z: Tensor) -> Tensor:
        return self.up(self.dropout(F.relu(self.norm(self.down(z)))))


class Excitation(Plain):
    """Gives its gate back, and multiplies nothing."""

    def forward(self, x: Tensor) -> Tensor:
        z = x.mean((2, 3), keepdim=True)
        return torch.sigmoid(self.excite(z.flatten(1))).view(len(x), C, 1, 1)


class Shared(Told):
    """One excitation for several places, each with the gate of the first map."""

    def __init__(self) -> None:
        super().__init__()
        self.excitation = Excitation()
        self.conv = nn.Conv2d(C, C, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        gate = self.excitation(x)
        for _ in range(2):
            x = self.conv(x * self.tell(self.first(x), gate))
        return x

    def first(self, x: Tensor) -> Tensor:
        """Return the squeeze of the first map, which all gates come from."""
        return self.squeezes[0] if len(self.squeezes) % 2 else x.mean((2, 3))


class Twice(Told):
    """Two excitations in one ``forward``."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(C, C)
        self.second = nn.Linear(C, C)

    def forward(self, x: Tensor) -> Tensor:
        for layer in (self.first, self.second):
            z = x.mean((2, 3))
            x = x * self.tell(z, torch.sigmoid(layer(z)))[..., None, None]
        return x


class Pair(Plain):
    """Gives back its output beside its gate."""

    def forward(self, x: Tensor) -> Any:
        z = x.mean((2, 3))
        gate = self.tell(z, torch.sigmoid(self.excite(z)))
        return self.scale(x, gate), gate


class First(nn.Module):
    """Takes the first of two."""

    def forward(self, pair: Any) -> Tensor:
        return pair[0]


class GlobalContext(Plain):
    """Weighs places by attention before the excitation."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.Conv2d(C, 1, 1)

    def squeeze(self, x: Tensor) -> Tensor:
        weights = self.attention(x).view(len(x), 1, -1, 1).softmax(2)
        return torch.matmul(x.view(len(x), 1, C, -1), weights).flatten(1)


class Style(Told):
    """SRM: weights of each channel alone, of its mean and standard deviation, and a norm."""

    def __init__(self) -> None:
        super().__init__()
        self.cfc = nn.Parameter(torch.randn(C, 2))
        self.norm = nn.BatchNorm1d(C)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(2)
        mean, deviation = flat.mean(-1), flat.std(-1)
        style = torch.stack((mean, deviation), -1)
        gate = torch.sigmoid(self.norm((style * self.cfc).sum(2)))
        return x * self.tell(mean, gate).view(len(x), C, 1, 1)


class Residual(Plain):
    """A block around the product, whose identity is another map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(C, C, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv(x))
        z = out.mean((2, 3))
        out *= self.tell(z, torch.sigmoid(self.excite(z)))[..., None, None]
        return F.relu(out + x)


IMAGES: dict[str, Callable[[], nn.Module]] = {
    "inverted residual": Inline,
    "function of autograd": Efficient,
    "convolution over channels": ECA,
    "channels last": ChannelsLast,
    "mean and maximum": MeanAndMaximum,
    "mean and deviation": MeanAndDeviation,
    "norms, dropout and normed weights": Normed,
    "one excitation for two places": Shared,
    "two excitations": Twice,
    "a pair": lambda: nn.Sequential(Pair(), First()),
    "attention to places": GlobalContext,
    "style": Style,
    "residual": Residual,
    "in a list": lambda: nn.Sequential(nn.ModuleList([Plain()])[0], nn.Conv2d(C, C, 1)),
}
"""Blocks on maps of images, (batch, channels, height, width)."""


class NoGate(nn.Module):
    """A block without a gate for a whole channel that was learned from a pooled map."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.layer = nn.Linear(C, C)
        self.one = nn.Linear(C, 1)
        self.conv = nn.Conv2d(2, 1, 3, padding=1)
        self.wide = nn.Conv2d(C, 2 * C, 1)
        self.scale = nn.Parameter(torch.rand(C, 1, 1))
        self.bias = nn.Parameter(torch.rand(C, 1, 1))
        self.strips = nn.Conv2d(C, C, 1)
        self.hidden = nn.Conv1d(1, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return (NO_GATES | ADDED)[self.way](self, x)


def _spatial(self: Any, x: Tensor) -> Tensor:
    places = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * torch.sigmoid(self.conv(places))


def _grn(self: Any, x: Tensor) -> Tensor:
    norm = x.norm(p=2, dim=(2, 3), keepdim=True)
    share = norm / (norm.mean(1, keepdim=True) + 1e-6)
    return self.scale * (x * share) + self.bias + x


def _instance_norm(self: Any, x: Tensor) -> Tensor:
    deviation, mean = torch.std_mean(x, (2, 3), keepdim=True)
    return (x - mean) * (self.scale / (deviation + 1e-5)) + self.bias


def _drop_path(self: Any, x: Tensor) -> Tensor:
    return x * torch.bernoulli(torch.full((len(x), 1, 1, 1), 0.9)).div_(0.9)


def _strips(self: Any, x: Tensor) -> Tensor:
    rows = torch.sigmoid(self.strips(x.mean(3, keepdim=True)))
    return x * rows * torch.sigmoid(self.strips(x.mean(2, keepdim=True)))


def _glu(self: Any, x: Tensor) -> Tensor:
    first, second = self.wide(x).chunk(2, 1)
    return first * torch.sigmoid(second)


def _sound(self: Any, x: Tensor) -> Tensor:
    flat = x.flatten(2)
    return (flat * torch.sigmoid(self.hidden(flat.mean(1, keepdim=True)))).view_as(x)


NO_GATES: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "attention to places": _spatial,
    "attention to moments": _sound,
    "gated linear unit": _glu,
    "gate for each place": lambda self, x: (
        x * torch.sigmoid(self.layer(x.movedim(1, 3))).movedim(3, 1)
    ),
    "scale of a layer": lambda self, x: x * self.scale,
    "sigmoid of a weight": lambda self, x: x * torch.sigmoid(self.scale),
    "factor of a sample": lambda self, x: (
        x * torch.sigmoid(self.one(x.mean((2, 3))))[:, :, None, None]
    ),
    "instance norm": _instance_norm,
    "response norm": _grn,
    "added context": lambda self, x: x + self.layer(x.mean((2, 3)))[..., None, None],
    "drop path": _drop_path,
    "dropout": lambda self, x: F.dropout2d(x, 0.5, training=True),
    "gates for rows and columns": _strips,
    "multiplied by its mean": lambda self, x: x * x.mean((2, 3), keepdim=True),
    "attention to channels and places": lambda self, x: (
        x * torch.sigmoid(_gate(self, x).expand_as(x) * self.strips(x)[:, :1].expand_as(x))
    ),
    "squeeze alone": lambda self, x: x * torch.sigmoid(x.mean((2, 3), keepdim=True)),
    "factor for a batch": lambda self, x: (
        x * torch.sigmoid(self.layer(x.mean((0, 2, 3))))[:, None, None]
    ),
}
"""What multiplies, or looks like it, and is no gate."""


def _gate(block: Any, x: Tensor) -> Tensor:
    return torch.sigmoid(block.layer(x.mean((2, 3))))[..., None, None]


ADDED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "map added": lambda self, x: x + x * _gate(self, x),
    "map added last": lambda self, x: x * _gate(self, x) + x,
    "map added in place": lambda self, x: (x * _gate(self, x)).add_(x),
    "gates for channels and for places": lambda self, x: (
        x * _gate(self, x) + x * torch.sigmoid(self.strips(x).mean(1, keepdim=True))
    ),
    "the larger of both": lambda self, x: torch.max(
        x * _gate(self, x), x * torch.sigmoid(self.strips(x).mean(1, keepdim=True))
    ),
    "addcmul": lambda self, x: torch.addcmul(x, x, _gate(self, x)),
}
"""Blocks that add to the product of a map and its gate what comes from the map itself."""
