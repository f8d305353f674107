"""The matrix's cells: which fault, on whom, in what order; and bringing the lab into the state of one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from .. import elasticsearch, faults
from ..errors import LabError
from ..names import Node
from ..state import Lab

DATA, MASTER, TOGETHER = "data node", "elected master", "together"

HEALTHY = "healthy"
"""The row that breaks nothing: the suite must say nothing."""


class Cell(NamedTuple):
    """One state to bring a lab into. row: a fault's name, a combination's, or `healthy`; position: who is broken"""

    row: str
    position: str

    def __str__(self) -> str:
        return f"{self.row}, {self.position}"


class Placed(NamedTuple):
    """Where a cell's faults are broken. by_who: the node of each role that the row's declaration names"""

    cell: Cell
    by_who: dict[str, Node]
    is_master: bool


def cells(version: str, *, rows: Iterable[str] | None = None, short: bool = False) -> list[Cell]:
    """The cells of one version, in the order that costs least: neighbours share a restart, the master seldom moves.

    rows: these alone, in the same order
    short: each row once, the positions taking turns; on AWS SDK v1 only what differs there
    Raises LabError for a row that there is not.
    """
    known = [HEALTHY, *faults.FAULTS, *faults.COMBINATIONS]
    wanted = set(known if rows is None else rows)
    if unknown := sorted(wanted.difference(known)):
        raise LabError(f"no fault {', '.join(unknown)}: choose from {', '.join(known)}")
    ordered = sorted((name for name in faults.FAULTS if name in wanted), key=lambda name: _cost(faults.FAULTS[name]))
    if short and faults.on_sdk_v1(version):
        ordered = [name for name in ordered if faults.FAULTS[name].on_sdk_v1 is not None]
        wanted -= set(faults.COMBINATIONS)
    found = [Cell(HEALTHY, TOGETHER)] if HEALTHY in wanted else []
    turns = itertools.cycle((DATA, MASTER))
    for name in ordered:
        # What strikes every node strikes the elected master first, and is one cell.
        everywhere = faults.FAULTS[name].everywhere
        positions = (MASTER,) if everywhere else (next(turns),) if short else (DATA, MASTER)
        found += [Cell(name, position) for position in positions]
    found += [Cell(name, TOGETHER) for name in faults.COMBINATIONS if name in wanted]
    return sorted(found, key=subnets)


def bring_about(lab: Lab, cell: Cell) -> Placed:
    """Have exactly this cell's faults broken on the lab, its nodes in the roles that the cell asks for."""
    for name in {name for name, _ in lab.broken if faults.FAULTS[name].once}:
        faults.heal(lab, name)
    before = elasticsearch.master(faults.expected_members(lab))
    if cell.row == HEALTHY:
        faults.arrange(lab, [])
        return Placed(cell, {}, False)
    if cell.row in faults.COMBINATIONS:
        first, second = (node for node in lab.nodes if node != before)
        by_who = {"master": before, "first": first, "second": second}
        parts = faults.COMBINATIONS[cell.row].parts
        faults.arrange(lab, [(fault, by_who[who].name) for fault, who in parts], master=before.name)
        return Placed(cell, by_who, False)
    fault = faults.FAULTS[cell.row]
    victim = _victim(lab, cell, before)
    if cell.position == MASTER:
        elected = victim
    else:
        elected = before if before != victim else next(node for node in lab.nodes if node != victim)
    faults.arrange(lab, [(cell.row, victim.name)], master=elected.name)
    return Placed(cell, {"victim": victim}, cell.position == MASTER and not fault.leaves)


def _victim(lab: Lab, cell: Cell, master: Node) -> Node:
    fault = faults.FAULTS[cell.row]
    already = [lab.node(node) for name, node in lab.broken if name == cell.row]
    if cell.position == MASTER:
        # To make a broken node the master is cheaper than to break the master; a node that has left cannot be made it.
        return already[0] if already and not fault.leaves else master
    waiting = [lab.node(node) for name, node in lab.broken if faults.FAULTS[name].restart_to_heal]
    if waiting and fault.restart_to_break:
        return waiting[-1]
    return next((node for node in already if node != master), lab.nodes[-1 if lab.nodes[-1] != master else -2])


def subnets(cell: Cell) -> int:
    """In how many subnets the lab's nodes must be for this cell."""
    return faults.FAULTS[cell.row].subnets if cell.row in faults.FAULTS else 1


def _cost(fault: faults.Fault) -> tuple[int, bool, bool, bool]:
    """Sorts what is restarted for both ways first, in one row, what leaves the cluster last, and other labs behind."""
    return fault.subnets, fault.leaves, not fault.restart_to_heal, not (fault.restart_to_break or fault.restarts)
