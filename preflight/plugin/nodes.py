"""Tests that ask for a node are run once for each given node."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pytest

from ..connection.errors import ConnectionFailed
from .run import Run

if TYPE_CHECKING:
    from ..connection.connections import Connections

FIXTURE = "_given_node"
PLACEHOLDER = "no-node"


def parametrize(metafunc: pytest.Metafunc, run: Run) -> None:
    """One test a node, the nodes of a check adjacent, or one placeholder where none was given."""
    if FIXTURE in metafunc.fixturenames:
        # Function scope keeps the order of the file; facts are free, so nothing is gained by grouping by node.
        names = run.names or (PLACEHOLDER,)
        metafunc.parametrize(FIXTURE, names, ids=names, scope="function", indirect=True)


def name_of(item: pytest.Item) -> str | None:
    """The node a test runs on; None for a test that asks for none."""
    callspec = getattr(item, "callspec", None)
    return callspec.params.get(FIXTURE) if callspec else None


def refuse_none(run: Run, items: Iterable[pytest.Item]) -> None:
    """Raises pytest.UsageError where a selected test needs a node and none was given."""
    if run.usage and any(name_of(item) for item in items):
        raise pytest.UsageError(run.usage)


def refuse_none_by_id(run: Run, ids: Iterable[str]) -> None:
    """The same from the test ids that an xdist worker sends."""
    if run.usage and any(re.search(rf"\[(?:.*-)?{PLACEHOLDER}(?:-.*)?\]$", id) for id in ids):
        raise pytest.UsageError(run.usage)


def connections(run: Run) -> Connections:
    """The logins of this process: one a node, shared by the survey and a user's own tests."""
    if run.connections is None:
        from ..connection.connections import Connections

        run.connections = Connections(
            connect_timeout=run.choices.connect_timeout,
            insecure_host_keys=run.choices.insecure_host_keys,
            aws_profile=run.choices.aws_profile,
        )
    return run.connections


def testinfra_host(run: Run, name: str) -> Any:
    """testinfra's host for a node, over the run's own login. Raises ConnectionFailed."""
    if run.recorded is not None:
        raise ConnectionFailed("--facts judges a recorded run: there is no connection for tests that use `host`")
    from ..connection.testinfra_backend import host_for

    node = next(node for node in run.nodes if node.name == name)
    return host_for(node, connections(run).get(node), run.choices.command_timeout)


def replace_testinfras_backend(run: Run) -> None:
    """A test that calls testinfra.get_host by itself gets the run's login too: testinfra's own accepts any host key."""
    from ..connection.testinfra_backend import install

    install(connections(run), run.nodes)
