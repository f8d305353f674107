"""The static part of the HTML report, above pytest-html's rows: it needs no script and loads nothing."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, MutableSequence, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ..facts import Dial, Member, NodeFacts, Survey, Unknown
from ..judgement import Diagnosis
from ..outcomes import Outcome
from . import words

TITLE = "Elasticsearch S3 snapshot preflight"
"""For pytest-html's title hook."""

WIDE = 12
"""Members up to which ports are shown pair by pair; above, a row tells its bad pairs: 50 x 50 cells help nobody."""


UPRIGHT = 6
"""Nodes up to which the grid has a row a check, which a phone can show; above, a row a node."""


class Cell(msgspec.Struct, frozen=True):
    """One cell of a grid. link: the fragment that tells more, "" for none; hint: the same in a few words."""

    sign: words.Sign
    text: str
    hint: str
    link: str = ""


class Column(msgspec.Struct, frozen=True):
    """One check of the node x check grid."""

    check: str
    severity: str
    title: str


class PortRow(msgspec.Struct, frozen=True):
    """From one node to every member. cells: one a member, None where not dialled; whole: one cell for all of them."""

    node: str
    cells: tuple[Cell | None, ...] = ()
    whole: Cell | None = None


class Ports(msgspec.Struct, frozen=True):
    """The matrix of one port kind in one cluster. columns: name and publish address of each member."""

    title: str
    columns: tuple[tuple[str, str], ...]
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
    runbook: str | None = None,
) -> str:
    """The HTML to put first into pytest-html's `prefix`. survey, diagnosis: None where the run never got that far.

    runbook: runbook.md as the page reaches it, None where there is nothing to carry out
    """
    nodes = [node.name for node in survey.nodes] if survey else []
    nodes += sorted({outcome.node for outcome in outcomes}.difference(nodes))
    findings = [outcome for verdict in ("fail", "warning") for outcome in outcomes if outcome.outcome == verdict]
    unexplained = words.unexplained(outcomes, diagnosis)
    unchecked = words.grouped(outcomes, "could not check", "blocked")
    others = words.grouped(outcomes, "waived", "not applicable")
    links = _links(findings, unchecked, others)
    text = _TEMPLATES.get_template("page.html").render(
        survey=survey,
        diagnosis=diagnosis,
        node_lines=words.node_lines(diagnosis),
        headline=words.headline(diagnosis, interrupted),
        tone=words.tone(outcomes, interrupted),
        interrupted=interrupted,
        runbook=quote(runbook) if runbook else None,
        unverified=words.unverified(survey),
        tally=words.counts(outcomes),
        columns=_columns(outcomes),
        rows=[(node, _grid_row(node, outcomes, links)) for node in nodes] if outcomes else [],
        upright=len(nodes) <= UPRIGHT,
        signs=words.SIGNS,
        not_run=words.NOT_RUN,
        links=links,
        named=words.NAMED,
        unexplained=unexplained,
        explained=[outcome for outcome in findings if outcome not in unexplained],
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
    phase = "" if outcome or report.when in ("call", "collect") else f"::{report.when}"
    ours = (outcome.outcome, outcome.check, outcome.node, outcome.severity) if outcome else ("", "", "", "")
    cells[:] = [
        result,
        *(_cell(name, text) for name, text in zip(("outcome", "check", "node", "severity"), ours, strict=True)),
        _cell("testId", report.nodeid + phase),
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
        names = {member.id: _member(survey, member) for member in cluster.members}
        nodes = [node for node in survey.nodes if survey.cluster_of(node) is cluster or _lone(survey, node)]
        if all(isinstance(node.dials, Unknown) for node in nodes):
            continue
        for title, port in (("Transport", "transport"), ("HTTP", "http")):
            rows = tuple(_port_row(node, names, port) for node in nodes)
            addresses = [member.transport if port == "transport" else member.http for member in cluster.members]
            columns = tuple(zip(names.values(), (address or "" for address in addresses), strict=True))
            if len(columns) > WIDE:
                columns = ((f"all {len(columns)} members", ""),)
            found.append(Ports(f"{title}, cluster {cluster.name}", columns, rows))
    return found


def _lone(survey: Survey, node: NodeFacts) -> bool:
    """Nothing says which cluster the node is in, and there is only one it could be in."""
    return isinstance(node.view, Unknown) and len(survey.clusters) == 1


def _member(survey: Survey, member: Member) -> str:
    """A member as the operator knows it: by its given name, else by Elasticsearch's."""
    given = survey.given(member.id)
    return given.name if given else member.name


def _port_row(node: NodeFacts, names: Mapping[str, str], port: str) -> PortRow:
    if isinstance(node.dials, Unknown):
        sign = words.SIGNS["could not check"]
        return PortRow(node.name, whole=Cell(sign, f"not known: {node.dials.reason}", node.dials.remedy))
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    seen = [dial for dial in node.dials if dial.port == port and (dial.member != own or dial.outcome == "open")]
    dials = {dial.member: dial for dial in seen}
    if len(names) <= WIDE:
        return PortRow(node.name, tuple(_dialled(dials.get(member)) for member in names))
    opened = [dial.milliseconds for dial in dials.values() if dial.outcome == "open"]
    bad = [
        f"{names.get(dial.member, dial.member)}: {_dialled_text(dial)}"
        for dial in dials.values()
        if dial.outcome != "open"
    ]
    told = [f"{len(opened)} open, slowest {_milliseconds(max(opened))}"] if opened else ["none open"]
    sign = words.SIGNS["fail" if bad else "pass"]
    return PortRow(node.name, whole=Cell(sign, "; ".join([*told, *([words.listed(bad)] if bad else [])]), ""))


def _dialled(dial: Dial | None) -> Cell | None:
    if dial is None:
        return None
    return Cell(words.SIGNS["pass" if dial.outcome == "open" else "fail"], _dialled_text(dial), dial.target)


def _dialled_text(dial: Dial) -> str:
    tries = f", {dial.tries} tries" if dial.tries > 1 else ""
    return f"{dial.outcome} {_milliseconds(dial.milliseconds)}{tries}"


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
