"""What is collected and how it is labelled."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest

from ..check import Severity, check_of
from .nodes import name_of
from .run import Run

SELFTESTS = "selftests"


def declare_markers(config: pytest.Config) -> None:
    """The markers that @check leaves on a test, so that -m critical works."""
    config.addinivalue_line("markers", "check(record): the test is a check; set by @check")
    for severity in get_args(Severity):
        config.addinivalue_line("markers", f"{severity}: checks of this severity")


def ignored(run: Run, path: Path) -> bool | None:
    """A run on nodes never collects the project's own tests."""
    return True if run.active and is_selftest(run.config, path) else None


def is_selftest(config: pytest.Config, path: Path) -> bool:
    """Whether path is the project's own tests or among them."""
    own = config.rootpath / SELFTESTS
    return path == own or own in path.parents


def refuse_selftests(config: pytest.Config) -> None:
    """Raises pytest.UsageError where they are named on the command line of a run on nodes."""
    for argument in config.args:
        path = config.invocation_params.dir / argument.partition("::")[0]
        if is_selftest(config, path.resolve()):
            raise pytest.UsageError(f"{argument} tests the suite itself, not nodes: leave out --hosts or --facts")


def describe(items: Iterable[pytest.Item]) -> None:
    """Before -m selects: the severity as a marker; check, severity and node as JUnit properties."""
    for item in items:
        check, node = check_of(item), name_of(item)
        if check is not None:
            item.add_marker(check.severity)
            item.user_properties += [("check", check.id), ("severity", check.severity)]
        if node is not None:
            item.user_properties.append(("node", node))
