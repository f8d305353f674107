"""What filters on the way to S3: the node's security groups, the network ACLs, the groups of an interface endpoint.

A network ACL knows no prefix list: it has to let through S3's own addresses, and their answers. source: VPC user guide.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ...facts import BucketPath, CouldNotCheck, NodeFacts, Survey, Unknown, known
from ...facts.aws import Direction
from .. import members
from . import acls, groups, places
from .ways import Way

LET_THROUGH = "security groups and network ACLs let the node reach S3, and the answers back"

NAT_PORTS = (1024, 65535)
"""Ports that a NAT gateway asks from. source: VPC user guide, NAT gateways."""


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps the node's traffic from S3, or the answers from it.

    target: "host:port"; why: which rule is missing or which entry denies
    group: the first security group that lacks a rule, acl: the network ACL that denies; one of them
    direction, peer: of the rule that is missing; peer is an address, or the group of whoever has it
    """

    target: str
    why: str
    port: int
    direction: Direction
    peer: str
    group: str | None = None
    acl: str | None = None


def closed(survey: Survey, node: NodeFacts, way: Way, tried: Iterable[BucketPath]) -> Closed | None:
    """The first gate that is closed to what the node tried; None where all let it through. Raises CouldNotCheck.

    tried: the node's paths to buckets that got no answer: a refusal is one
    """
    _, interface, own = places.of_node(survey, node)
    for path in tried:
        for address in path.addresses:
            found = _by_groups(survey, way, interface.groups, own, address, path.port) or _by_acls(
                survey, way, own, address, path.port
            )
            if found:
                return msgspec.structs.replace(found, target=f"{path.host} {address}:{path.port}")
    return None


def _by_groups(
    survey: Survey, way: Way, own_groups: tuple[str, ...], own: str, address: str, port: int
) -> Closed | None:
    aws, index = places.control_plane(survey), places.index(survey)
    known(aws.groups)
    endpoint = index.endpoints.get(way.target or "") if way.kind == "interface endpoint" else None
    theirs = endpoint.groups if endpoint else ()
    if not groups.allow(
        index.groups, index.lists, own=own_groups, direction="egress", peer=address, peer_groups=theirs, port=port
    ):
        why = f"security group {members.listed(list(own_groups))} lets nothing out to {address} on {port}"
        return Closed(target="", why=why, port=port, direction="egress", peer=address, group=own_groups[0])
    if not theirs or groups.allow(
        index.groups, index.lists, own=theirs, direction="ingress", peer=own, peer_groups=own_groups, port=port
    ):
        return None
    why = (
        f"security group {members.listed(list(theirs))} of interface endpoint {way.target} has no rule that lets "
        f"{own} in on {port}"
    )
    return Closed(target="", why=why, port=port, direction="ingress", peer=own_groups[0], group=theirs[0])


def _by_acls(survey: Survey, way: Way, own: str, address: str, port: int) -> Closed | None:
    asked, ephemeral = (port, port), acls.EPHEMERAL
    steps: list[tuple[str, Direction, str, tuple[int, int]]] = [(way.subnet, "egress", address, asked)]
    between = _subnet_between(survey, way, address)
    if between not in (None, way.subnet):
        steps.append((str(between), "ingress", own, asked))
        if way.kind == "NAT gateway":
            steps += [(str(between), "egress", address, asked), (str(between), "ingress", address, NAT_PORTS)]
        steps.append((str(between), "egress", own, ephemeral))
    elif between == way.subnet and way.kind == "interface endpoint":
        return None  # nothing asks an ACL inside one subnet
    steps.append((way.subnet, "ingress", address, ephemeral))
    for subnet, direction, peer, ports in steps:
        acl = places.acl_of(survey, subnet)
        why = acls.denied(acl, direction, peer, ports)
        if why:
            return Closed(
                target="",
                why=f"network ACL of {subnet}: {why}",
                port=port,
                direction=direction,
                peer=peer,
                acl=acl.id,
            )
    return None


def _subnet_between(survey: Survey, way: Way, address: str) -> str | None:
    """The subnet that the traffic enters next: of the interface endpoint, of the NAT gateway; None for no subnet."""
    if way.kind == "interface endpoint":
        return places.subnet_at(survey, address)
    if way.kind == "NAT gateway":
        gateway = places.index(survey).nat_gateways.get(way.target or "")
        return gateway.subnet if gateway else None
    return None


def partly(survey: Survey, node: NodeFacts, way: Way) -> str | None:
    """Which of S3's ranges are shut out, in words, for a node that reaches S3 at the address it has today.

    None where all are let through, where none is known to be, and where that is not told: it is a warning's matter.
    """
    if way.kind not in ("gateway endpoint", "NAT gateway", "internet gateway"):
        return None
    _, interface, _ = places.of_node(survey, node)
    index = places.index(survey)
    key = ("partly", interface.groups, way.subnet)
    if key not in index.answers:
        try:
            index.answers[key] = _partly(survey, interface.groups, way.subnet)
        except CouldNotCheck:
            index.answers[key] = None
    ready: str | None = index.answers[key]
    return ready


def _partly(survey: Survey, own_groups: tuple[str, ...], subnet: str) -> str | None:
    aws, index = places.control_plane(survey), places.index(survey)
    known(aws.groups)
    s3 = next((found for found in index.lists.values() if found.name == f"com.amazonaws.{aws.region}.s3"), None)
    if s3 is None or isinstance(s3.cidrs, Unknown):
        return None
    ranges = [cidr for cidr in s3.cidrs if groups.parsed(cidr).version == 4]
    shut = [
        cidr
        for cidr in ranges
        if not groups.allow(
            index.groups, index.lists, own=own_groups, direction="egress", peer=cidr, peer_groups=(), port=443
        )
    ]
    if shut and len(shut) < len(ranges):
        names = members.listed(list(own_groups))
        return f"security group {names} lets 443 out to a part of S3's ranges, not to {_few(shut)}"
    acl = places.acl_of(survey, subnet)
    steps: tuple[tuple[Direction, tuple[int, int], str], ...] = (
        ("egress", (443, 443), "443 out to"),
        ("ingress", acls.EPHEMERAL, "answers in from"),
    )
    for direction, ports, words in steps:
        shut = [cidr for cidr in ranges if acls.denied(acl, direction, cidr, ports)]
        if shut and len(shut) < len(ranges):
            return f"network ACL {acl.id} of {subnet} lets {words} a part of S3's ranges, not {_few(shut)}"
    return None


def _few(ranges: list[str]) -> str:
    more = f" and {len(ranges) - 3} more" if len(ranges) > 3 else ""
    return members.listed(ranges[:3]) if not more else f"{', '.join(ranges[:3])}{more}"
