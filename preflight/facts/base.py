"""What every fact is made of, and the one place where an unknown fact becomes "could not check"."""

from __future__ import annotations

from typing import TypeVar

import msgspec

T = TypeVar("T")


class Fact(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="fact", tag=True):
    """An immutable record of something seen. JSON carries the class name under "fact" and refuses unknown fields."""


class Unknown(Fact, frozen=True, kw_only=True):
    """A section that could not be seen; never to be read as its absence.

    reason: what happened, one sentence without a secret
    remedy: what would make it known (a group, a sudoers line, an option), "" where nothing is known to help
    blocked: True where the node as a whole could not be surveyed (NODE-1 says why)
    """

    reason: str
    remedy: str = ""
    blocked: bool = False


class CouldNotCheck(Exception):
    """A judgement that needs a fact nobody could see. Never a pass, never a fail."""

    def __init__(self, reason: str, remedy: str = "", *, blocked: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy
        self.blocked = blocked


def known(section: T | Unknown) -> T:
    """The section's value.

    Raises CouldNotCheck where it is Unknown: the only place that turns the one into the other.
    """
    if isinstance(section, Unknown):
        raise CouldNotCheck(section.reason, section.remedy, blocked=section.blocked)
    return section
