"""What a link opens in a network: block, channel and classes, each checked against the network."""

from collections.abc import Callable
from functools import partial

from se_viz.ui.asking import Choices
from se_viz.ui.session import keys, refuse, take
from se_viz.ui.session.keys import Key


def use_linked(choices: Choices) -> None:
    """Open what the link names, which opened the session; say what this network does not have."""
    sites = {site.name: site for site in choices.network.inspection.sites}
    block = take(keys.BLOCK.name)
    if block in sites:
        keys.BLOCK.set(block)
    elif block is not None:
        refuse(keys.BLOCK.name, block, "Choose a block of this network below.")
    # Of no block, or of another one than the link's, its number means nothing.
    width = sites[block].channels if block in sites else 0
    _use_number(keys.CHANNEL.name, width, keys.CHANNEL.set)
    token = (choices.image.digest, choices.name)
    count = len(choices.network.classes)
    for name, classes in ((keys.TARGET.name, keys.TARGETS), (keys.AGAINST.name, keys.AGAINSTS)):
        _use_number(name, count, partial(_choose_class, classes, token))


def _choose_class(classes: Key, token: tuple[str, str], index: int) -> None:
    classes.set({**classes.get(), token: index})


def _use_number(name: str, count: int, use: Callable[[int], None]) -> None:
    value = take(name)
    if value is None:
        return
    if value.isascii() and value.isdigit() and len(value) < 8 and int(value) < count:
        use(int(value))
    elif count:
        refuse(name, value, f"Choose from 0 to {count - 1} below.")
