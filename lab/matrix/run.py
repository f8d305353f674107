"""One lab a version, one cell after another, on past whatever misses."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from .. import distribution, state
from ..errors import LabError
from ..names import CHECKOUT
from ..suite import Ran
from .cells import Cell, Placed, bring_about, cells, subnets
from .judgement import Declared, Outcomes, declared, judge, run_suite
from .record import Record, Result

LAB_COMMAND_SECONDS = 900.0

ATTEMPTS = 2
"""At a cell's state, and at bringing the lab up."""


class Matrix:
    """versions: Elasticsearch's, a lab each; rows: faults, None for all; reports: folder for the reports of misses

    Raises LabError for a version or a fault that there is not, and where a lab is up: it would have to go.
    """

    def __init__(
        self, versions: Sequence[str], *, rows: Iterable[str] | None, short: bool, record: Record, reports: Path
    ) -> None:
        for version in versions:
            distribution.plugin_line(version)
        if state.load() is not None:
            raise LabError("a lab is up, and each version needs one of its own: `python -m lab down` first")
        rows = None if rows is None else tuple(rows)
        self.record, self.reports = record, reports
        self._done = self._total = 0
        self._todo = {
            version: [cell for cell in cells(version, rows=rows, short=short) if not record.passed(version, *cell)]
            for version in versions
        }

    def run(self) -> None:
        """Every cell that is to run; what a lab that does not come up leaves out is a miss of each of its cells."""
        self._total = sum(map(len, self._todo.values()))
        for version, todo in self._todo.items():
            if not todo:
                continue
            left = list(todo)
            standing = 0
            try:
                while left:
                    if subnets(left[0]) != standing:
                        standing = subnets(left[0])
                        _up(version, standing)
                    self._add(self._run(version, left[0]))
                    del left[0]
            except LabError as error:
                for cell in left:
                    self._add(_not_judged(version, cell, f"the lab: {error}"))
            finally:
                _lab("down")

    def _add(self, result: Result) -> None:
        self.record.add(result)
        self._done += 1
        _show(result, self._done, self._total)

    def _run(self, version: str, cell: Cell) -> Result:
        """One cell. Where the lab cannot be brought into its state, it is brought up anew and asked once more.

        Raises LabError where it does not come up again.
        """
        began = time.monotonic()
        lab_says: list[str] = []
        while True:
            try:
                placed = self._arrange(cell)
                break
            except LabError as error:
                lab_says.append(f"the lab: expected {cell}, got {error}")
                print(lab_says[-1], file=sys.stderr, flush=True)
                _up(version, subnets(cell))
                if len(lab_says) == ATTEMPTS:
                    return _not_judged(version, cell, *lab_says)
        arranged = time.monotonic()
        directory = self.reports / version / f"{cell.row}-{cell.position.replace(' ', '-')}"
        shutil.rmtree(directory, ignore_errors=True)
        nodes = tuple(sorted({node for _, node in state.require().broken}))
        try:
            ran = run_suite(state.require(), placed, directory)
        except LabError as error:
            return _not_judged(version, cell, str(error))
        seconds = {"arrange": arranged - began, "suite": time.monotonic() - arranged}
        expected = declared(state.require(), placed, {outcome.check for outcome in ran.outcomes})
        result = _judged(version, cell, ran, expected, nodes, seconds)
        if not result.misses:
            shutil.rmtree(directory, ignore_errors=True)
        return result

    def _arrange(self, cell: Cell) -> Placed:
        with state.lock():
            return bring_about(state.require(), cell)


def _not_judged(version: str, cell: Cell, *misses: str) -> Result:
    return Result(
        version=version,
        row=cell.row,
        position=cell.position,
        misses=misses,
        detected=False,
        localised=False,
        right_cause=False,
    )


def _judged(
    version: str, cell: Cell, ran: Ran, expected: Declared, nodes: tuple[str, ...], seconds: dict[str, float]
) -> Result:
    judged = judge(ran, expected)
    return Result(
        version=version,
        row=cell.row,
        position=cell.position,
        nodes=nodes,
        expected=_lines(expected.outcomes),
        seen=_lines(ran.differing()),
        causes=tuple(cause.id for cause in ran.diagnosis.causes),
        misses=judged.misses,
        detected=judged.detected,
        localised=judged.localised,
        right_cause=judged.right_cause,
        false_alarms=judged.false_alarms,
        seconds={part: round(value, 1) for part, value in seconds.items()},
    )


def _lines(outcomes: Outcomes) -> tuple[str, ...]:
    return tuple(f"{check} on {node}: {outcome}" for (check, node), outcome in sorted(outcomes.items()))


def _show(result: Result, done: int, total: int) -> None:
    seconds = sum(result.seconds.values())
    where = f" on {', '.join(result.nodes)}" if result.nodes else ""
    verdict = "MISS" if result.misses else "silent, as it must be" if result.detected is None else "ok"
    print(
        f"{done}/{total}  {result.version}  {result.row}, {result.position}{where}: {verdict}  {seconds:.0f} s",
        flush=True,
    )
    for miss in result.misses:
        print(f"      {miss}", flush=True)


def _up(version: str, subnets: int) -> None:
    """A whole and unbroken lab in place of whatever is there. Raises LabError where it does not come up."""
    for _ in range(ATTEMPTS - 1):
        _lab("down")
        try:
            _lab("up", "--es-version", version, "--subnets", str(subnets))
        except LabError as error:
            print(error, file=sys.stderr, flush=True)
        else:
            return
    _lab("up", "--es-version", version, "--subnets", str(subnets))


def _lab(*arguments: str) -> None:
    """One `python -m lab` command. Raises LabError with the last it said."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "lab", *arguments],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            timeout=LAB_COMMAND_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LabError(f"`lab {' '.join(arguments)}` did not end within {LAB_COMMAND_SECONDS:.0f} s") from None
    if done.returncode:
        raise LabError(f"`lab {' '.join(arguments)}` failed: {' / '.join(done.stderr.strip().splitlines()[-3:])}")
