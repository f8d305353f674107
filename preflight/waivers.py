"""waivers.yml: failures that somebody has accepted, with reason, owner and expiry.

    - check: KEY-1
      node: es-2
      reason: keys are rotated in the window of 14 March
      owner: storage team
      expires: 2027-03-15
      unreachable: true      # may be left out: waives "could not check" as well

A waived check still runs. An expired waiver waives nothing.
"""

from __future__ import annotations

import datetime
import fnmatch
from collections.abc import Iterable
from pathlib import Path

import msgspec
import yaml

REQUIRED = ("check", "node", "reason", "owner", "expires")
KEYS = (*REQUIRED, "unreachable")


class WaiverError(ValueError):
    """What does not fit in a waiver file; the message begins with file:line."""


class Waiver(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted failure. check: an id; node: a name or glob; expires: its last day (UTC); file, line: its place."""

    check: str
    node: str
    reason: str
    owner: str
    expires: datetime.date
    unreachable: bool
    file: str
    line: int

    @property
    def place(self) -> str:
        """file:line"""
        return f"{self.file}:{self.line}"

    def text(self) -> str:
        """Reason, owner and expiry on one line."""
        return f"until {self.expires}: {self.reason} (owner: {self.owner})"

    def expired(self, today: datetime.date) -> bool:
        """Whether its last day has passed."""
        return self.expires < today


class Waivers(msgspec.Struct, frozen=True):
    """All waivers of a run. today: the run's UTC date, so that midnight doesn't change a verdict half way."""

    waivers: tuple[Waiver, ...]
    today: datetime.date

    def find(self, checks: Iterable[str], node: str, *, unreachable: bool = False) -> Waiver | None:
        """The waiver for one of these checks on the node, a live one first. unreachable: it must waive that as well."""
        wanted = set(checks)
        matching = [
            waiver
            for waiver in self.waivers
            if waiver.check in wanted
            and fnmatch.fnmatchcase(node, waiver.node)
            and (waiver.unreachable or not unreachable)
        ]
        return min(matching, key=lambda waiver: waiver.expired(self.today), default=None)


NONE = Waivers(waivers=(), today=datetime.date.min)


def load(path: Path, today: datetime.date) -> Waivers:
    """The waivers in a file. Raises WaiverError, OSError."""
    text = path.read_text(encoding="utf-8")
    try:
        document = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WaiverError(f"{path}:{line}: not YAML: {error.problem}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise WaiverError(f"{path}:{line}: not YAML: {error.reason}") from error
    if document is None:
        return Waivers(waivers=(), today=today)
    if not isinstance(document, yaml.SequenceNode):
        raise WaiverError(f"{path}:{_line(document)}: expected a list of waivers, each beginning with '- check: ID'")
    return Waivers(waivers=tuple(_waiver(path, entry) for entry in document.value), today=today)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _waiver(path: Path, entry: yaml.Node) -> Waiver:
    if not isinstance(entry, yaml.MappingNode):
        raise WaiverError(f"{path}:{_line(entry)}: a waiver has the keys {', '.join(KEYS)}")
    values: dict[str, str] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in entry.value:
        key, line = str(key_node.value), _line(key_node)
        if key not in KEYS:
            raise WaiverError(f"{path}:{line}: unknown key {key!r}; a waiver has the keys {', '.join(KEYS)}")
        if key in values:
            raise WaiverError(f"{path}:{line}: {key} is given twice in one waiver")
        if not isinstance(value_node, yaml.ScalarNode) or not value_node.value.strip():
            raise WaiverError(f"{path}:{line}: {key} needs one value")
        values[key], lines[key] = value_node.value.strip(), line
    missing = [key for key in REQUIRED if key not in values]
    if missing:
        raise WaiverError(f"{path}:{_line(entry)}: this waiver lacks {', '.join(missing)}")
    try:
        expires = datetime.date.fromisoformat(values["expires"])
    except ValueError as error:
        raise WaiverError(
            f"{path}:{lines['expires']}: expires must be a day such as 2027-03-15, not {values['expires']!r}"
        ) from error
    unreachable = values.get("unreachable", "false")
    if unreachable not in ("true", "false"):
        raise WaiverError(f"{path}:{lines['unreachable']}: unreachable must be true or false, not {unreachable!r}")
    return Waiver(
        check=values["check"],
        node=values["node"],
        reason=values["reason"],
        owner=values["owner"],
        expires=expires,
        unreachable=unreachable == "true",
        file=str(path),
        line=_line(entry),
    )
