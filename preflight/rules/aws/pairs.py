"""AWS-1: security groups and network ACLs let this node open every member's ports, and let the answers back."""

from __future__ import annotations

import msgspec

from ...addresses import host_of
from ...facts import CouldNotCheck, Dial, NodeFacts, Survey, Unknown, known
from ...facts.aws import Direction, Interface, NetworkAcl
from ...judgement import Finding, NotApplicable
from .. import members, ports
from . import acls, groups, places

MOST_LINES = 20
"""Pairs that are told one by one: a group that lets nobody in closes all of them for one reason."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """One pair that AWS does not let through.

    member: node id of the target; target: "host:port"; why: which rule is missing or which entry denies
    group: (security group that lacks a rule, its direction, group of the other side); None where it is an ACL
    acl: the network ACL that denies; None where it is a group
    """

    member: str
    target: str
    why: str
    group: tuple[str, Direction, str] | None = None
    acl: str | None = None


def lets_through(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where AWS lets this node open transport and HTTP of every member that it does not reach.

    A pair that opens is let through, whatever the rules read like: a connection just made proves more than rules.
    """
    places.control_plane(survey)
    closed, undecided = [], None
    for dial in _failing(survey, node):
        try:
            found = between(survey, node, dial)
        except CouldNotCheck as error:
            undecided = undecided or error
            continue
        if found:
            closed.append(found)
    if closed:
        lines = [f"{node.name} -> {members.title(survey, c.member)} {c.target}: {c.why}" for c in closed[:MOST_LINES]]
        if len(closed) > MOST_LINES:
            lines.append(f"{len(closed) - MOST_LINES} more pairs of {node.name} are closed")
        return Finding(
            observed=lines[0],
            expected="security groups and network ACLs let the pair through, both ways",
            details=tuple(lines[1:]),
        )
    if undecided:
        raise undecided
    return None


def between(survey: Survey, node: NodeFacts, dial: Dial) -> Closed | None:
    """What of AWS's keeps this node from the target; None where AWS would let it through. Raises CouldNotCheck."""
    address, port = host_of(dial.target), int(dial.target.rpartition(":")[2])
    source_instance, source, own = places.of_node(survey, node)
    found = places.at(survey, address)
    if found is None:
        raise CouldNotCheck(f"AWS lists no instance of the nodes' VPCs at {address}")
    target = found[1]
    if target.id == source.id:
        return None
    closed = Closed(member=dial.member, target=dial.target, why="")
    by_group = _by_groups(survey, source, own, target, address, port)
    if by_group:
        return msgspec.structs.replace(closed, why=by_group[0], group=by_group[1])
    if source_instance.vpc != found[0].vpc:
        raise CouldNotCheck(f"{address} is in another VPC: what joins the two is not looked at")
    if source.subnet == target.subnet:
        return None
    by_acl = _by_acls(survey, source, own, target, address, port)
    return msgspec.structs.replace(closed, why=by_acl[0], acl=by_acl[1]) if by_acl else None


def _failing(survey: Survey, node: NodeFacts) -> tuple[Dial, ...]:
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    if all(dial.member == own for dial in known(node.dials)):
        raise NotApplicable("the cluster has no other member to reach")
    failing = (*ports.failing(survey, node, "transport"), *ports.failing(survey, node, "http"))
    # A refusal came back from the other host: what AWS drops is never answered.
    return tuple(dial for dial in failing if dial.outcome == "timeout")


def _by_groups(
    survey: Survey, source: Interface, own: str, target: Interface, address: str, port: int
) -> tuple[str, tuple[str, Direction, str]] | None:
    known(places.control_plane(survey).groups)
    steps: tuple[tuple[Interface, Direction, str, Interface, str], ...] = (
        (source, "egress", address, target, f"lets nothing out to {address} on {port}"),
        (target, "ingress", own, source, f"has no rule that lets {own} in on {port}"),
    )
    for interface, direction, peer, other, words in steps:
        if not _allow(survey, interface, direction, peer, other, port):
            names = members.listed(list(interface.groups))
            return f"security group {names} {words}", (interface.groups[0], direction, other.groups[0])
    return None


def _allow(survey: Survey, own: Interface, direction: Direction, peer: str, other: Interface, port: int) -> bool:
    """groups.allow, asked once for all peers of a subnet with the same groups where no rule tells them apart."""
    index = places.index(survey)
    shared = ("pair", own.groups, direction, other.groups, other.subnet, port)
    key = shared if _alike(survey, own.groups, other.subnet) else (*shared, peer)
    if key not in index.answers:
        index.answers[key] = groups.allow(
            index.groups,
            index.lists,
            own=own.groups,
            direction=direction,
            peer=peer,
            peer_groups=other.groups,
            port=port,
        )
    allowed: bool = index.answers[key]
    return allowed


def _alike(survey: Survey, named: tuple[str, ...], subnet: str) -> bool:
    """Whether every range in these groups' rules has all of the subnet or none of it; a prefix list may have a part."""
    index = places.index(survey)
    key = ("alike", named, subnet)
    if key not in index.answers:
        peers = {p for g in named if g in index.groups for rule in index.groups[g].rules for p in rule.peers}
        cidrs = index.subnets.get(subnet, ())
        index.answers[key] = bool(cidrs) and not any(
            peer.startswith("pl-") or (not peer.startswith("sg-") and _splits(peer, cidr))
            for peer in peers
            for cidr in cidrs
        )
    alike: bool = index.answers[key]
    return alike


def _splits(rule: str, subnet: str) -> bool:
    return groups.inside(rule, subnet) and not groups.inside(subnet, rule)


def _by_acls(
    survey: Survey, source: Interface, own: str, target: Interface, address: str, port: int
) -> tuple[str, str] | None:
    """What denies, in words, and the ACL's id: the question both ways, the answer to whatever port was chosen."""
    ours, theirs = places.acl_of(survey, source.subnet), places.acl_of(survey, target.subnet)
    steps: tuple[tuple[NetworkAcl, Direction, str, tuple[int, int]], ...] = (
        (ours, "egress", address, (port, port)),
        (theirs, "ingress", own, (port, port)),
        (theirs, "egress", own, acls.EPHEMERAL),
        (ours, "ingress", address, acls.EPHEMERAL),
    )
    for acl, direction, peer, wanted in steps:
        why = acls.denied(acl, direction, peer, wanted)
        if why:
            return f"network ACL of {source.subnet if acl is ours else target.subnet}: {why}", acl.id
    return None
