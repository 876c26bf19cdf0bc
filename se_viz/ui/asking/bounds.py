"""How much of each kind of answer is kept for all sessions.

Why: docs/decisions/030-what-keys-the-caches.md
"""

from collections.abc import Mapping
from dataclasses import dataclass

from se_viz.engine import questions


@dataclass(frozen=True, slots=True)
class Bound:
    """What a cache may hold."""

    entries: int
    """How many answers."""
    size: str | None = None
    """How many bytes of them together; None: they are small."""
    shared: bool = False
    """Whether all sessions are given the same object, into which nobody may write, instead of a
    copy each."""


BOUNDS: Mapping[type, Bound] = {
    questions.AnalyseEdited: Bound(256, "128MB"),
    questions.Redesign: Bound(256, "128MB"),
    questions.OpenGate: Bound(64, "128MB"),
    questions.DifferentiateGate: Bound(512, "32MB"),
    questions.DifferentiateBlock: Bound(64, "32MB"),
    questions.FindDead: Bound(64, "8MB"),
    questions.Attribute: Bound(1024, "512MB"),
    questions.AttributeEdited: Bound(256, "64MB"),
    questions.JudgeMethod: Bound(1024),
    questions.AttributeGate: Bound(256, "128MB"),
    questions.Erase: Bound(256, "128MB"),
    questions.AttributeLayer: Bound(512, "64MB"),
    questions.AttributeLayers: Bound(128, "64MB"),
    questions.WeighChannels: Bound(64, "128MB"),
    questions.AttributeToGates: Bound(256, "16MB"),
    questions.TracePaths: Bound(64, "128MB"),
    questions.EstimateEffects: Bound(256, "16MB"),
    questions.AblateChannels: Bound(1024, "256MB"),
    questions.ReplaceGates: Bound(256, "32MB"),
    questions.MakeYardstick: Bound(512, "64MB"),
    questions.ScoreMap: Bound(2048, "32MB"),
    questions.MeasureSensitivity: Bound(2048, "8MB"),
    questions.CheckSanity: Bound(256, "256MB"),
    questions.RunSettings: Bound(64, "64MB"),
    questions.FindPlaces: Bound(256, "8MB"),
    questions.MeasurePace: Bound(64),
    questions.MeasureCost: Bound(64),
    questions.ReadLenders: Bound(4, shared=True),
}
"""What is kept of each kind of question. Analyses have caches of their own, see `get_analysis`."""
