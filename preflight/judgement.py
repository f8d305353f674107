"""What a rule may say of a fact, and what a check raises: the words between rules, tests and outcomes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from .facts import CouldNotCheck, known

__all__ = [
    "Cause",
    "Command",
    "CouldNotCheck",
    "Diagnosis",
    "Failed",
    "Finding",
    "NodeLine",
    "NotApplicable",
    "Phase",
    "Remedy",
    "Step",
    "known",
    "require",
]


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command to type, verbatim. where: a node's name, or "controller" for the machine the suite runs on."""

    where: str
    text: str


Phase = Literal["prepare", "prove", "change", "apply", "verify", "prevent", "undo", "cleanup"]
"""What a step is for, in the order of an incident. undo is only for when something went wrong before it."""


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of the runbook on one node.

    title: what it does, without the node's name, so that the same step of several nodes is one; a verb first
    commands: in order; each ends with a status other than 0 where the next must not be typed
    notes: what to know before, to read in an answer, or to do where no command can; a sentence each
    """

    phase: Phase
    title: str
    commands: tuple[Command, ...] = ()
    notes: tuple[str, ...] = ()


class Remedy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do about a finding.

    caution: first line where the facts do not prove the commands safe ("do not remove yet: role not proven on es-2");
    None means proven safe. commands are then the way to prove it, not the fix.
    advice: what no command here can do ("change the keys' source in configuration management")
    steps: the same told whole, for the runbook, each command judging its own answer; where there are none the runbook
    is made of commands and advice
    """

    commands: tuple[Command, ...] = ()
    caution: str | None = None
    advice: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One judgement that something is wrong, in words a person can read and without a secret.

    details: further lines (a diff, a list of pairs); warning: worth a look only, whatever the check's severity
    """

    observed: str
    expected: str
    details: tuple[str, ...] = ()
    warning: bool = False


class NotApplicable(Exception):
    """The check has no subject on this node; str() is the reason (shown as skipped)."""


class Failed(AssertionError):
    """A finding on its way through pytest. Its text is all that any output shows."""

    def __init__(self, finding: Finding, remedy: Remedy | None = None) -> None:
        super().__init__(finding.observed)
        self.finding = finding
        self.remedy = remedy

    def __str__(self) -> str:
        lines = [f"observed: {self.finding.observed}", *(f"  {line}" for line in self.finding.details)]
        lines.append(f"expected: {self.finding.expected}")
        if self.remedy:
            if self.remedy.caution:
                lines.append(self.remedy.caution)
            lines.extend(f"  on {command.where}: {command.text}" for command in self.remedy.commands)
            lines.extend(self.remedy.advice)
        return "\n".join(lines)


def require(finding: Finding | None, fix: Callable[[], Remedy] | None = None) -> None:
    """Pass where there is no finding, else raise Failed with its remedy. Raises AssertionError only."""
    if finding is not None:
        raise Failed(finding, fix() if fix else None)


class Cause(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why something is wrong: one ranked row of the diagnosis.

    title: one sentence naming cause and nodes; evidence: what was seen, one line each
    explains: the (check, node) outcomes that follow from it and are shown under it
    remedy: the first node's, with a word on the others; remedies: each node's own, one entry a node of nodes
    """

    id: str
    title: str
    nodes: tuple[str, ...]
    evidence: tuple[str, ...]
    confidence: Literal["certain", "likely", "possible"]
    explains: tuple[tuple[str, str], ...]
    remedy: Remedy
    remedies: tuple[Remedy, ...] = ()


class NodeLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One node's state in words ("static keys in use, refused by S3; role proven on this node; ...")."""

    node: str
    text: str


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the operator reads first. verdict: one sentence; causes: in the order an operator must act;
    notes: lines that are nobody's failure (members not given, --read-only, assumed values)."""

    verdict: str
    causes: tuple[Cause, ...]
    nodes: tuple[NodeLine, ...]
    notes: tuple[str, ...] = ()
