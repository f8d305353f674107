"""What the suite must say of a cell, and how what it said differs from that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .. import faults
from ..faults.combinations import Combination
from ..state import Lab
from ..suite import Ran
from .cells import HEALTHY, Placed

Outcomes = Mapping[tuple[str, str], str]
"""{(check, node name): outcome} of everything that differs from a healthy cluster."""


class Named(NamedTuple):
    """A cause that the diagnosis must name. must, may: nodes that it has to name, and those that it may name"""

    id: str
    must: frozenset[str]
    may: frozenset[str]


class Declared(NamedTuple):
    """outcomes: all that differ from a healthy cluster; causes: all, in their order"""

    outcomes: Outcomes
    causes: tuple[Named, ...]

    @property
    def status(self) -> int:
        """The suite's exit status."""
        seen = set(self.outcomes.values())
        return 1 if "fail" in seen else 10 if seen & {"could not check", "blocked"} else 0


class Judged(NamedTuple):
    """misses: a sentence each; none where the suite said exactly what is declared

    detected, localised, right_cause: None where nothing is wrong on this version; false_alarms: outcomes and causes
    that are not declared
    """

    misses: tuple[str, ...]
    detected: bool | None
    localised: bool | None
    right_cause: bool | None
    false_alarms: int


def run_suite(lab: Lab, placed: Placed, directory: Path) -> Ran:
    """Run the suite as the cell's row has it run. Raises LabError."""
    how = faults.run_of(placed.cell.row, lab, placed.by_who.get("victim"))
    return Ran(directory, *how.options, hosts=how.hosts, environ=how.environ)


def declared(lab: Lab, placed: Placed, checks: set[str]) -> Declared:
    """checks: ids of all there are"""
    row = placed.cell.row
    if row == HEALTHY:
        return Declared({}, ())
    if row in faults.COMBINATIONS:
        return _of_combination(faults.COMBINATIONS[row], placed)
    victim = placed.by_who["victim"]
    then = faults.expectation(row, lab)
    outcomes = faults.expected(row, checks, lab, victim, is_master=placed.is_master)
    if then.cause is None:
        return Declared(outcomes, ())
    must = frozenset({faults.run_of(row, lab, victim).besides.get(then.whose, victim.name)})
    may = must | {node for (_, node), outcome in outcomes.items() if outcome in ("fail", "warning")}
    # What stands beside a cause that is not the victim's may be told of anybody with an outcome.
    beside = must if then.whose == "victim" else frozenset()
    return Declared(outcomes, (Named(then.cause, must, may), *(Named(id, beside, may) for id in then.besides)))


def _of_combination(combination: Combination, placed: Placed) -> Declared:
    name = {who: node.name for who, node in placed.by_who.items()}
    outcomes = {(check, name[who]): outcome for (check, who), outcome in combination.outcomes.items()}
    causes = [(id, frozenset(name[who] for who in whose)) for id, whose in combination.causes]
    return Declared(outcomes, tuple(Named(id, nodes, nodes) for id, nodes in causes))


def judge(ran: Ran, expected: Declared) -> Judged:
    """Compare one run with what is declared of its cell."""
    seen, causes = ran.differing(), ran.diagnosis.causes
    misses = [
        f"{check} on {node}: expected {expected.outcomes.get((check, node), 'as on a healthy cluster')}, "
        f"seen {seen.get((check, node), 'as on a healthy cluster')}"
        for check, node in sorted({*expected.outcomes, *seen})
        if expected.outcomes.get((check, node)) != seen.get((check, node))
    ]
    ids, wanted = [cause.id for cause in causes], [cause.id for cause in expected.causes]
    if ids != wanted:
        misses.append(f"causes: expected {_list(wanted)}, seen {_list(ids)}")
    nowhere = []
    for cause, named in zip(causes, expected.causes, strict=False):
        if cause.id == named.id and not named.must <= set(cause.nodes) <= named.may:
            beyond = "" if named.may == named.must else f", of {_list(sorted(named.may))} at most"
            nowhere.append(
                f"cause {cause.id}: expected on {_list(sorted(named.must))}{beyond}, seen on {_list(cause.nodes)}"
            )
        if cause.title not in " ".join(ran.text.split()):
            misses.append(f"cause {cause.id}: its title is not in what was printed")
    if ran.status != expected.status:
        misses.append(f"exit status: expected {expected.status}, seen {ran.status}")
    undeclared = [key for key in seen if key not in expected.outcomes]
    alarms = len(undeclared) + sum(id not in wanted for id in ids)
    harmless = not expected.causes and not expected.outcomes
    located = bool(causes) and bool(expected.causes) and expected.causes[0].must <= set(causes[0].nodes)
    return Judged(
        (*misses, *nowhere),
        None if harmless else bool(seen),
        None if harmless else located and set(causes[0].nodes) <= expected.causes[0].may,
        None if harmless else ids == wanted,
        alarms,
    )


def _list(words: list[str] | tuple[str, ...]) -> str:
    return ", ".join(words) or "none"
