"""The static part of the HTML report, above pytest-html's rows: it needs no script and loads nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..facts import Cluster, Dial, NodeFacts, Survey, Unknown
from ..judgement import Diagnosis
from ..outcomes import Outcome, Verdict
from . import words

TITLE = "Elasticsearch S3 snapshot preflight"
"""For pytest-html's title hook."""

WIDE = 12
"""Members from which on a port matrix row without a bad pair is told in one cell: 50 x 50 cells help nobody."""


class Cell(msgspec.Struct, frozen=True):
    """One cell of a grid. link: the fragment that tells more, "" for none; hint: the same in a few words."""

    sign: words.Sign
    text: str
    hint: str
    link: str = ""


class Column(msgspec.Struct, frozen=True):
    """One column of the node x check grid."""

    check: str
    severity: str
    title: str


class PortRow(msgspec.Struct, frozen=True):
    """From one node to every member. cells: None where that pair was not dialled; all_open: one cell instead."""

    node: str
    cells: tuple[Cell | None, ...]
    all_open: str = ""
    unknown: str = ""


class Ports(msgspec.Struct, frozen=True):
    """The matrix of one port kind in one cluster."""

    title: str
    members: tuple[str, ...]
    rows: tuple[PortRow, ...]


class DiffLine(msgspec.Struct, frozen=True):
    """One line of a diff. kind: add | del | hunk | same."""

    kind: str
    text: str


class Reported(Protocol):
    """What the table needs of a pytest report."""

    nodeid: str
    when: str | None


def summary(
    survey: Survey | None,
    outcomes: Sequence[Outcome],
    diagnosis: Diagnosis | None,
    *,
    interrupted: bool = False,
) -> str:
    """The HTML to put first into pytest-html's `prefix`. survey, diagnosis: None where the run never got that far."""
    nodes = [node.name for node in survey.nodes] if survey else []
    nodes += sorted({outcome.node for outcome in outcomes}.difference(nodes))
    findings = [outcome for verdict in ("fail", "warning") for outcome in outcomes if outcome.outcome == verdict]
    unchecked = words.grouped(outcomes, "could not check", "blocked")
    others = words.grouped(outcomes, "waived", "not applicable")
    links = _links(findings, unchecked, others)
    text = _TEMPLATES.get_template("page.html").render(
        survey=survey,
        diagnosis=diagnosis,
        headline=words.headline(diagnosis, interrupted),
        tone=words.tone(outcomes, interrupted),
        interrupted=interrupted,
        unverified=words.unverified(survey),
        tally=words.counts(outcomes),
        columns=_columns(outcomes),
        rows=[(node, _grid_row(node, outcomes, links)) for node in nodes] if outcomes else [],
        signs=words.SIGNS,
        not_run=words.NOT_RUN,
        links=links,
        unexplained=words.unexplained(outcomes, diagnosis),
        findings=findings,
        unchecked=unchecked,
        others=others,
        ports=_ports(survey) if survey else [],
        diffs=[outcome for outcome in findings if outcome.check.startswith("ROUTE-") and outcome.details],
    )
    # A lone surrogate in anything a node sent would keep pytest-html from writing the page at all.
    return text.encode("utf-8", "backslashreplace").decode()


def table_header(cells: MutableSequence[str]) -> None:
    """Replace pytest-html's columns by ours. `Result` and its sorting stay: its scripts filter by them."""
    result, test, duration, *rest = cells
    cells[:] = [result, *(_heading(name) for name in ("outcome", "check", "node", "severity")), test, duration, *rest]


def table_row(report: Reported, cells: MutableSequence[str], outcome: Outcome | None = None) -> None:
    """The row under `table_header`, escaped. outcome: None for a test that is no check of ours."""
    if not cells:
        return
    result, _, duration, *rest = cells
    nodeid = report.nodeid if report.when in ("call", None) else f"{report.nodeid}::{report.when}"
    ours = (outcome.outcome, outcome.check, outcome.node, outcome.severity) if outcome else ("", "", "", "")
    cells[:] = [
        result,
        *(_cell(name, text) for name, text in zip(("outcome", "check", "node", "severity"), ours, strict=True)),
        _cell("testId", nodeid),
        duration,
        *rest,
    ]


def _heading(name: str) -> str:
    return f'<th class="sortable" data-column-type="{name}">{name.capitalize()}</th>'


def _cell(name: str, text: str) -> str:
    return f'<td class="col-{name}">{html.escape(text.encode("utf-8", "backslashreplace").decode())}</td>'


def _links(
    findings: Sequence[Outcome], unchecked: Sequence[words.Group], others: Sequence[words.Group]
) -> Mapping[tuple[str, str], str]:
    """The fragment that tells more of each (check, node). Numbers, because a node's name may hold anything."""
    links = {(outcome.check, outcome.node): f"pf-finding-{number}" for number, outcome in enumerate(findings)}
    for name, groups in (("unchecked", unchecked), ("other", others)):
        for number, group in enumerate(groups):
            links.update({(outcome.check, outcome.node): f"pf-{name}-{number}" for outcome in group.members})
    return links


def _columns(outcomes: Sequence[Outcome]) -> list[Column]:
    first = {outcome.check: outcome for outcome in reversed(outcomes)}
    return [Column(c, first[c].severity, first[c].title) for c in sorted(first, key=words.check_order)]


def _grid_row(node: str, outcomes: Sequence[Outcome], links: Mapping[tuple[str, str], str]) -> list[Cell]:
    here = {outcome.check: outcome for outcome in outcomes if outcome.node == node}
    cells = []
    for column in _columns(outcomes):
        outcome = here.get(column.check)
        if outcome is None:
            cells.append(Cell(words.NOT_RUN, words.NOT_RUN.short, f"{column.check} was not run on {node}"))
            continue
        sign = words.SIGNS[outcome.outcome]
        hint = outcome.waiver or outcome.reason or outcome.observed or column.title
        cells.append(Cell(sign, sign.short, f"{outcome.outcome}: {hint}", links.get((outcome.check, node), "")))
    return cells


def _ports(survey: Survey) -> list[Ports]:
    found = []
    for cluster in survey.clusters:
        nodes = [node for node in survey.nodes if survey.cluster_of(node) is cluster]
        for port in ("transport", "http"):
            rows = tuple(_port_row(node, cluster, port) for node in nodes)
            if any(cell for row in rows for cell in row.cells) or any(row.all_open for row in rows):
                title = f"{port.upper() if port == 'http' else port.capitalize()}, cluster {cluster.name}"
                found.append(Ports(title, tuple(_member(survey, m.id, m.name) for m in cluster.members), rows))
    return found


def _member(survey: Survey, node_id: str, name: str) -> str:
    """A member as the operator knows it: by its given name, else by Elasticsearch's."""
    given = survey.given(node_id)
    return given.name if given else name


def _port_row(node: NodeFacts, cluster: Cluster, port: str) -> PortRow:
    if isinstance(node.dials, Unknown):
        return PortRow(node.name, (), unknown=node.dials.reason)
    dials = {dial.member: dial for dial in node.dials if dial.port == port}
    if len(cluster.members) > WIDE and dials and all(dial.outcome == "open" for dial in dials.values()):
        slowest = max(dial.milliseconds for dial in dials.values())
        return PortRow(node.name, (), all_open=f"{len(dials)} open, slowest {_milliseconds(slowest)}")
    return PortRow(node.name, tuple(_dialled(dials.get(member.id)) for member in cluster.members))


def _dialled(dial: Dial | None) -> Cell | None:
    if dial is None:
        return None
    verdict: Verdict = "pass" if dial.outcome == "open" else "fail"
    tries = f", {dial.tries} tries" if dial.tries > 1 else ""
    text = f"{dial.outcome} {_milliseconds(dial.milliseconds)}"
    return Cell(words.SIGNS[verdict], text, f"{dial.target}{tries}")


def _milliseconds(value: float) -> str:
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def _diff(details: Sequence[str]) -> list[DiffLine]:
    """The lines of a unified diff with what each is."""
    kinds = {"+": "add", "-": "del", "@": "hunk"}
    lines = [line for text in details for line in text.split("\n")]
    return [
        DiffLine("hunk" if re.match(r"(\+\+\+|---) ", line) else kinds.get(line[:1], "same"), line) for line in lines
    ]


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters.update(
    utc=words.utc, place=words.place, subjects=words.subjects, listed=words.listed, pairs=words.pairs, diff=_diff
)
_TEMPLATES.tests["unknown"] = lambda section: isinstance(section, Unknown)
