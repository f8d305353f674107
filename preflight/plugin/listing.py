"""--list-checks: what a selection would check, without asking a node."""

from __future__ import annotations

import pytest
from _pytest.main import wrap_session

from ..check import Check, check_of
from ..outcomes import INTERRUPTED


def main(config: pytest.Config) -> int:
    """The session of --list-checks, in this process alone. Returns the exit status."""
    if hasattr(config.option, "dist"):
        config.option.dist, config.option.tx = "no", []
    return int(wrap_session(config, list_checks))


def list_checks(config: pytest.Config, session: pytest.Session) -> int:
    """Collect, apply -k and -m, print one line a check. Returns the exit status."""
    session.perform_collect()
    if session.testsfailed:
        return INTERRUPTED
    checks = {check.id: check for check in map(check_of, session.items) if check}
    writer = config.get_terminal_writer()
    for line in table(list(checks.values())):
        writer.line(line)
    return 0


def table(checks: list[Check]) -> list[str]:
    """Rows of aligned columns, in the order of the files."""
    rows = [("ID", "SEVERITY", "TITLE", "NEEDS", "WRITES")]
    rows += [
        (check.id, check.severity, check.title, ",".join(check.needs), check.writes or "nothing") for check in checks
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:4], widths, strict=True)), row[4]]) for row in rows
    ]
