"""The registry of checks: behind --list-checks, the documentation, JUnit properties and the report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

import msgspec
import pytest

Severity = Literal["critical", "high", "medium", "warning"]
"""critical: snapshots fail or will; high: one node is about to differ; medium: worth mending; warning: worth a look."""

Need = Literal[
    "login",
    "system",
    "install",
    "process",
    "keystore",
    "config",
    "sources",
    "imds",
    "container",
    "routing",
    "view",
    "cluster",
    "verify",
    "dials",
    "paths",
    "buckets",
    "marker",
    "aws",
]
"""What a check reads of the survey; only what the selected checks need is gathered."""

F = TypeVar("F", bound=Callable[..., object])


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One registered check. title: the docstring's first line; why: the rest of it."""

    id: str
    severity: Severity
    title: str
    why: str
    needs: tuple[Need, ...]
    writes: str | None
    function: str


REGISTRY: dict[str, Check] = {}
"""Every imported check by its id."""


def check(id: str, *, severity: Severity, needs: tuple[Need, ...], writes: str | None = None) -> Callable[[F], F]:
    """Register a test function as a check and return it unchanged but for its mark.

    needs: sections it reads; writes: what it makes the cluster write, None for nothing.
    Raises ValueError for a second function under one id and for a missing docstring.
    """

    def register(function: F) -> F:
        name = f"{function.__module__}.{function.__name__}"
        title, _, why = (function.__doc__ or "").strip().partition("\n")
        if not title:
            raise ValueError(f"check {id} ({name}) has no docstring: say in it what is true and why it matters")
        record = Check(
            id=id, severity=severity, title=title, why=" ".join(why.split()), needs=needs, writes=writes, function=name
        )
        other = REGISTRY.get(id)
        if other is not None and other.function != name:
            raise ValueError(f"check id {id} is taken by {other.function}; {name} needs one of its own")
        REGISTRY[id] = record
        marked: F = pytest.mark.check(record)(function)
        return marked

    return register


def check_of(item: pytest.Item) -> Check | None:
    """The record that @check left on the item's test function; None for a test that is no check."""
    marker = item.get_closest_marker("check")
    record: Check | None = marker.args[0] if marker else None
    return record
