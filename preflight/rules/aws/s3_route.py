"""AWS-2: the route table of the node's subnet leads to S3, as the other nodes' tables do."""

from __future__ import annotations

import ipaddress

from ... import s3
from ...facts import BucketPath, CouldNotCheck, NodeFacts, Survey, Unknown, known
from ...facts.aws import Endpoint, Instance, RouteTable
from ...judgement import Finding, NotApplicable
from .. import members, path, routes
from . import gates, groups, places
from .ways import KINDS, Kind, Way


def leads_to_s3(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where AWS leads the node's traffic to S3 and lets it through, as it does for most of the other nodes.

    A node that opens TCP to every bucket has a way, whatever the table reads like; another kind of way than most nodes'
    is a warning. Raises CouldNotCheck, NotApplicable.
    """
    places.control_plane(survey)
    own = way(survey, node)
    cut = cut_off(survey, node)
    if cut and not own.broken:
        closed = gates.closed(survey, node, own, tuple(path for path in paths(survey, node) if path.tcp == "timeout"))
        if closed:
            return Finding(observed=f"{node.name} -> {closed.target}: {closed.why}", expected=gates.LET_THROUGH)
    found = _of_cluster(survey, node)
    usual = members.majority({name: other.kind for name, other in found.items()})
    differs = usual is not None and found[usual].kind != own.kind
    if (cut and own.broken) or differs:
        others = {name: other for name, other in found.items() if name != node.name}
        example = usual if usual in others else next((name for name, other in others.items() if not other.broken), None)
        return Finding(
            observed=f"{node.name} is in {own.subnet}: {own.words}",
            expected=f"as for {example}: {others[example].words}"
            if example
            else "a route to S3: its gateway endpoint or a NAT gateway",
            warning=not cut,
        )
    partly = None if cut else gates.partly(survey, node, own)
    if partly:
        return Finding(observed=f"{node.name}: {partly}", expected="all of S3's ranges are let through", warning=True)
    return None


def cut_off(survey: Survey, node: NodeFacts) -> bool:
    """True where the node opens no TCP connection to some bucket on AWS. Raises CouldNotCheck, NotApplicable."""
    return any(path.unconnected(one) for one in paths(survey, node))


def ways(survey: Survey, node: NodeFacts) -> dict[str, Way]:
    """The ways of the other given nodes that have S3 repositories to reach, by node name."""
    return {name: other for name, other in _of_cluster(survey, node).items() if name != node.name}


def _of_cluster(survey: Survey, node: NodeFacts) -> dict[str, Way]:
    """The ways of all given nodes of the node's cluster, worked out once for all of them."""
    answers, key = places.index(survey).answers, ("ways", members.uuid_of(survey, node))
    if key not in answers:
        answers[key] = found = {}
        for other in (node, *members.companions(survey, node)):
            try:
                found[other.name] = way(survey, other)
            except (CouldNotCheck, NotApplicable):
                continue  # its own check says so
        answers[key] = {n.name: found[n.name] for n in survey.nodes if n.name in found}
    ready: dict[str, Way] = answers[key]
    return ready


def way(survey: Survey, node: NodeFacts) -> Way:
    """How traffic of the node's subnet leaves for S3. Raises CouldNotCheck, NotApplicable."""
    own = paths(survey, node)
    instance, interface, _ = places.of_node(survey, node)
    addresses = tuple(dict.fromkeys(a for one in own for a in one.addresses))
    elsewhere = any(_elsewhere(survey, node, one) for one in own)
    key = ("way", instance.vpc, interface.subnet, addresses, elsewhere, bool(instance.public))
    answers = places.index(survey).answers
    if key not in answers:
        answers[key] = _way(survey, instance, interface.subnet, addresses, elsewhere)
    ready: Way = answers[key]
    return ready


def _way(survey: Survey, instance: Instance, subnet: str, addresses: tuple[str, ...], elsewhere: bool) -> Way:
    table = places.table_of(survey, instance.vpc, subnet)
    kind, target, words, broken = _leads(survey, table, instance.vpc, list(addresses), elsewhere)
    if kind == "internet gateway" and not instance.public and not broken:
        # An internet gateway forwards nothing of an instance that it has no public address for.
        words, broken = f"{words}, and {instance.id} has no public address", True
    return Way(
        vpc=instance.vpc,
        subnet=subnet,
        table=table.id,
        kind=kind,
        target=target,
        words=f"{table.id} {words}",
        broken=broken,
    )


def _elsewhere(survey: Survey, node: NodeFacts, one: BucketPath) -> bool:
    """True where the bucket is in another region than the nodes: the gateway endpoint's routes are not for it."""
    return one.bucket_region is not None and one.bucket_region != places.control_plane(survey).region


def paths(survey: Survey, node: NodeFacts) -> tuple[BucketPath, ...]:
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


def _leads(
    survey: Survey, table: RouteTable, vpc: str, addresses: list[str], elsewhere: bool
) -> tuple[Kind | None, str | None, str, bool]:
    """Kind and id of what takes a packet for S3, in words, and whether it ends there."""
    aws = places.control_plane(survey)
    endpoint = interface_endpoint(survey, vpc, addresses)
    if endpoint is not None:
        words = f"keeps it in the VPC: interface endpoint {endpoint.id}"
        if endpoint.state != "available":
            return "interface endpoint", endpoint.id, f"{words}, whose state is {endpoint.state}", True
        return "interface endpoint", endpoint.id, words, False
    lists = {entry.id for entry in known(aws.prefix_lists) if entry.name.endswith(".s3")}
    chosen = next((route for route in table.routes if route.destination in lists and not elsewhere), None)
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
    state = _state(survey, target)
    if state not in (None, "available"):
        return kind, target, f"{words}, whose state is {state}", True
    return kind, target, words, False


def interface_endpoint(survey: Survey, vpc: str, addresses: list[str]) -> Endpoint | None:
    """The interface endpoint that answers under S3's own name: its addresses are then the VPC's."""
    aws = places.control_plane(survey)
    if isinstance(aws.endpoints, Unknown) or isinstance(aws.subnets, Unknown):
        return None
    inside = [cidr for subnet in aws.subnets for cidr in subnet.cidrs]
    if not addresses or not all(any(groups.inside(a, cidr) for cidr in inside) for a in addresses):
        return None
    found = [e for e in aws.endpoints if e.vpc == vpc and e.kind == "Interface" and e.service.endswith(".s3")]
    return min(found, key=lambda e: e.state != "available") if found else None


def _fits(destination: str, addresses: list[str]) -> bool:
    """Whether a route takes what the bucket's name resolved to; where it did not, only a default route is known to."""
    if not addresses:
        return destination == "0.0.0.0/0"
    return all(groups.inside(address, destination) for address in addresses)


def _state(survey: Survey, target: str) -> str | None:
    """State of the NAT gateway or endpoint a route leads to; None where that is not known."""
    index = places.index(survey)
    thing = index.nat_gateways.get(target) or index.endpoints.get(target)
    return thing.state if thing else None
