"""What the diagnosis looks at: the survey, and how every check ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..facts import CouldNotCheck, NodeFacts, Repository, Survey, Unknown, VerifyFailure
from ..judgement import NotApplicable
from ..outcomes import Outcome
from ..rules import members, refusals, repository, restart

TROUBLE = ("fail", "warning", "could not check", "blocked")
"""Outcomes that ask for an explanation. A waived failure has one already."""

Pair = tuple[str, str]
"""(check, node)."""


class Scene:
    """A survey with its outcomes, and the questions that several causes ask of both."""

    def __init__(self, survey: Survey, outcomes: Sequence[Outcome]) -> None:
        self.survey = survey
        self.outcomes = tuple(outcomes)
        self._by_pair = {(o.check, o.node): o for o in self.outcomes}

    def outcome(self, check: str, node: str) -> Outcome | None:
        """How the check ended on the node; None where it did not run."""
        return self._by_pair.get((check, node))

    def troubled(self, pairs: Iterable[Pair]) -> tuple[Pair, ...]:
        """Those of the pairs that ran and ask for an explanation, in the order of the outcomes."""
        wanted = set(pairs)
        return tuple((o.check, o.node) for o in self.outcomes if (o.check, o.node) in wanted and o.outcome in TROUBLE)

    def unchecked(self, node: str) -> tuple[Pair, ...]:
        """Everything that could not be checked on a node."""
        return tuple(
            (o.check, o.node) for o in self.outcomes if o.node == node and o.outcome in ("could not check", "blocked")
        )

    def failures(self, node: NodeFacts, only: tuple[Repository, ...] | None = None) -> tuple[VerifyFailure, ...]:
        """The node's own failures in `_verify`, one a repository at most; none where they are unknown.

        only: of these repositories, None for all
        """
        found = []
        try:
            for candidate in members.repositories(self.survey, node) if only is None else only:
                failure = self._failure(node, candidate.name)
                found.extend([failure] if failure else [])
        except (CouldNotCheck, NotApplicable):
            return ()
        return tuple(found)

    def sentences(self, node: NodeFacts, kind: str, only: tuple[Repository, ...] | None = None) -> tuple[str, ...]:
        """The first of the node's `_verify` failures of one kind (refusals.Meaning.kind) as a line of evidence.

        only: of these repositories alone
        """
        found = [f.sentence for f in self.failures(node, only) if (m := refusals.of(f)) is not None and m.kind == kind]
        return tuple(f"_verify on {node.name}: {sentence}" for sentence in found[:1])

    def _failure(self, node: NodeFacts, name: str) -> VerifyFailure | None:
        try:
            return repository.failure_of(self.survey, node, name)
        except CouldNotCheck:
            return None

    def repository_pairs(
        self, node: NodeFacts, *kinds: str, only: tuple[Repository, ...] | None = None
    ) -> tuple[Pair, ...]:
        """REPO-1 of the node where it failed for one of these reasons (refusals.Meaning.kind) or gave no answer.

        only: of these repositories alone

        With it REPO-1 of every node that was not tested because this one is the elected master.
        """
        own: list[Pair] = []
        outcome = self.outcome("REPO-1", node.name)
        meanings = [refusals.of(failure) for failure in self.failures(node, only)]
        explained = any(m is not None and m.kind in kinds for m in meanings)
        silent = outcome is not None and outcome.outcome == "could not check" and "gave no answer" in outcome.reason
        if explained or (silent and "connection" in kinds):
            own.append(("REPO-1", node.name))
            judged = restart.judge(self.survey, node)
            if judged.mounted and not (judged.reasons or judged.changes):
                own.append(("RESTART-1", node.name))
        is_master = not isinstance(node.view, Unknown) and node.view.master_id == node.view.node_id
        if own and (is_master or silent):
            own += [(o.check, o.node) for o in self.outcomes if o.check == "REPO-1" and o.outcome == "could not check"]
        return tuple(own)
