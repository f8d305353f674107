"""The end of a run on the terminal: what to do first, then what was seen. Plain ASCII, no table, 80 columns do."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from ..facts import Survey
from ..judgement import Cause, Diagnosis, Remedy
from ..outcomes import Outcome
from . import words

COLORS = {"fail": "31;1", "unknown": "33;1", "warn": "33;1", "pass": "32;1", "strong": "1"}
WIDEST = 110
"""Sentences longer than this are hard to follow, however wide the terminal."""
FINDINGS, DETAILS = 20, 20
"""How many failures without a known cause are printed, and how many details of each; the page has all."""


def write(
    terminalreporter: pytest.TerminalReporter,
    survey: Survey | None,
    outcomes: Sequence[Outcome],
    diagnosis: Diagnosis | None,
    *,
    interrupted: bool = False,
    page: Path | None = None,
    runbook: Path | None = None,
) -> None:
    """Print the summary of a run. survey None: it never got that far.

    page, runbook: the files named in the last lines, runbook None where there is nothing to carry out
    """
    writer = terminalreporter.config.get_terminal_writer()
    terminalreporter.section("preflight", bold=True)
    for line in lines(
        survey, outcomes, diagnosis,
        width=writer.fullwidth, color=writer.hasmarkup, interrupted=interrupted, page=page,
        runbook=runbook,
    ):  # fmt: skip
        terminalreporter.write_line(line)


def lines(
    survey: Survey | None,
    outcomes: Sequence[Outcome],
    diagnosis: Diagnosis | None,
    *,
    width: int,
    color: bool,
    interrupted: bool = False,
    page: Path | None = None,
    runbook: Path | None = None,
) -> list[str]:
    """The summary, a string a line. Sentences are wrapped to width; commands never are, so that they can be copied."""
    ink = _Ink(min(width, WIDEST), color)
    return list(_summary(ink, survey, outcomes, diagnosis, interrupted, page, runbook))


class _Ink:
    """Wraps and colors. Control characters of what nodes sent are shown, not obeyed."""

    def __init__(self, width: int, color: bool) -> None:
        self.width = max(width, 40)
        self.color = color

    def paint(self, text: str, kind: str) -> str:
        return f"\x1b[{COLORS[kind]}m{text}\x1b[0m" if self.color and kind in COLORS else text

    def wrap(self, text: str, first: str = "", *, kind: str = "") -> Iterator[str]:
        """text after first, later lines indented as far."""
        wrapped = textwrap.wrap(
            _visible(" ".join(text.split())), self.width - len(first), break_long_words=False, break_on_hyphens=False
        )
        for number, line in enumerate(wrapped or [""]):
            yield (first if number == 0 else " " * len(first)) + self.paint(line, kind)


def _visible(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", text)


def _summary(
    ink: _Ink,
    survey: Survey | None,
    outcomes: Sequence[Outcome],
    diagnosis: Diagnosis | None,
    interrupted: bool,
    page: Path | None,
    runbook: Path | None,
) -> Iterator[str]:
    yield from ink.wrap(words.headline(diagnosis, interrupted), kind=words.tone(outcomes, interrupted))
    if words.unverified(survey):
        yield from ink.wrap(
            "HOST KEYS WERE NOT VERIFIED (--insecure-host-keys): any machine could have answered for a node.",
            kind="fail",
        )
    shown: dict[Remedy, str] = {}
    for number, cause in enumerate(diagnosis.causes if diagnosis else (), 1):
        yield ""
        yield from _cause(ink, number, cause, shown)
    rest = words.unexplained(outcomes, diagnosis)
    if rest:
        yield ""
        yield ink.paint("Failures and warnings without a known cause", "strong")
        for outcome in rest[:FINDINGS]:
            yield from _finding(ink, outcome, shown)
        if len(rest) > FINDINGS:
            yield f"- and {len(rest) - FINDINGS} more: see the report"
    if diagnosis and diagnosis.nodes:
        yield ""
        yield ink.paint("Nodes", "strong")
        for who, text in words.node_lines(diagnosis):
            yield from ink.wrap(f"{who}: {text}", "  - ")
    if diagnosis and diagnosis.notes:
        yield ""
        yield ink.paint("Notes", "strong")
        for note in diagnosis.notes:
            yield from ink.wrap(note, "  - ")
    yield from _groups(ink, outcomes)
    yield ""
    tally = ", ".join(f"{count} {verdict}" for verdict, count in words.counts(outcomes)) or "no check ran"
    yield from ink.wrap(f"Checks: {tally}")
    if page:
        yield f"Report: {page}"
    if runbook:
        yield f"Runbook, step by step: {runbook}"


def _cause(ink: _Ink, number: int, cause: Cause, shown: dict[Remedy, str]) -> Iterator[str]:
    doubt = "" if cause.confidence == "certain" else f" ({cause.confidence})"
    yield from ink.wrap(cause.title + doubt, f"{number}. ", kind="fail")
    for evidence in cause.evidence:
        yield from ink.wrap(evidence, "   - ")
    if cause.explains:
        what = "; ".join(f"{check} on {words.listed(nodes)}" for check, nodes in words.pairs(cause.explains))
        yield from ink.wrap(f"explains {what}", "   - ")
    yield from _remedy(ink, cause.remedy, str(number), shown)


def _remedy(ink: _Ink, remedy: Remedy, title: str, shown: dict[Remedy, str]) -> Iterator[str]:
    """Caution, commands, advice. A remedy that stands further up already is pointed at, not repeated."""
    if remedy in shown:
        yield f"   do as under {shown[remedy]}"
        return
    if remedy != Remedy():
        shown[remedy] = title
    if remedy.caution:
        yield from ink.wrap(remedy.caution, "   ! ", kind="warn")
    where = None
    for command in remedy.commands:
        if command.where != where:
            where = command.where
            yield ink.paint(f"   {_visible(words.place(where))}:", "strong")
        # A command of several lines keeps its own left edge: a here-document would break otherwise.
        indent = "" if "\n" in command.text else "     "
        for line in command.text.split("\n"):
            yield indent + _visible(line)
    for advice in remedy.advice:
        yield from ink.wrap(advice, "   ")


def _finding(ink: _Ink, outcome: Outcome, shown: dict[Remedy, str]) -> Iterator[str]:
    sign = words.SIGNS[outcome.outcome]
    text = outcome.observed or outcome.reason or outcome.title
    yield from ink.wrap(f"{outcome.check} on {outcome.node}, {outcome.outcome}: {text}", "- ", kind=sign.kind)
    if outcome.expected:
        yield from ink.wrap(outcome.expected, "   expected: ")
    for line in outcome.details[:DETAILS]:
        yield "   " + _visible(line)
    if len(outcome.details) > DETAILS:
        yield f"   and {len(outcome.details) - DETAILS} more lines: see the report"
    if outcome.remedy:
        yield from _remedy(ink, outcome.remedy, f"{outcome.check} on {outcome.node}", shown)


def _groups(ink: _Ink, outcomes: Sequence[Outcome]) -> Iterator[str]:
    for title, groups in (
        ("Could not check", words.grouped(outcomes, "could not check", "blocked")),
        ("Waived", words.grouped(outcomes, "waived")),
    ):
        if groups:
            yield ""
            yield ink.paint(title, "strong")
        for group in groups:
            yield from ink.wrap(f"{words.subjects(group.members)}: {group.reason}", "  - ")
            if group.advice:
                yield from ink.wrap(group.advice, "    ")
