"""The words, symbols and groupings that the terminal and the page share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone

import msgspec

from ..facts import Survey
from ..judgement import Diagnosis
from ..outcomes import RED, UNCHECKED, Outcome, Verdict


class Sign(msgspec.Struct, frozen=True):
    """How one kind of outcome is shown. short: fits a grid cell; mark: says the same without color; kind: CSS class."""

    mark: str
    short: str
    kind: str


SIGNS: dict[Verdict, Sign] = {
    "fail": Sign("✗", "FAIL", "fail"),
    "warning": Sign("!", "warn", "warn"),
    "could not check": Sign("?", "unchk", "unknown"),
    "blocked": Sign("⊘", "blkd", "unknown"),
    "waived": Sign("~", "waived", "waived"),
    "not applicable": Sign("–", "n/a", "none"),  # noqa: RUF001 - a dash as wide as the other marks
    "pass": Sign("✓", "ok", "pass"),
}
"""Every outcome, in the order a reader wants them."""

NOT_RUN = Sign("·", "not run", "none")
"""A (check, node) without an outcome: deselected, or the run ended before it."""

NAMED = 6
"""How many nodes or checks a line names before it counts them."""


class Group(msgspec.Struct, frozen=True):
    """Outcomes of one kind that have the same reason. advice: what would change it, "" where nothing is known to."""

    outcome: Verdict
    reason: str
    advice: str
    members: tuple[Outcome, ...]


def check_order(check: str) -> tuple[bool, list[tuple[int, str]]]:
    """Sort key of a check id: NODE-1 first because it explains the blocked ones, then by name, numbers as numbers."""
    parts = re.findall(r"\d+|\D+", check)
    return not check.startswith("NODE-"), [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def counts(outcomes: Iterable[Outcome]) -> list[tuple[Verdict, int]]:
    """How many of each outcome there are, those that occur only."""
    seen = [outcome.outcome for outcome in outcomes]
    return [(verdict, seen.count(verdict)) for verdict in SIGNS if verdict in seen]


def grouped(outcomes: Iterable[Outcome], *verdicts: Verdict) -> list[Group]:
    """The outcomes of these kinds, one group for each reason, in order of first appearance."""
    members: dict[tuple[Verdict, str, str], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.outcome in verdicts:
            reason = outcome.reason or outcome.observed or "no reason was given"
            said = (*outcome.details, *(outcome.remedy.advice if outcome.remedy else ()))
            advice = "; ".join(line for line in said if line not in reason)
            members.setdefault((outcome.outcome, outcome.waiver or reason, advice), []).append(outcome)
    return [
        Group(outcome=verdict, reason=reason, advice=advice, members=tuple(rows))
        for (verdict, reason, advice), rows in sorted(members.items(), key=lambda item: verdicts.index(item[0][0]))
    ]


def unexplained(outcomes: Iterable[Outcome], diagnosis: Diagnosis | None) -> list[Outcome]:
    """Failures and warnings that no cause accounts for, failures first."""
    explained = {pair for cause in diagnosis.causes for pair in cause.explains} if diagnosis else set()
    rest = [o for o in outcomes if o.outcome in ("fail", "warning") and (o.check, o.node) not in explained]
    return sorted(rest, key=lambda outcome: outcome.outcome)


def listed(names: Sequence[str], noun: str = "", limit: int = NAMED) -> str:
    """The names, or "60 nodes" where there are too many to read (without a noun: the first and how many more)."""
    if len(names) <= limit:
        return ", ".join(names)
    return f"{len(names)} {noun}" if noun else f"{', '.join(names[:limit])} and {len(names) - limit} more"


def subjects(outcomes: Iterable[Outcome]) -> str:
    """Which checks on which nodes: "KEY-1, ROLE-1 on es-2; NODE-1 on es-3"."""
    nodes_of: dict[str, list[str]] = {}
    for outcome in outcomes:
        nodes_of.setdefault(outcome.check, []).append(outcome.node)
    checks_of: dict[tuple[str, ...], list[str]] = {}
    for check in sorted(nodes_of, key=check_order):
        checks_of.setdefault(tuple(nodes_of[check]), []).append(check)
    return "; ".join(f"{listed(checks, 'checks')} on {listed(nodes)}" for nodes, checks in checks_of.items())


def pairs(explains: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    """Each check with its nodes, in the order of the checks."""
    nodes_of: dict[str, list[str]] = {}
    for check, node in explains:
        nodes_of.setdefault(check, []).append(node)
    return sorted(nodes_of.items(), key=lambda item: check_order(item[0]))


def tone(outcomes: Iterable[Outcome], interrupted: bool) -> str:
    """The kind of sign the whole run deserves: fail, unknown or pass."""
    seen = {outcome.outcome for outcome in outcomes}
    if seen.intersection(RED):
        return "fail"
    return "unknown" if interrupted or not seen or seen.intersection(UNCHECKED) else "pass"


def headline(diagnosis: Diagnosis | None, interrupted: bool) -> str:
    """The verdict sentence."""
    verdict = diagnosis.verdict if diagnosis else "No node was surveyed: there is no verdict."
    return f"Interrupted. So far: {verdict}" if interrupted else verdict


def node_lines(diagnosis: Diagnosis | None) -> list[tuple[str, str]]:
    """Who and what: a line a node, but one line for all where more nodes than a line names are in the same state."""
    names: dict[str, list[str]] = {}
    for line in diagnosis.nodes if diagnosis else ():
        names.setdefault(line.text, []).append(line.node)
    return [
        (who, text)
        for text, nodes in names.items()
        for who in (nodes if len(nodes) <= NAMED else [f"{len(nodes)} nodes ({listed(nodes)})"])
    ]


def place(where: str) -> str:
    """Where a command is typed."""
    return "on this machine" if where == "controller" else f"on {where}"


def utc(seconds: float) -> str:
    """A time as people read it in a log: 2026-11-24 03:04:05 UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def unverified(survey: Survey | None) -> bool:
    """Host keys were not verified in this run."""
    return survey is not None and survey.options.insecure_host_keys
