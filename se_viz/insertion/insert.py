"""SE blocks put into an existing network, by replacing modules."""

from collections.abc import Callable, Collection

from torch import nn

from se_viz.errors import NetworkError
from se_viz.insertion.blocks import EXCITATIONS, SQUEEZES, STARTS, BlockPlan
from se_viz.insertion.probing import Map, probe
from se_viz.insertion.spots import (
    INTEGRATIONS,
    Spot,
    check_plain,
    choose_spots,
    find_spots,
    strip,
)


def insert_se(
    model: nn.Module,
    *,
    where: Callable[[str, nn.Module], bool] | None = None,
    reduction: int = 16,
    squeeze: str = "mean",
    excitation: str = "sigmoid",
    integration: str = "standard",
    stages: str | Collection[int] = "all",
    start: str = "paper",
    size: int = 224,
) -> nn.Module:
    """Put SE blocks into a network, in place, and return it.

    As in Hu et al., arXiv 1709.01507: into the residual branch of torchvision's ResNet, ResNeXt,
    Wide ResNet, MobileNet, ShuffleNetV2 (its second branch), MNASNet, ConvNeXt and EfficientNet
    (whose own blocks are taken out first); after each inception module of GoogLeNet and Inception
    v3, each dense layer of DenseNet, and the function behind each convolution of VGG (section 3.3).
    In any other network the block follows each module for which ``where(path, module)`` is true.
    timm builds many networks with blocks of its own: ``timm.create_model("resnet50",
    attn_layer="se")``.

    ``reduction`` is r (6.1). ``squeeze``: ``mean``, ``max`` (6.2), ``none`` (7.1, a gate for each
    place, which is no SE gate and is not found as one). ``excitation``: ``sigmoid``, ``tanh``,
    ``relu`` (6.3). ``stages``: numbers, log2 of the stride of a unit's output, 2 to 5 in a ResNet
    (6.4), or ``all``. ``integration`` (6.5): ``standard``; ``pre``, before the branch; ``post``,
    after the sum; ``identity``, on the shortcut of a ResNet; ``3x3``, behind the unit's spatial
    convolution and its norm.

    ``start="paper"`` is PyTorch's ordinary initialisation. With ``start="identity"`` the network
    answers as before, bit for bit: every gate is exactly 1, as 2 sigmoid(W2 relu(W1 z) + b2), 1 +
    tanh(W2 relu(W1 z) + b2) or relu(W2 relu(W1 z) + 1) with W2 = 0 and b2 = 0; W2 has a gradient.

    A block has 2 C^2 / r weights, the paper's count, and C / r + C biases. One pass of an image of
    side ``size`` finds out channels and strides. Mode, device and precision stay as they are.

    Raises:
        NetworkError: a choice that does not exist or does not fit the network; nothing is changed.
    """
    plan = BlockPlan(reduction, squeeze, excitation, start)
    _check_choices(plan, integration, by_rule=where is not None)
    if where:
        spots = choose_spots(model, where)
    else:
        spots = find_spots(model, integration)
        check_plain(model)
    maps = probe(model, spots, size)
    chosen = _choose_stages(spots, maps, stages)
    blocks = [plan.build(maps[spot].channels, spot.path) for spot in chosen]
    if not where:
        strip(model)
    like = next((value for value in model.parameters() if value.is_floating_point()), None)
    for spot, block in zip(chosen, blocks, strict=True):
        _put(spot, block.to(like).train(model.training))
    return model


def _check_choices(plan: BlockPlan, integration: str, *, by_rule: bool) -> None:
    choices = (
        ("squeeze", plan.squeeze, tuple(SQUEEZES)),
        ("excitation", plan.excitation, tuple(EXCITATIONS)),
        ("integration", integration, INTEGRATIONS),
        ("start", plan.start, STARTS),
    )
    for name, value, known in choices:
        if value not in known:
            raise NetworkError(f"There is no {name} {value!r}. Choose one of: {', '.join(known)}.")
    if not isinstance(plan.reduction, int) or plan.reduction < 1:
        raise NetworkError(
            f"Reduction {plan.reduction!r} is no whole number from 1 on. The paper's is 16."
        )
    if by_rule and integration != "standard":
        raise NetworkError(
            f"With `where` the block follows each module that the rule names, and integration "
            f"{integration} would put it elsewhere. Leave one of the two out."
        )


def _choose_stages(
    spots: list[Spot], maps: dict[Spot, Map], stages: str | Collection[int]
) -> list[Spot]:
    if stages == "all":
        return spots
    known = sorted({maps[spot].stage for spot in spots})
    if isinstance(stages, str) or not stages or not set(stages) <= set(known):
        raise NetworkError(
            f"Stages {stages!r} are not all among those with a place for SE blocks. Choose from "
            f"{', '.join(map(str, known))}, or 'all'."
        )
    return [spot for spot in spots if maps[spot].stage in stages]


def _put(spot: Spot, block: nn.Module) -> None:
    owner, name = spot.target
    target = getattr(owner, name)
    if target is None:
        setattr(owner, name, block)
        return
    pair = (target, block) if spot.side == "after" else (block, target)
    setattr(owner, name, nn.Sequential(*pair).train(owner.training))
