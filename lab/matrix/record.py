"""What each cell came to: a JSON line as soon as it has run, so that an interrupted run can be read and resumed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import LabError


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One cell on one version.

    nodes: where it was broken; expected, seen: "CHECK on NODE: outcome" of all that differs from a healthy cluster;
    causes: ids, as the diagnosis named them
    misses, detected, localised, right_cause, false_alarms: as judged; detected None: harmless on this version
    seconds: of `arrange` (mend the cell before, break this one, wait) and `suite`
    """

    version: str
    row: str
    position: str
    nodes: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    detected: bool | None = None
    localised: bool | None = None
    right_cause: bool | None = None
    false_alarms: int = 0
    seconds: dict[str, float] = {}

    @property
    def cell(self) -> tuple[str, str, str]:
        return self.version, self.row, self.position


class Record:
    """The results so far, in memory and in a file of JSON lines.

    resume: begin with what the file has; else it begins empty. A cell that runs again replaces what it was.
    """

    def __init__(self, path: Path, *, resume: bool = False) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._by_cell: dict[tuple[str, str, str], Result] = {}
        if resume:
            self._read()
        else:
            path.write_bytes(b"")

    @property
    def results(self) -> tuple[Result, ...]:
        return tuple(self._by_cell.values())

    def passed(self, version: str, row: str, position: str) -> bool:
        """Whether the cell has run without a miss."""
        result = self._by_cell.get((version, row, position))
        return result is not None and not result.misses

    def add(self, result: Result) -> None:
        self._by_cell[result.cell] = result
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(result) + b"\n")

    def _read(self) -> None:
        """Raises LabError for a file that is no record; a last line that was cut short is left out."""
        lines = self.path.read_bytes().split(b"\n") if self.path.exists() else [b""]
        for line in lines[:-1]:
            try:
                result = msgspec.json.decode(line, type=Result)
            except msgspec.DecodeError as error:
                raise LabError(f"{self.path} is not a record of this run: {error}") from None
            self._by_cell[result.cell] = result
        if lines[-1]:
            self.path.write_bytes(b"".join(line + b"\n" for line in lines[:-1]))
