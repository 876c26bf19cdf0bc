"""The two networks of the page, each with what it made of the image."""

from dataclasses import dataclass

from se_viz.experiments import Analysis, match_classes
from se_viz.ui.asking import Choices
from se_viz.ui.words import plain


@dataclass(frozen=True, slots=True)
class Member:
    """One network before the image."""

    name: str
    """What figures call it: a stranger's word, perhaps."""
    choices: Choices
    """What it is asked about."""
    analysis: Analysis
    """Its answer, and its gates."""

    @property
    def title(self) -> str:
        """What sentences call it, as Markdown."""
        return plain(self.name)


def pair_up(
    first: Choices, analysis: Analysis, second: Choices, other: Analysis
) -> tuple[Member, Member]:
    """Return both networks under names that differ."""
    titles = [choices.network.card.title for choices in (first, second)]
    names = titles if titles[0] != titles[1] else [first.name, second.name]
    return Member(names[0], first, analysis), Member(names[1], second, other)


def match_members(first: Member, second: Member) -> dict[int, int]:
    """Return the classes that both know, see `match_classes`; none where their answers are of
    different kinds.
    """
    cards = first.choices.network.card, second.choices.network.card
    if cards[0].answer != cards[1].answer:
        return {}
    return match_classes(first.choices.network.classes, second.choices.network.classes)
