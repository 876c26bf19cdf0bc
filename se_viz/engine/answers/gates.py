"""Answers about gates: what they were, how they were made, and with which others they go."""

from typing import Any

import numpy as np
from jaxtyping import Float

from se_viz.devices import line_of
from se_viz.engine.answers.work import Work
from se_viz.engine.questions import (
    Analyse,
    AnalyseEdited,
    DifferentiateBlock,
    DifferentiateGate,
    FindDead,
    FindPlaces,
    OpenGate,
    Redesign,
)
from se_viz.engine.views import BlockJacobian
from se_viz.experiments import Analysis, Redesigned, analyse, find_dead, redesign
from se_viz.gates import Excitation, GateRecord, gate_jacobian, open_gate
from se_viz.gates.jacobian import average_cells, find_pattern, find_strongest
from se_viz.readings import Place


def analyse_photo(question: Analyse, work: Work) -> Analysis:
    """Analyse the image, with the feature maps of one block where they are asked for."""
    keep = [question.block] if question.block else []
    return analyse(work.network, work.photo, keep_features=keep, whole=True, watch=work.watch)


def analyse_edited(question: AnalyseEdited, work: Work) -> Analysis:
    """Analyse the image with changed gates."""
    return analyse(work.network, work.photo, edits=question.edits, whole=True, watch=work.watch)


def redesign_blocks(question: Redesign, work: Work) -> Redesigned:
    """Run the image with blocks that are designed anew."""
    before: Analysis = work.recall(Analyse(), work.digest)
    return redesign(
        work.network,
        work.photo,
        question.design,
        before=before,
        whole=True,
        watch=work.watch,
    )


def open_one(question: OpenGate, work: Work) -> Excitation:
    """Open a block's gates."""
    record = _record(question.block, work)
    with line_of(work.network.device).turn(work.watch):
        return open_gate(work.network.model, record)


def differentiate_gate(question: DifferentiateGate, work: Work) -> Float[np.ndarray, "channels"]:
    """Return one row of a block's Jacobian."""
    record = _record(question.block, work)
    with line_of(work.network.device).turn(work.watch):
        return gate_jacobian(work.network.model, record, channels=[question.channel])[0].numpy()


def differentiate_block(question: DifferentiateBlock, work: Work) -> BlockJacobian:
    """Return what is shown of a block's whole Jacobian."""
    record = _record(question.block, work)
    with line_of(work.network.device).turn(work.watch):
        jacobian = gate_jacobian(work.network.model, record)
    pattern = find_pattern(jacobian)
    cells = average_cells(jacobian[pattern.rows][:, pattern.columns].numpy(), question.cells)
    return BlockJacobian(cells, pattern, find_strongest(jacobian, question.strongest))


def find_places(question: FindPlaces, work: Work) -> tuple[Place, ...]:
    """Find where the network's answer may be read."""
    with line_of(work.network.device).turn(work.watch):
        return work.network.find_places(work.inputs)


def count_dead(question: FindDead, work: Work) -> dict[str, int]:
    """Count the channels that are zero in every image, for each block."""
    photos = [work.photos[digest] for digest in question.digests]
    return find_dead(work.network, photos, question.blocks, whole=True, watch=work.watch)


def _record(block: str, work: Work) -> GateRecord:
    analysis: Any = work.recall(Analyse(), work.digest)
    return analysis.record(block)
