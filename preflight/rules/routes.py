"""ROUTE: the routes that this node's traffic takes, compared with the reference node's.

What the kernel chooses counts (`ip route get`), not the table: a host route nobody uses is no difference. Chosen routes
are compared by what they are (NEAR, "through …", blackhole …), so that three nodes in three subnets are alike.
"""

from __future__ import annotations

import ipaddress
import re

import msgspec

from ..addresses import is_address
from ..facts import ChosenPath, CouldNotCheck, Imds, NodeFacts, Process, Route, Routing, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, repository, tables

DEAD = ("blackhole", "unreachable", "prohibit", "none")
"""Kinds of chosen path that lead nowhere."""

NEAR = "its own subnet or its subnet's gateway"

LINK_LOCAL = ipaddress.ip_network("169.254.0.0/16")
"""EC2's metadata service and one address of its resolver: by whatever route, the host's own link answers."""

Shape = tuple[tuple[str, tuple[str, ...]], ...]
"""What a node's traffic takes: (subject, the ways it goes), subject: "S3 (REPOSITORY)", "IMDS", "DNS", "its peers"."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One node's chosen routes beside the reference's.

    reference: its name, None where no strict majority exists; against: the node compared with in either case
    why: what makes it the reference
    differs: (subject, own ways, the other's)
    """

    reference: str | None
    against: str
    why: str
    differs: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def gateways(survey: Survey, node: NodeFacts) -> frozenset[str]:
    """Addresses that are gateways of the node's subnets though not their first: default gateways, off EC2.

    Not where another host of the same subnet has another default gateway: then nobody can say which is the subnet's.
    """
    companions = members.companions(survey, node)
    if any(isinstance(other.imds, Imds) and other.imds.instance_id for other in (node, *companions)):
        return frozenset()
    hosts = [other.routing for other in (node, *companions) if not isinstance(other.routing, Unknown)]
    by_subnet: dict[tables.Network, set[str]] = {}
    for routing in hosts:
        for gateway in {r.gateway for r in routing.routes if r.table == "main" and r.destination == "default"}:
            for subnet in tables.subnets(routing):
                if gateway and ipaddress.ip_address(gateway) in subnet:
                    by_subnet.setdefault(subnet, set()).add(gateway)
    return frozenset(gateway for found in by_subnet.values() if len(found) == 1 for gateway in found)


def way(path: ChosenPath, routing: Routing, subnet_gateways: frozenset[str] = frozenset()) -> str:
    """How a path leaves the host, in words that mean the same on every host."""
    if path.kind in DEAD:
        return path.kind
    if path.purpose in ("imds", "dns") and path.kind in ("local", "on-link") and _link_local(path.target):
        return NEAR
    if path.kind == "local":
        return "the host itself"
    if path.kind == "on-link":
        try:
            target = ipaddress.ip_address(path.target)
        except ValueError:
            return NEAR
        own = any(target.version == n.version and target in n for n in tables.subnets(routing))
        return NEAR if own else "directly, though outside its own subnets"
    through = tables.spoken(path.gateway or "", routing, subnet_gateways)
    return NEAR if through == tables.GATEWAY else f"through {through}"


def shape(survey: Survey, node: NodeFacts) -> Shape:
    """What the node's traffic takes, by subject. Raises CouldNotCheck."""
    routing = known(node.routing)
    own = None if isinstance(node.view, Unknown) else f"peer:{node.view.node_id}"
    proxied = proxied_repositories(survey, node)
    known_gateways = gateways(survey, node)
    ways: dict[str, set[str]] = {}
    for path in known(node.paths):
        if path.purpose == own or path.purpose.partition(":")[2] in proxied:
            continue
        found = way(path, routing, known_gateways)
        if path.purpose.startswith(("peer:", "dns")) and found == "the host itself":
            continue  # a second node, a resolver on the same host
        ways.setdefault(subject(path.purpose), set()).add(found)
    if any(found not in DEAD for found in ways.get("DNS", ())):
        ways["DNS"].difference_update(DEAD)  # the resolver that is reached is asked
    return tuple((name, tuple(sorted(found))) for name, found in sorted(ways.items()))


def subject(purpose: str) -> str:
    """A path's purpose in words."""
    kind, _, name = purpose.partition(":")
    return {"s3": f"S3 ({name})", "imds": "IMDS", "dns": "DNS", "peer": "its peers"}.get(kind, purpose)


def _link_local(target: str) -> bool:
    return is_address(target) and ipaddress.ip_address(target) in LINK_LOCAL


def proxied_repositories(survey: Survey, node: NodeFacts) -> frozenset[str]:
    """S3 repositories whose client goes through a proxy on this node: its own path to S3 then carries nothing.

    A proxy in the client's settings says so. One in the JVM's start may have exceptions that nobody sees: it counts
    where the node's own path is cut and `_verify` passes all the same.
    """
    try:
        repositories = members.repositories(survey, node)
    except (CouldNotCheck, NotApplicable):
        return frozenset()
    names = () if isinstance(node.config, Unknown) else node.config.names
    cut = _cut(node) if _starts_with_a_proxy(node) else ()
    return frozenset(
        r.name
        for r in repositories
        if f"s3.client.{r.client}.proxy.host" in names or (r.name in cut and repository.good(survey, node, r.name))
    )


def _starts_with_a_proxy(node: NodeFacts) -> bool:
    if not isinstance(node.process, Process):
        return False
    names = (*node.process.environment, *node.process.properties)
    return any(re.fullmatch(r"(https?|all)_proxy|https?\.proxyhost|socksproxyhost", n, re.IGNORECASE) for n in names)


def _cut(node: NodeFacts) -> tuple[str, ...]:
    return () if isinstance(node.buckets, Unknown) else tuple(b.repository for b in node.buckets if b.tcp != "open")


def compared(survey: Survey, node: NodeFacts) -> Compared:
    """This node's chosen routes beside the reference's, or beside another's where there is no majority.

    Raises CouldNotCheck; NotApplicable where there is no other node to compare with.
    """
    own = shape(survey, node)
    shapes = {node.name: own}
    for other in members.companions(survey, node):
        try:
            shapes[other.name] = shape(survey, other)
        except CouldNotCheck:
            continue
    chosen = survey.options.reference
    if chosen is not None:
        return _beside(own, _reference_shape(survey, node, shapes, chosen), chosen, "--reference")
    if len(shapes) < 2:
        raise NotApplicable("no other surveyed node of this cluster to compare with")
    alike = _alike(shapes)
    usual = members.majority(alike)
    if usual is not None:
        share = sum(1 for found in alike.values() if found == alike[usual])
        # A node of the majority is shown beside another one of it, never beside itself.
        usual = next(name for name, found in alike.items() if found == alike[usual] and name != node.name)
        return _beside(own, shapes[usual], usual, f"{share} of {len(alike)} nodes take these routes")
    against = next(name for name, other in shapes.items() if name != node.name and other != own)
    found = _beside(own, shapes[against], against, "no majority")
    return msgspec.structs.replace(found, reference=None)


def _reference_shape(survey: Survey, node: NodeFacts, shapes: dict[str, Shape], chosen: str) -> Shape:
    if chosen == node.name:
        raise NotApplicable("this is the reference node")
    if chosen in shapes:
        return shapes[chosen]
    reference = next((n for n in survey.nodes if n.name == chosen), None)
    if reference is None:
        raise CouldNotCheck(f"--reference={chosen} is none of the given nodes", "name one of --hosts")
    if all(n.name != chosen for n in members.companions(survey, node)):
        raise NotApplicable(f"the reference node {chosen} is in another cluster")
    shape(survey, reference)  # raises with the reason
    raise CouldNotCheck(f"the reference node {chosen} could not be surveyed")


def _alike(shapes: dict[str, Shape]) -> dict[str, Shape]:
    """Without subjects that some node lacks (a member left, one repository is not known to all)."""
    common = set.intersection(*({name for name, _ in found} for found in shapes.values()))
    return {node: tuple(row for row in found if row[0] in common) for node, found in shapes.items()}


def _beside(own: Shape, theirs: Shape, reference: str, why: str) -> Compared:
    other = dict(theirs)
    return Compared(
        reference=reference,
        against=reference,
        why=why,
        differs=tuple((name, ways, other[name]) for name, ways in own if name in other and other[name] != ways),
    )


def taken(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the routes that traffic takes are the reference's and lead somewhere.

    Without a strict majority or --reference a difference is a warning: nobody can say which of two nodes is right.
    """
    own = shape(survey, node)
    dead = [
        f"the route to {name} is {kind}"
        for name, ways in own
        for kind in ways
        if kind in DEAD and name != "IMDS"  # switching IMDS off by a route is a known hardening; ROLE-1 judges it
    ]
    try:
        beside = compared(survey, node)
    except (NotApplicable, CouldNotCheck):
        if not dead:
            raise
        return Finding(observed="; ".join(dead), expected="a route that leads there")
    if not dead and not beside.differs:
        return None
    words = dead + [
        f"traffic to {name} goes through {_ways(ways)}; {beside.against}'s through {_ways(others)}"
        for name, ways, others in beside.differs
    ]
    return Finding(
        observed="; ".join(words),
        expected=f"as on {beside.against}"
        + (f" ({beside.why})" if beside.reference else ", or the other way round: no majority"),
        details=_diff(survey, node, beside.against),
        warning=not dead and beside.reference is None,
    )


def _ways(ways: tuple[str, ...]) -> str:
    return members.listed([text.removeprefix("through ") for text in ways])


def _diff(survey: Survey, node: NodeFacts, against: str, unless: tuple[str, ...] = ()) -> tuple[str, ...]:
    theirs = survey.node(against).routing
    if isinstance(theirs, Unknown) or isinstance(node.routing, Unknown):
        return ()
    known_gateways = gateways(survey, node)
    return tables.diff(node.routing, theirs, node.name, against, unless, known_gateways)


def rest(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where everything else in the routing tables is the reference's too; a warning otherwise.

    Routes for destinations whose chosen path differs are ROUTE-1's and not repeated.
    """
    own = known(node.routing)
    tables_of = {node.name: own}
    tables_of.update(
        {n.name: n.routing for n in members.companions(survey, node) if not isinstance(n.routing, Unknown)}
    )
    chosen = survey.options.reference
    if chosen == node.name:
        raise NotApplicable("this is the reference node")
    if chosen is not None and chosen not in tables_of:
        raise CouldNotCheck(f"the routing table of the reference node {chosen} is unknown")
    if len(tables_of) < 2:
        raise NotApplicable("no other surveyed node of this cluster to compare with")
    every = frozenset(subnet for routing in tables_of.values() for subnet in tables.subnets(routing))
    known_gateways = gateways(survey, node)
    said = {name: frozenset(tables.lines(routing, every, known_gateways)) for name, routing in tables_of.items()}
    against = chosen or members.majority(said)
    majority = against is not None
    if against is None:
        against = next(name for name, text in said.items() if name != node.name and text != said[node.name])
    if said[against] == said[node.name]:
        return None
    difference = _diff(survey, node, against, _judged_targets(survey, node, against))
    if not difference:
        return None
    changed = [text for text in difference[2:] if text[:1] in "+-"]
    return Finding(
        observed=f"routing tables differ from {against}'s: {', '.join(text.split('    [')[0] for text in changed[:3])}"
        + (f" and {len(changed) - 3} more" if len(changed) > 3 else ""),
        expected=f"the same tables as {against}"
        + (
            f" ({'--reference' if chosen else 'most nodes have them'})"
            if majority
            else ", or the other way round: no majority"
        ),
        details=difference,
        warning=True,
    )


def _judged_targets(survey: Survey, node: NodeFacts, against: str) -> tuple[str, ...]:
    """Addresses whose chosen path differs between the two nodes."""
    other = survey.node(against)
    try:
        theirs = dict(shape(survey, other))
        ours = dict(shape(survey, node))
    except CouldNotCheck:
        return ()
    names = {name for name, ways in ours.items() if theirs.get(name, ways) != ways}
    return tuple(
        {
            path.target
            for paths in (node.paths, other.paths)
            if not isinstance(paths, Unknown)
            for path in paths
            if subject(path.purpose) in names and is_address(path.target)
        }
    )


def own_table_matches(survey: Survey, node: NodeFacts) -> str | None:
    """Name of the reference where the routes this node's traffic takes are its; None where they differ.

    Raises CouldNotCheck, NotApplicable where there is nothing to compare with.
    """
    beside = compared(survey, node)
    if beside.reference is None:
        raise NotApplicable("no two nodes agree on their routes")
    dead = any(kind in DEAD for name, ways in shape(survey, node) if name != "IMDS" for kind in ways)
    return None if beside.differs or dead else beside.reference


def differing(survey: Survey, node: NodeFacts) -> tuple[tuple[Route, ...], tuple[Route, ...]]:
    """Routes behind a difference in chosen paths: those only this node has, those only the reference has.

    Raises CouldNotCheck, NotApplicable where there is no reference.
    """
    beside = compared(survey, node)
    if beside.reference is None:
        raise NotApplicable("no two nodes agree on their routes")
    reference = survey.node(beside.reference)
    ours, theirs = known(node.routing), known(reference.routing)
    targets = _judged_targets(survey, node, reference.name)
    known_gateways = gateways(survey, node)
    left = tables.covering(theirs, targets, frozenset(tables.subnets(ours)), known_gateways)
    right = tables.covering(ours, targets, frozenset(tables.subnets(theirs)), known_gateways)
    extra = tuple(route for text, found in right.items() if text not in left for route in found)
    return extra, tuple(route for text, found in left.items() if text not in right for route in found)


def same_subnet(routing: Routing | Unknown, address: str) -> bool:
    """True where the address is in one of the host's own subnets."""
    if isinstance(routing, Unknown):
        return False
    found = ipaddress.ip_address(address)
    return any(found.version == n.version and found in n for n in tables.subnets(routing))
