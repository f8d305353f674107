"""PORT-3: the addresses of remote clusters that a node is configured with, dialled from it.

A node with the role remote_cluster_client opens them itself: one of the seeds (mode sniff) or the proxy (mode proxy).
Searches and replication across clusters need it, snapshots do not.
"""

from __future__ import annotations

from ..facts import CouldNotCheck, Dial, Member, NodeFacts, Remote, Survey, known
from ..judgement import Finding, NotApplicable
from . import members, ports


def reached(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where an address of every remote cluster opens from this node."""
    shut = unreached(survey, node)
    if not shut:
        return None
    names = members.listed([remote.name for remote, _ in shut])
    return Finding(
        observed=f"{node.name} does not reach remote cluster{'s' if len(shut) > 1 else ''} {names}",
        expected="a seed or the proxy of every remote cluster opens",
        details=tuple(ports.words(survey, dial) for _, dials in shut for dial in dials),
        warning=True,
    )


def unreached(survey: Survey, node: NodeFacts) -> list[tuple[Remote, tuple[Dial, ...]]]:
    """Remote clusters of which no address opens from this node, with how each ended. Raises CouldNotCheck."""
    if survey.clusters and not any(m.remotes for cluster in survey.clusters for m in cluster.members):
        raise NotApplicable("no remote cluster is configured")
    member = members.member_of(survey, node)
    remotes = known(member.remotes)
    if not remotes:
        raise NotApplicable("no remote cluster is configured on this node")
    _require_client(member)
    dials = {dial.target: dial for dial in known(node.dials) if dial.port == "remote"}
    shut = []
    for remote in remotes:
        tried = tuple(dials[address] for address in remote.addresses if address in dials)
        if not tried:
            raise CouldNotCheck(f"remote cluster {remote.name} was not dialled from {node.name}")
        if all(dial.outcome != "open" for dial in tried):
            shut.append((remote, tried))
    return shut


def _require_client(member: Member) -> None:
    if not member.connects:
        raise NotApplicable("without the role remote_cluster_client it opens no connection to another cluster")
