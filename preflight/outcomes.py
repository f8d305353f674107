"""One record a (check, node): what exit status, results.jsonl, grid, report and diagnosis read, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .judgement import Remedy

Verdict = Literal["pass", "fail", "warning", "could not check", "blocked", "not applicable", "waived"]

RED: tuple[Verdict, ...] = ("fail",)
UNCHECKED: tuple[Verdict, ...] = ("could not check", "blocked")


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one check ended on one node.

    reason: one sentence for every outcome but pass; observed, expected, details, remedy: of a finding
    waiver: the waiver's reason, owner and expiry as one line
    """

    check: str
    node: str
    severity: str
    outcome: Verdict
    title: str
    reason: str = ""
    observed: str = ""
    expected: str = ""
    details: tuple[str, ...] = ()
    remedy: Remedy | None = None
    waiver: str | None = None


OK, WRONG, INTERRUPTED, USAGE, NOTHING_RAN, NOT_CHECKED = 0, 1, 2, 4, 5, 10
"""Exit statuses. 3 and 6 are pytest's own (internal error, --max-warnings)."""


def exit_status(outcomes: Iterable[Outcome], *, fail_on_warning: bool = False) -> int:
    """The run's exit status from its outcomes alone: wrong before not checked before well; nothing ran is 5."""
    seen = {outcome.outcome for outcome in outcomes}
    if not seen:
        return NOTHING_RAN
    if seen.intersection(RED) or (fail_on_warning and "warning" in seen):
        return WRONG
    return NOT_CHECKED if seen.intersection(UNCHECKED) else OK
