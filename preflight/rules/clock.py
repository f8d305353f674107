"""PATH-2: the node's clock beside S3's, which every signature is measured by."""

from __future__ import annotations

from ..facts import CouldNotCheck, NodeFacts, Survey, System, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, routes

REFUSED = 15 * 60.0
"""Seconds from which S3 answers RequestTimeTooSkewed (MaxAllowedSkewMilliseconds 900000)."""

WORTH_A_LOOK = 5 * 60.0


def agrees(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node's clock is less than five minutes off S3's, a warning until the fifteen that S3 refuses.

    S3's time is the Date of its answer to this node; where none came, of its answer to a companion, both nodes' clocks
    being known beside the controller's. Raises CouldNotCheck, NotApplicable.
    """
    repositories = members.repositories(survey, node)
    members.require_user(survey.member_of(node))
    proxied = routes.proxied_repositories(survey, node)
    if all(repository.name in proxied for repository in repositories):
        raise NotApplicable("every S3 client of this node goes through a proxy")
    found = offset(survey, node)
    if abs(found) < WORTH_A_LOOK:
        return None
    side = "ahead of" if found > 0 else "behind"
    return Finding(
        observed=f"this node's clock is {_spoken(abs(found))} {side} S3's"
        + (": S3 refuses a signature by it (RequestTimeTooSkewed)" if abs(found) >= REFUSED else ""),
        expected="a clock within a few seconds of S3's; it refuses signatures that are more than 15 minutes off",
        details=_beside(node),
        warning=abs(found) < REFUSED,
    )


def offset(survey: Survey, node: NodeFacts) -> float:
    """Seconds that the node's clock is ahead of S3's. Raises CouldNotCheck where no node had an answer from S3."""
    own = _told(node)
    if own is not None:
        return own
    beside = known(node.system).clock_offset
    for other in members.companions(survey, node):
        told = _told(other)
        theirs = other.system.clock_offset if isinstance(other.system, System) else None
        if told is not None and theirs is not None and beside is not None:
            return beside - theirs + told
    known(node.buckets)
    raise CouldNotCheck("no node had an answer from S3 that names its time", "mend the path to S3 first (PATH-1)")


def _told(node: NodeFacts) -> float | None:
    """The offset that is farthest from none, of this node's own answers; None without one."""
    if isinstance(node.buckets, Unknown):
        return None
    offsets = [bucket.clock_offset for bucket in node.buckets if bucket.clock_offset is not None]
    return max(offsets, key=abs, default=None)


def _beside(node: NodeFacts) -> tuple[str, ...]:
    if not isinstance(node.system, System) or node.system.clock_offset is None:
        return ()
    return (f"beside the clock of the machine this suite runs on: {node.system.clock_offset:+.1f} s",)


def _spoken(seconds: float) -> str:
    if seconds >= 2 * 86400:
        return f"{seconds / 86400:.0f} days"
    return f"{seconds / 3600:.1f} hours" if seconds >= 2 * 3600 else f"{seconds / 60:.0f} minutes"
