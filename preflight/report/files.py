"""The files beside the page: facts.json, runbook.md and the lines of results.jsonl. Readable by their owner only."""

from __future__ import annotations

import json
import os
from io import FileIO
from pathlib import Path

import msgspec

from ..facts import Survey, dump
from ..outcomes import Outcome


def create(path: Path) -> FileIO:
    """An empty file of mode 0600, unbuffered: a line written is a line kept. Raises OSError."""
    return FileIO(_private(path), "w")


def write_facts(path: Path, survey: Survey) -> None:
    """facts.json, whole or not at all: it takes the name only once it is complete. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    with os.fdopen(_private(partial), "wb") as file:
        file.write(dump(survey))
    partial.replace(path)


def write_runbook(path: Path, text: str) -> None:
    """runbook.md. What UTF-8 cannot carry becomes "?", as in results.jsonl. Raises OSError."""
    with create(path) as file:
        file.write(text.encode("utf-8", "replace"))


def jsonl_line(outcome: Outcome) -> bytes:
    """One line of results.jsonl. What UTF-8 cannot carry becomes "?": a strange byte in a message costs no line."""
    text = json.dumps(msgspec.to_builtins(outcome), ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def _private(path: Path) -> int:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    os.fchmod(descriptor, 0o600)  # the file may have stood there with another mode, and the umask may be any
    return descriptor
