"""How a test ended, as one outcome of the table in docs, and the same told to pytest's terminal, JUnit and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from ..check import Check, check_of
from ..connection.errors import ConnectionFailed
from ..facts import CouldNotCheck, Unknown
from ..judgement import Failed, NotApplicable, Remedy
from ..outcomes import Outcome, Verdict
from ..redaction import redact, redact_report, redact_tree
from . import nodes
from .run import Run, bug

LOGIN_CHECK = "NODE-1"
"""The check that says whether a node could be surveyed at all: where it could not, the others are blocked by it."""

ATTRIBUTE = "preflight"
"""Of a pytest report: the outcome as plain values, so that it passes from an xdist worker to its controller."""

STATUS: dict[Verdict, tuple[str, str, tuple[str, dict[str, bool]]]] = {
    "warning": ("warned", "w", ("WARNING", {"yellow": True})),
    "could not check": ("error", "E", ("COULD NOT CHECK", {"red": True})),
    "blocked": ("blocked", "b", ("BLOCKED", {"yellow": True})),
    "not applicable": ("skipped", "s", ("NOT APPLICABLE", {"yellow": True})),
    "waived": ("xfailed", "x", ("WAIVED", {"yellow": True})),
}
"""pytest's category, letter and word for the outcomes that are not simply passed or failed."""


TOLD = (Failed, CouldNotCheck, ConnectionFailed, NotApplicable)
"""Exceptions of a check of which every output shows our own words."""


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How one test ended, before waivers. text: what every output shows of it, None to leave pytest's own."""

    verdict: Verdict
    reason: str = ""
    text: str | None = None
    failed: Failed | None = None
    remedy: Remedy | None = None


@contextmanager
def untraced(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Keep an exception from pytest whose report a check writes itself: to format the traceback, which nobody would
    see, costs several times what the check does."""
    excinfo = call.excinfo
    if check_of(item) is None or excinfo is None or not isinstance(excinfo.value, TOLD):
        yield
        return
    call.excinfo = None
    try:
        yield
    finally:
        call.excinfo = excinfo


def judge(run: Run, item: pytest.Item, call: pytest.CallInfo[Any], report: pytest.TestReport) -> None:
    """Give a test's report its outcome. Tests that are no check and ask for no node keep pytest's own."""
    redact_report(report)
    check, node = check_of(item), nodes.name_of(item)
    if (check is None and node is None) or report.when == "teardown":
        return
    if report.when == "setup" and call.excinfo is None:
        return
    ending = _ending(run, check, node or "", call, report)
    outcome = _outcome(check, item, node or "", ending)
    outcome = msgspec.convert(redact_tree(msgspec.to_builtins(outcome)), Outcome)
    outcome = _waive(run, outcome)
    _tell(item, report, outcome, ending.text)


def _ending(run: Run, check: Check | None, node: str, call: pytest.CallInfo[Any], report: pytest.TestReport) -> Ending:
    error = call.excinfo.value if call.excinfo else None
    if error is None:
        return Ending(verdict="pass")
    if isinstance(error, Failed):
        warns = error.finding.warning or (check is not None and check.severity == "warning")
        return Ending(
            verdict="warning" if warns else "fail",
            reason=error.finding.observed,
            text=str(error),
            failed=error,
            remedy=error.remedy,
        )
    if isinstance(error, (CouldNotCheck, ConnectionFailed)):
        blocked = error.blocked if isinstance(error, CouldNotCheck) else _blocked(run, node)
        # That check is the one which says so; it isn't blocked by itself.
        blocked = blocked and not (check is not None and check.id == LOGIN_CHECK)
        reason = error.reason if isinstance(error, CouldNotCheck) else str(error)
        remedy = Remedy(advice=(error.remedy,)) if error.remedy else None
        verdict: Verdict = "blocked" if blocked else "could not check"
        return Ending(
            verdict=verdict,
            reason=reason,
            text="\n".join(filter(None, (f"{verdict}: {reason}", error.remedy))),
            remedy=remedy,
        )
    if isinstance(error, (NotApplicable, pytest.skip.Exception)):
        return Ending(verdict="not applicable", reason=str(error))
    if isinstance(error, (AssertionError, pytest.fail.Exception)) and report.when == "call":
        reason = str(error) or "an assertion without a message failed"
        verdict = "warning" if check is not None and check.severity == "warning" else "fail"
        return Ending(verdict=verdict, reason=_first_line(reason), text=reason if check else None)
    if check is not None:
        reason = f"a bug of ours: {bug(error)}"
        return Ending(verdict="could not check", reason=reason, text=f"could not check: {reason}")
    reason = _first_line(f"{type(error).__name__}: {error}")
    return Ending(verdict="fail" if report.when == "call" else "could not check", reason=reason)


def _blocked(run: Run, node: str) -> bool:
    """A user's own test failed to connect to a node that the survey could not log in to either."""
    return run.survey is not None and any(
        given.name == node and isinstance(given.login, Unknown) for given in run.survey.nodes
    )


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _outcome(check: Check | None, item: pytest.Item, node: str, ending: Ending) -> Outcome:
    finding = ending.failed.finding if ending.failed else None
    name = getattr(item, "originalname", None) or item.name
    documentation = getattr(getattr(item, "obj", None), "__doc__", None) or name
    return Outcome(
        check=check.id if check else name,
        node=node,
        severity=check.severity if check else "medium",
        outcome=ending.verdict,
        title=check.title if check else _first_line(documentation),
        reason=ending.reason,
        observed=finding.observed if finding else "",
        expected=finding.expected if finding else "",
        details=finding.details if finding else (),
        remedy=ending.remedy,
    )


def _waive(run: Run, outcome: Outcome) -> Outcome:
    """Apply waivers.yml. An expired waiver only leaves its line: the outcome stays what it is."""
    if outcome.outcome in ("fail", "warning"):
        waiver = run.waivers.find((outcome.check,), outcome.node)
    elif outcome.outcome == "could not check":
        waiver = run.waivers.find((outcome.check,), outcome.node, unreachable=True)
    elif outcome.outcome == "blocked":
        waiver = run.waivers.find((outcome.check, LOGIN_CHECK), outcome.node, unreachable=True)
    else:
        return outcome
    if waiver is None:
        return outcome
    if waiver.expired(run.waivers.today):
        return msgspec.structs.replace(
            outcome, waiver=f"expired {waiver.expires}: {waiver.reason} (owner: {waiver.owner})"
        )
    return msgspec.structs.replace(outcome, outcome="waived", waiver=waiver.text())


def _tell(item: pytest.Item, report: pytest.TestReport, outcome: Outcome, text: str | None) -> None:
    """Make the report say what the outcome is, to whatever plugin reads it."""
    setattr(report, ATTRIBUTE, msgspec.to_builtins(outcome))
    item.user_properties.append(("outcome", outcome.outcome))
    if outcome.reason:
        item.user_properties.append(("reason", outcome.reason))
    if outcome.waiver:
        item.user_properties.append(("waiver", outcome.waiver))
    if text is not None:
        if outcome.waiver and outcome.outcome != "waived":
            text = f"{text}\nthe waiver {outcome.waiver}"
        report.longrepr = redact(text)
    verdict = outcome.outcome
    if verdict in ("pass", "warning"):
        report.outcome = "passed"
    elif verdict == "fail":
        report.outcome = "failed"
    elif verdict in ("could not check", "blocked"):
        report.outcome = "failed"
        # JUnit, pytest-html and the terminal all call a failed set-up an error, which is what this is.
        report.when = "setup"
    elif verdict == "waived":
        report.outcome = "skipped"
        report.wasxfail = f"waived {outcome.waiver}"
    else:
        path, line, _ = item.location
        report.outcome = "skipped"
        report.longrepr = (path, (line or 0) + 1, f"Skipped: {outcome.reason}")
    if verdict in ("fail", "could not check") and isinstance(report.longrepr, str) and item.config.option.verbose <= 0:
        # Our summary tells it, causes first; pytest's paragraph would be the second time of three.
        report._pdbshown = True  # type: ignore[attr-defined]


def outcome_of(report: object) -> Outcome | None:
    """The outcome on a report; None for a test that is no check and runs on no node, and for its quiet phases."""
    plain = getattr(report, ATTRIBUTE, None)
    return None if plain is None else msgspec.convert(plain, Outcome)


def status(report: object) -> tuple[str, str, Any] | None:
    """pytest's category, letter and word for a report; None to leave them to pytest."""
    outcome = outcome_of(report)
    return STATUS.get(outcome.outcome) if outcome else None
