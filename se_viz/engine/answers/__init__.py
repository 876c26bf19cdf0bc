"""How each kind of question is answered: one function a kind, and the table that names it.

Each function calls one of the library and returns what that returns, or less: small, frozen and on
the CPU. Captum is imported by functions that need it, when they run.
"""

from collections.abc import Callable, Mapping
from typing import Any

from se_viz.engine import questions
from se_viz.engine.answers import experiments, gates, layers, pixels, scores
from se_viz.engine.answers.work import Work

__all__ = ["ANSWERS", "Work", "answer"]

ANSWERS: Mapping[type, Callable[[Any, Work], Any]] = {
    questions.Analyse: gates.analyse_photo,
    questions.AnalyseEdited: gates.analyse_edited,
    questions.Redesign: gates.redesign_blocks,
    questions.OpenGate: gates.open_one,
    questions.DifferentiateGate: gates.differentiate_gate,
    questions.DifferentiateBlock: gates.differentiate_block,
    questions.FindDead: gates.count_dead,
    questions.FindPlaces: gates.find_places,
    questions.Attribute: pixels.attribute_class,
    questions.AttributeEdited: pixels.attribute_edited,
    questions.JudgeMethod: pixels.judge,
    questions.AttributeGate: pixels.attribute_gate,
    questions.Erase: pixels.erase,
    questions.AttributeLayer: layers.attribute_one,
    questions.AttributeLayers: layers.attribute_several,
    questions.WeighChannels: layers.weigh_channels,
    questions.AttributeToGates: layers.attribute_to_gates,
    questions.TracePaths: layers.trace,
    questions.EstimateEffects: experiments.estimate,
    questions.AblateChannels: experiments.ablate,
    questions.ReplaceGates: experiments.replace_gates,
    questions.MakeYardstick: scores.make_yardstick,
    questions.ScoreMap: scores.score,
    questions.MeasureSensitivity: scores.measure_sensitivity,
    questions.CheckSanity: scores.check_sanity,
    questions.RunSettings: experiments.run,
    questions.MeasurePace: experiments.measure,
    questions.MeasureCost: experiments.count,
    questions.ReadLenders: experiments.read,
}
"""What answers each kind of question."""


def answer(question: questions.Question, work: Work) -> Any:
    """Answer a question.

    Raises:
        SeVizError: it cannot be answered; the text says why and what to do.
    """
    return ANSWERS[type(question)](question, work)
