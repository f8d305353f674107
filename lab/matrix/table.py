"""The results as plain text that can be pasted into a document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from .cells import DATA, MASTER
from .record import Result

LEGEND = (
    "Each cell: on a data node, then on the elected master; together: several nodes or none.\n"
    "ok: expected cause first, on the right node, and every other outcome as declared. silent: harmless on this\n"
    "version, and nothing is said. MISS: anything else. -: not run."
)


def table(results: Sequence[Result]) -> str:
    """Figures a version, a row a fault, the misses in full."""
    versions = sorted({result.version for result in results}, key=lambda version: [*map(int, version.split("."))])
    lines = _aligned(
        [
            ["version", "cells", "detected", "localised", "right cause", "silent", "false alarms", "misses", "time"],
            *(_figures(version, [r for r in results if r.version == version]) for version in versions),
        ]
    )
    rows = list(dict.fromkeys(result.row for result in results))
    by_cell = {result.cell: result for result in results}
    lines += [
        "",
        *_aligned([["fault", *versions], *([row, *(_cell(by_cell, v, row) for v in versions)] for row in rows)]),
    ]
    lines += ["", LEGEND]
    missed = [result for result in results if result.misses]
    if missed:
        lines += ["", "Misses"]
    for result in missed:
        where = f" on {', '.join(result.nodes)}" if result.nodes else ""
        lines += [f"{result.row}, {result.version}, {result.position}{where}", *(f"  {miss}" for miss in result.misses)]
    return "\n".join(lines)


def _figures(version: str, results: list[Result]) -> list[str]:
    faulty = [result for result in results if result.detected is not None]
    silent = len(results) - len(faulty) - sum(bool(r.misses) for r in results if r.detected is None)
    seconds = sum(sum(result.seconds.values()) for result in results)
    return [
        version,
        str(len(results)),
        *(_of(getattr(result, what) for result in faulty) for what in ("detected", "localised", "right_cause")),
        str(silent),
        str(sum(result.false_alarms for result in results)),
        str(sum(bool(result.misses) for result in results)),
        f"{seconds / 60:.1f} min, {seconds / max(len(results), 1):.0f} s a cell",
    ]


def _of(right: Iterable[bool | None]) -> str:
    counted = list(right)
    return f"{sum(map(bool, counted))}/{len(counted)}"


def _cell(by_cell: dict[tuple[str, str, str], Result], version: str, row: str) -> str:
    ran = [by_cell.get((version, row, position)) for position in (DATA, MASTER, "together")]
    shown = [_word(result) for result in (ran[:2] if ran[2] is None else ran[2:])]
    return " ".join(shown)


def _word(result: Result | None) -> str:
    if result is None:
        return "-"
    return "MISS" if result.misses else "silent" if result.detected is None else "ok"


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{word:{width}}" for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
