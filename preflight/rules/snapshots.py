"""SNAP: how the newest snapshot of a repository ended, for the nodes whose shards it lacks."""

from __future__ import annotations

from ..facts import NewestSnapshot, NodeFacts, ShardFailures, Survey, Unknown
from ..judgement import Finding, NotApplicable
from . import members

COMPLETE = "every shard in the newest snapshot"


def newest_is_complete(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no newest snapshot lacks a shard of this node's; a warning otherwise.

    Shards that name no given node are told by the cluster's first given node. Raises CouldNotCheck; NotApplicable where
    no snapshot was looked at: none is there, `_verify` did not pass, the login may not see them.
    """
    members.require_running(node)
    members.repositories(survey, node)
    members.require_user(members.member_of(survey, node))
    looked_at = [s for s in newest(survey, node) if s.snapshot is not None and s.state != "IN_PROGRESS"]
    if not looked_at:
        raise NotApplicable("no finished snapshot of a repository that passes _verify was seen")
    found = [line for snapshot in looked_at for line in _lacking(survey, node, snapshot)]
    if not found:
        return None
    return Finding(observed=found[0], expected=COMPLETE, details=tuple(found[1:]), warning=True)


def newest(survey: Survey, node: NodeFacts) -> tuple[NewestSnapshot, ...]:
    """The newest snapshots that were seen; none where nobody looked. Raises CouldNotCheck."""
    found = members.cluster_of(survey, node).newest
    return () if isinstance(found, Unknown) else found


def _lacking(survey: Survey, node: NodeFacts, snapshot: NewestSnapshot) -> list[str]:
    """One line for each reason: what the snapshot lacks of this node, or of nobody that was given."""
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    mine = [f for f in snapshot.failures if f.node_id == own]
    if node.name == members.speaker(survey, node):
        mine += [f for f in snapshot.failures if f.node_id is None or survey.given(f.node_id) is None]
        if snapshot.state == "FAILED" and not snapshot.failures:
            return [f"{snapshot.snapshot} in {snapshot.repository} failed"]
    return [
        f"{snapshot.snapshot} in {snapshot.repository} ({snapshot.state}) lacks {_shards(failure.shards)}"
        f"{_whose(survey, own, failure)}: {failure.sentence}"
        for failure in mine
    ]


def _shards(count: int) -> str:
    return "1 shard" if count == 1 else f"{count} shards"


def _whose(survey: Survey, own: str | None, failure: ShardFailures) -> str:
    if failure.node_id is None:
        return ""
    return " of this node" if failure.node_id == own else f" of {members.title(survey, failure.node_id)}"
