"""Two answers of a network to the same input, in words."""

from se_viz.engine import NetworkView
from se_viz.experiments import Analysis
from se_viz.ui.words import plain


def describe_answers(network: NetworkView, before: Analysis, after: Analysis) -> str:
    """Say the answer, and what a change made of it: with its probability, but for several
    independent classes.
    """
    old, new = (plain(network.name_answer(look.logits)) for look in (before, after))
    was, share = (_share_of_answer(network, look) for look in (before, after))
    if after is before:
        return f"**{old}**" + (f": {was}" if was else "")
    if old == new:
        return f"Still **{old}**" + (f": {was} → {share}" if was else "")
    return (
        f"Now **{new}**{f' ({share})' if share else ''} instead of "
        f"**{old}**{f' ({was})' if was else ''}"
    )


def _share_of_answer(network: NetworkView, analysis: Analysis) -> str:
    """Return the probability of the answer; of several independent classes there is none."""
    if not network.card.shares or (network.card.multi_label and len(network.classes) > 1):
        return ""
    share = analysis.probabilities.max().item()
    # The negation of a single class is the answer where the class is not.
    return f"{share if network.labels(analysis.logits) else 1 - share:.1%}"
