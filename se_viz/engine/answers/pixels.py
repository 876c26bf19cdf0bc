"""Answers by pixels: of a class, of one gate, and what erasing pixels does to a gate."""

from se_viz.attribution.gates import Erasure, attribute_neuron, check_region, mark_strongest
from se_viz.attribution.pixels import Fitness, attribute, judge_method
from se_viz.attribution.question import Attribution, NeuronAttribution
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import Attribute, AttributeEdited, AttributeGate, Erase, JudgeMethod
from se_viz.gates import edit_gates
from se_viz.gates.surgery import compile_edits


def attribute_class(question: Attribute, work: Work) -> Attribution:
    """Attribute a class to pixels."""
    return attribute(
        work.network,
        work.inputs,
        question.target.index,
        question.method,
        against=question.target.against,
        baseline=question.baseline,
        stage=question.stage,
        **work.callbacks,
        **dict(question.options),
    )


def attribute_edited(question: AttributeEdited, work: Work) -> Attribution:
    """Attribute a class to pixels with changed gates."""
    changes = compile_edits(question.edits, work.network.inspection.sites)
    with edit_gates(work.network.model, changes):
        return attribute_class(question.attribute, work)


def judge(question: JudgeMethod, work: Work) -> Fitness:
    """Judge a method on the network."""
    work.watch(0)
    return judge_method(work.network, question.method)


def attribute_gate(question: AttributeGate, work: Work) -> NeuronAttribution:
    """Attribute one gate to pixels."""
    return attribute_neuron(
        work.network,
        work.inputs,
        question.neuron,
        question.method,
        target=question.target,
        **work.callbacks,
    )


def erase(question: Erase, work: Work) -> Erasure:
    """Erase what a gate's map marks, and read the gate again."""
    gate_map: NeuronAttribution = work.recall(question.map, work.digest)
    sign = question.sign if gate_map.signed else 1
    return check_region(
        work.network,
        work.photo,
        mark_strongest(gate_map.map, question.share, sign=sign),
        question.map.neuron,
        fill=question.fill,
        sign=question.sign,
        watch=work.watch,
    )
