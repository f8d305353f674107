"""From failures to causes: what is wrong, on which node, with its evidence and its fix, in the order to act."""

from __future__ import annotations

from collections.abc import Sequence

from ..facts import Survey
from ..judgement import Diagnosis
from ..outcomes import Outcome
from . import evidence
from .causes import ranked
from .lines import node_lines
from .scene import Scene
from .verdict import notes, verdict

__all__ = ["diagnose"]


def diagnose(survey: Survey, outcomes: Sequence[Outcome]) -> Diagnosis:
    """What the operator reads first.

    Every failure and warning stands under at least one cause: where no row of the table knows it, its own finding is
    the cause. A row whose predicate meets an unknown fact is undecided and does not appear.
    """
    scene = Scene(survey, outcomes)
    causes = evidence.added(scene, ranked(scene))
    return Diagnosis(
        verdict=verdict(scene, causes),
        causes=causes,
        nodes=node_lines(survey),
        notes=(*notes(survey), *evidence.notes(survey, causes)),
    )
