"""`replay`: what a bundle holds, computed again and compared."""

import argparse

from se_viz.commands.inputs import load
from se_viz.names import show_text
from se_viz.replay import read_bundle
from se_viz.replay import replay as run_again


def replay(arguments: argparse.Namespace) -> int:
    """Run a bundle again, and tell the largest difference of gates, logits and each map.

    Return 0 where all are within the tolerance, 1 otherwise.
    """
    bundle = read_bundle(arguments.bundle)
    settings = bundle.settings
    own = bool(arguments.weights or arguments.network)
    result = run_again(
        bundle,
        photo=arguments.photo,
        network=load(arguments) if own else None,
        device=arguments.device,
        folder=arguments.checkpoints,
        tolerance=arguments.tolerance,
    )
    print(show_text(f"{settings.name or 'A photo'} before {settings.network}"))
    for difference in result.differences:
        words = (
            "equal bit for bit"
            if difference.equal
            else f"largest difference {difference.largest:.3g}, of values up to "
            f"{difference.scale:.3g}"
        )
        mark = "" if difference.within(arguments.tolerance) else "  <- differs"
        print(show_text(f"  {difference.what}: {words}{mark}"))
    for change in result.changed:
        print(show_text(f"  not as there: {change}"))
    allowed = f"{arguments.tolerance:g} of the largest value"
    print(f"The same, within {allowed}." if result.same else f"Not the same within {allowed}.")
    return int(not result.same)
