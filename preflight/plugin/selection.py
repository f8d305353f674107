"""What is collected and how it is labelled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from ..check import Severity
from .nodes import name_of
from .run import Run
from .surveying import check_of

SELFTESTS = "selftests"


def declare_markers(config: pytest.Config) -> None:
    """The markers that @check leaves on a test, so that -m critical works."""
    config.addinivalue_line("markers", "check(record): the test is a check; set by @check")
    for severity in get_args(Severity):
        config.addinivalue_line("markers", f"{severity}: checks of this severity")


def ignored(run: Run, path: Path) -> bool | None:
    """A run on nodes never collects the project's own tests."""
    return True if run.active and path == run.config.rootpath / SELFTESTS else None


def describe(items: Iterable[pytest.Item]) -> None:
    """Before -m selects: the severity as a marker; check, severity and node as JUnit properties."""
    for item in items:
        check, node = check_of(item), name_of(item)
        if check is not None:
            item.add_marker(check.severity)
            item.user_properties += [("check", check.id), ("severity", check.severity)]
        if node is not None:
            item.user_properties.append(("node", node))
