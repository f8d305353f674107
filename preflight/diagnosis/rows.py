"""What a row of the table of causes is made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from ..facts import NodeFacts
from ..judgement import Remedy
from .scene import Pair, Scene


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One row's answer for one node. title: of the cause, "{nodes}" standing for whoever shares it."""

    title: str
    evidence: tuple[str, ...]
    confidence: Literal["certain", "likely", "possible"]
    explains: tuple[Pair, ...]
    remedy: Remedy


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One cause: its id, and the question put to each node."""

    id: str
    ask: Callable[[Scene, NodeFacts], Found | None]
