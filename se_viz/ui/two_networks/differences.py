"""What differs between two networks, in sentences with numbers."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import streamlit as st

from se_viz.attribution.pixels import STRONGEST, compare_maps
from se_viz.attribution.question import Attribution
from se_viz.engine.questions import MeasureCost
from se_viz.errors import SeVizError
from se_viz.experiments import tabulate_depth
from se_viz.networks.cost import Cost
from se_viz.networks.twins import see_alike
from se_viz.ui.asking import ask, attempt
from se_viz.ui.two_networks.members import Member
from se_viz.ui.words import as_markdown, plain


def show_differences(
    first: Member, second: Member, matches: Mapping[int, int], maps: Sequence[Attribution]
) -> None:
    """Say how answers, gates, maps and costs differ.

    Raises:
        OvertakenError: a newer choice has come meanwhile.
    """
    costs = [
        attempt(partial(ask, member.choices, MeasureCost(), "Counting multiply-adds…"))
        for member in (first, second)
    ]
    lines = [
        describe_answers(first, second, matches),
        describe_gates(first, second),
        describe_maps(first, second, maps),
        describe_costs((first.title, second.title), costs),
    ]
    st.markdown("\n".join(f"- {line}" for line in lines))


def describe_answers(first: Member, second: Member, matches: Mapping[int, int]) -> str:
    """Say what both networks answer, and how sure they are."""
    best = [member.analysis.top(1)[0] for member in (first, second)]
    names = [
        plain(member.choices.network.classes[index])
        for member, (index, _) in zip((first, second), best, strict=True)
    ]
    shares = [
        f"{share:.1%}" if member.choices.network.card.shares else f"{share:.4g}"
        for member, (_, share) in zip((first, second), best, strict=True)
    ]
    if matches.get(best[0][0]) == best[1][0]:
        points = 100 * (best[0][1] - best[1][1])
        apart = f" ({points:+.1f} points)" if first.choices.network.card.shares else ""
        return (
            f"**Answer**: both say **{names[0]}**, {first.title} with {shares[0]} and "
            f"{second.title} with {shares[1]}{apart}."
        )
    return (
        f"**Answer**: {first.title} says **{names[0]}** with {shares[0]}, {second.title} says "
        f"**{names[1]}** with {shares[1]}."
    )


def describe_gates(first: Member, second: Member) -> str:
    """Say how widely the gates of a block spread, on average over the blocks."""
    spreads = [
        tabulate_depth(member.analysis.records)["std"].to_numpy().mean()
        if member.analysis.records
        else None
        for member in (first, second)
    ]
    if spreads == [None, None]:
        return "**Gates**: neither network has any."
    said = [
        f"{member.title} has none"
        if spread is None
        else f"those of {member.title} spread by **{spread:.3f}** in a block"
        for member, spread in zip((first, second), spreads, strict=True)
    ]
    return f"**Gates**: {said[0]}, {said[1]} (standard deviation over channels, mean over blocks)."


def describe_maps(first: Member, second: Member, maps: Sequence[Attribution]) -> str:
    """Say how far both maps agree, where they can be compared place by place."""
    if len(maps) < 2:
        return "**Maps**: only two maps can be compared, and one is missing."
    if not see_alike(first.choices.network.card, second.choices.network.card):
        return (
            "**Maps**: the networks see different parts of the input, so that their maps are not "
            "compared place by place."
        )
    agreement = compare_maps(maps[0].map, maps[1].map)
    if agreement is None:
        return "**Maps**: one of them has the same value everywhere, and tells no place."
    return (
        f"**Maps**: they correlate by **{agreement.correlation:.2f}**, and their strongest tenths "
        f"overlap by **{agreement.overlap:.0%}** (by chance {STRONGEST / (2 - STRONGEST):.0%})."
    )


def describe_costs(titles: tuple[str, str], costs: Sequence[Cost | SeVizError]) -> str:
    """Say what both networks take, and how much more one does than the other."""
    counted = [cost for cost in costs if isinstance(cost, Cost)]
    if len(counted) < 2:
        problem = next(cost for cost in costs if isinstance(cost, SeVizError))
        return f"**Cost**: {as_markdown(problem)}"
    said = [
        f"{title} has {cost.parameters / 1e6:.3g} M parameters and {cost.gflops:.3g} G "
        "multiply-adds"
        for title, cost in zip(titles, counted, strict=True)
    ]
    apart = " and ".join(_compare(counted[0], counted[1]))
    return f"**Cost**: {said[0]}, {said[1]}: {titles[0]} has {apart}."


def _compare(first: Cost, second: Cost) -> Iterator[str]:
    for word, one, other in (
        ("parameters", first.parameters, second.parameters),
        ("multiply-adds", first.gflops, second.gflops),
    ):
        ratio = one / other if other else 1.0
        if ratio == 1:
            yield f"as many {word}"
        elif ratio >= 2:
            yield f"**{ratio:.3g} times** as many {word}"
        else:
            amount = f"{100 * abs(ratio - 1):.2g}\N{NO-BREAK SPACE}%"
            yield f"**{amount}** {'more' if ratio > 1 else 'fewer'} {word}"
