"""AWS-2: the route table of the node's subnet leads to S3, as the other nodes' tables do."""

from __future__ import annotations

import ipaddress
from typing import Literal

import msgspec

from ... import s3
from ...facts import BucketPath, CouldNotCheck, NodeFacts, Survey, Unknown, known
from ...facts.aws import Aws, RouteTable
from ...judgement import Finding, NotApplicable
from .. import members, path, routes
from . import groups, places

Kind = Literal[
    "gateway endpoint", "interface endpoint", "NAT gateway", "internet gateway", "transit gateway", "network interface"
]

KINDS: tuple[tuple[str, Kind], ...] = (
    ("vpce-", "gateway endpoint"),
    ("nat-", "NAT gateway"),
    ("igw-", "internet gateway"),
    ("tgw-", "transit gateway"),
    ("eni-", "network interface"),
)
"""What a route hands packets to, by how its id begins. source: EC2 API reference, Route."""


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a subnet's traffic leaves for S3.

    kind, target: None where no route leads there; words: the table and where it leads
    broken: it ends there (no route, a blackhole, a gateway or endpoint that is not available)
    """

    vpc: str
    subnet: str
    table: str
    kind: Kind | None
    target: str | None
    words: str
    broken: bool = False


def leads_to_s3(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node's subnet has a way to S3; a warning where it is of another kind than most nodes' ways.

    A node that opens TCP to every bucket has one, whatever the table reads like. Raises CouldNotCheck, NotApplicable.
    """
    own = way(survey, node)
    cut = cut_off(survey, node)
    found = ways(survey, node)
    usual = members.majority({**{name: other.kind for name, other in found.items()}, node.name: own.kind})
    differs = usual in found and found[usual].kind != own.kind
    if not (cut and own.broken) and not differs:
        return None
    example = usual if usual in found else next((name for name, other in found.items() if not other.broken), None)
    return Finding(
        observed=f"{node.name} is in {own.subnet}: {own.words}",
        expected=f"as for {example}: {found[example].words}"
        if example
        else "a route to S3: its gateway endpoint or a NAT gateway",
        warning=not cut,
    )


def cut_off(survey: Survey, node: NodeFacts) -> bool:
    """True where the node opens no TCP connection to some bucket on AWS. Raises CouldNotCheck, NotApplicable."""
    return any(path.unconnected(one) for one in _paths(survey, node))


def ways(survey: Survey, node: NodeFacts) -> dict[str, Way]:
    """The ways of the other given nodes that have S3 repositories to reach, by node name."""
    found = {}
    for other in members.companions(survey, node):
        try:
            found[other.name] = way(survey, other)
        except (CouldNotCheck, NotApplicable):
            continue  # its own check says so
    return found


def way(survey: Survey, node: NodeFacts) -> Way:
    """How traffic of the node's subnet leaves for S3. Raises CouldNotCheck, NotApplicable."""
    aws = places.control_plane(survey)
    paths = _paths(survey, node)
    instance, interface, _ = places.of_node(survey, node)
    table = places.table_of(aws, instance.vpc, interface.subnet)
    kind, target, words, broken = _leads(aws, table, instance.vpc, [a for path in paths for a in path.addresses])
    return Way(
        vpc=instance.vpc,
        subnet=interface.subnet,
        table=table.id,
        kind=kind,
        target=target,
        words=f"{table.id} {words}",
        broken=broken,
    )


def _paths(survey: Survey, node: NodeFacts) -> tuple[BucketPath, ...]:
    """The node's paths to buckets on AWS that it takes itself, not through a proxy."""
    member = survey.member_of(node)
    members.require_user(member)
    proxied = routes.proxied_repositories(survey, node)
    wanted = {
        r.name for r in members.repositories(survey, node) if s3.endpoint(node, member, r).aws and r.name not in proxied
    }
    if not wanted:
        raise NotApplicable("no S3 repository of this cluster goes to AWS directly")
    return tuple(path for path in known(node.buckets) if path.repository in wanted)


def _leads(aws: Aws, table: RouteTable, vpc: str, addresses: list[str]) -> tuple[Kind | None, str | None, str, bool]:
    """Kind and id of what takes a packet for S3, in words, and whether it ends there."""
    interface = _interface_endpoint(aws, vpc, addresses)
    if interface is not None:
        return "interface endpoint", interface, f"keeps it in the VPC: interface endpoint {interface}", False
    lists = {entry.id for entry in known(aws.prefix_lists) if entry.name.endswith(".s3")}
    chosen = next((route for route in table.routes if route.destination in lists), None)
    if chosen is None:
        fitting = [r for r in table.routes if not r.destination.startswith("pl-") and _fits(r.destination, addresses)]
        chosen = max(fitting, key=lambda r: ipaddress.ip_network(r.destination).prefixlen, default=None)
    if chosen is None or chosen.target in (None, "local"):
        return None, None, "has no route to S3", True
    target = str(chosen.target)
    kind = next((kind for start, kind in KINDS if target.startswith(start)), None)
    words = f"leads to S3 by the {kind or 'route to'} {target}"
    if chosen.blackhole:
        return kind, target, f"{words}, which is a blackhole: it does not exist any more", True
    state = _state(aws, target)
    if state not in (None, "available"):
        return kind, target, f"{words}, whose state is {state}", True
    return kind, target, words, False


def _interface_endpoint(aws: Aws, vpc: str, addresses: list[str]) -> str | None:
    """The interface endpoint that answers under S3's own name: its addresses are then the VPC's."""
    if isinstance(aws.endpoints, Unknown) or isinstance(aws.subnets, Unknown):
        return None
    inside = [cidr for subnet in aws.subnets for cidr in subnet.cidrs]
    if not addresses or not all(any(groups.inside(a, cidr) for cidr in inside) for a in addresses):
        return None
    found = [e for e in aws.endpoints if e.vpc == vpc and e.kind == "Interface" and e.service.endswith(".s3")]
    return found[0].id if found else None


def _fits(destination: str, addresses: list[str]) -> bool:
    """Whether a route takes what the bucket's name resolved to; where it did not, only a default route is known to."""
    if not addresses:
        return destination == "0.0.0.0/0"
    return all(groups.inside(address, destination) for address in addresses)


def _state(aws: Aws, target: str) -> str | None:
    """State of the NAT gateway or endpoint a route leads to; None where that is not known."""
    things = {
        **({} if isinstance(aws.nat_gateways, Unknown) else {nat.id: nat.state for nat in aws.nat_gateways}),
        **({} if isinstance(aws.endpoints, Unknown) else {e.id: e.state for e in aws.endpoints}),
    }
    return things.get(target)
