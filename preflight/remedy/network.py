"""Ports and routes: the node's own where a peer proves what is right, else where to look."""

from __future__ import annotations

import shlex

from ..addresses import host_of
from ..facts import BucketPath, ChosenPath, CouldNotCheck, Dial, Imds, NodeFacts, Route, Routing, Survey, Unknown
from ..judgement import Command, NotApplicable, Remedy
from ..rules import filters, members, path_mtu, ports, remotes, routes, tables
from .asking import AFTERWARDS, CONTROLLER, ask, instance
from .filters import pass_filters


def open_ports(survey: Survey, node: NodeFacts, port: ports.Port) -> Remedy:
    """Past the rule that stops each of them where one is proven to; else where to look for what refuses or drops."""
    dials = ports.failing(survey, node, port)
    proven = filters.proven(filters.of_dial(survey, node, dial) for dial in dials)
    return pass_filters(proven) if proven else look_at(survey, dials, node.name)


def look_at(survey: Survey, dials: tuple[Dial, ...], source: str) -> Remedy:
    """Commands for each failing target: its listener where it refuses, its filters where packets vanish."""
    commands: list[Command] = []
    advice: list[str] = []
    for dial in dials:
        name = members.title(survey, dial.member)
        number = dial.target.rpartition(":")[2]
        given = any(n.name == name for n in survey.nodes)
        if dial.outcome == "refused" and given:
            commands.append(Command(where=name, text=f"sudo ss -ltnp 'sport = :{number}'"))
            commands.append(Command(where=name, text="sudo nft list ruleset || sudo iptables -S"))
        elif dial.outcome == "timeout":
            if given and not filters.lets_through(survey, survey.node(source), dial):
                commands.append(Command(where=name, text="sudo nft list ruleset || sudo iptables -S"))
            commands.append(Command(where=CONTROLLER, text=_groups(survey, dial)))
        else:
            commands.append(Command(where=source, text=f"ip route get {host_of(dial.target)}"))
    if any(d.outcome == "timeout" for d in dials):
        advice.append(
            "a timeout is a filter that drops: security group, network ACL or the host's own; then the route back"
        )
    return Remedy(
        caution="which filter is in the way is not proven: these show it",
        commands=tuple(dict.fromkeys(commands)),
        advice=tuple(advice),
    )


def _groups(survey: Survey, dial: Dial) -> str:
    address = shlex.quote(host_of(dial.target))
    name = "ipv6-addresses.ipv6-address" if ":" in address else "addresses.private-ip-address"
    query = "NetworkInterfaces[].{subnet:SubnetId,groups:Groups[].GroupId}"
    return f"aws ec2 describe-network-interfaces --filters Name={name},Values={address} --query {shlex.quote(query)}"


def reach_remote(survey: Survey, node: NodeFacts) -> Remedy:
    """What the name resolves to, which way leads there, what filters on this side; the other side is its operator's."""
    commands: list[Command] = []
    dials = [dial for _, tried in remotes.unreached(survey, node) for dial in tried]
    for dial in dials:
        host = shlex.quote(host_of(dial.target))
        commands.append(
            Command(where=node.name, text=f"getent ahosts {host}" if dial.outcome == "dns" else f"ip route get {host}")
        )
    if any(dial.outcome != "dns" for dial in dials):
        commands.append(Command(where=node.name, text="sudo nft list ruleset || sudo iptables -S"))
    return Remedy(
        caution="what is in the way, or whether anybody listens there, is not proven: these show this side of it",
        commands=(*dict.fromkeys(commands), ask(survey, node, "_remote/info", "GET")),
        advice=(
            "a remote cluster is reached at its transport port, 9300, or at its remote cluster server's, 9443: both "
            "sides' security groups, network ACLs and peering have to let it through",
            "no longer needed: cluster.remote.NAME.seeds or .proxy_address set to null in _cluster/settings",
        ),
    )


def own_route(survey: Survey, node: NodeFacts) -> Remedy:
    """Make the routes that differ the reference's again, where its subnet is this node's and so proves the gateway."""
    text = _proven_change(survey, node)
    if text is None:
        return Remedy(
            caution="which route is right is not proven: no reference node shares this node's subnet and shows it",
            commands=(Command(where=node.name, text="ip route show table all; ip rule"),),
            advice=("the diff of the tables shows what differs",),
        )
    return Remedy(
        commands=(Command(where=node.name, text=text),),
        advice=(
            "this lasts until the next boot or lease: mend what wrote the route too (netplan, ifcfg, a start script)",
            AFTERWARDS,
        ),
    )


def _proven_change(survey: Survey, node: NodeFacts) -> str | None:
    """The one `ip route` command that makes the differing routes the reference's; None where one is not enough."""
    try:
        extra, missing = routes.differing(survey, node)
    except (CouldNotCheck, NotApplicable):
        return None
    if len(extra) == 1 and not missing:
        family = "-6 " if extra[0].family == "inet6" else ""
        return f"sudo ip {family}route del {tables.written(extra[0])}"
    if len(missing) == 1 and all(r.destination == missing[0].destination for r in extra):
        wanted = missing[0]
        own_subnet = wanted.gateway is not None and routes.same_subnet(node.routing, wanted.gateway)
        if wanted.kind == "unicast" and wanted.table == "main" and own_subnet:
            return f"sudo ip route replace {wanted.destination} via {wanted.gateway}"
    return None


HEADERS = 28
"""Bytes of a ping that are not its data: IPv4's and ICMP's."""

FRAGMENTATION_NEEDED = (
    "let ICMP type 3 code 4, fragmentation needed (IPv6: ICMPv6 type 2), come back to this node: in its security group "
    "(--ip-permissions 'IpProtocol=icmp,FromPort=3,ToPort=4,IpRanges=[{CidrIp=0.0.0.0/0}]'), in the network ACL both "
    "ways, on the hosts and on every firewall in between; then nothing else has to change"
)
LENGTHS = (
    "in a VPC packets may have 9001 bytes, through a transit gateway 8500, through an internet gateway or a VPN 1500 "
    "and less: look for what the node's way has of these and its peers' have not"
)


def shorten_packets(survey: Survey, node: NodeFacts, bucket: BucketPath, hole: path_mtu.Hole) -> Remedy:
    """What shows the lengths on the way to a bucket, who must let the ICMP through, and what helps until then."""
    address = shlex.quote(bucket.addresses[0])
    way = _way(node, bucket)
    device = f"; ip -o link show dev {shlex.quote(way.device)}" if way and way.device else ""
    lost, through = (f"ping -c 3 -M do -s {size - HEADERS} {address}" for size in (hole.lost, hole.through))
    advice = [FRAGMENTATION_NEEDED, LENGTHS]
    gateway = _gateway(node, way)
    if gateway is not None:
        written = _whole(gateway)
        advice.append(
            f"until then the same way with packets of {hole.through} bytes, for new connections and to the next boot "
            f"or lease: sudo ip route replace {written} mtu {hole.through}; "
            f"the way back: sudo ip route replace {written}"
        )
    return Remedy(
        caution="at which hop they are lost is not proven: these show what the node believes of the way",
        commands=(
            Command(where=node.name, text=f"ip route get {address}{device}"),
            Command(where=node.name, text=f"tracepath -n {address} || {{ {lost}; {through}; }}"),
        ),
        advice=(
            *advice,
            "an address that answers no ping of either length proves nothing by it",
            AFTERWARDS,
        ),
    )


def shorten_to_members(survey: Survey, pairs: list[tuple[NodeFacts, Dial]]) -> Remedy:
    """The same between members, from the first that saw it."""
    node, dial = pairs[0]
    address = shlex.quote(host_of(dial.target))
    size = (dial.path_mtu or 1500) - HEADERS
    return Remedy(
        caution="at which hop they are lost is not proven: these show what the node believes of the way",
        commands=(
            Command(where=node.name, text=f"ip route get {address}; ip -o link show"),
            Command(where=node.name, text=f"tracepath -n {address} || ping -c 3 -M do -s {size} {address}"),
        ),
        advice=(
            FRAGMENTATION_NEEDED,
            LENGTHS,
            "interfaces of one subnet must have one MTU: within it nobody sends that ICMP",
            AFTERWARDS,
        ),
    )


def _way(node: NodeFacts, bucket: BucketPath) -> ChosenPath | None:
    found = () if isinstance(node.paths, Unknown) else node.paths
    return next((path for path in found if path.purpose == f"s3:{bucket.repository}"), None)


def _whole(route: Route) -> str:
    """The route for `ip route replace`, which forgets what is not said again."""
    more = (("proto", route.protocol), ("src", route.source), ("metric", route.metric))
    return " ".join((tables.written(route), *(f"{word} {value}" for word, value in more if value is not None)))


def _gateway(node: NodeFacts, way: ChosenPath | None) -> Route | None:
    """The default route that leads there, where it is the only one and has a gateway."""
    table = node.routing.routes if isinstance(node.routing, Routing) else ()
    found = [r for r in table if r.family == "inet" and r.table == "main" and r.destination == "default"]
    if way is None or way.gateway is None or len(found) != 1 or found[0].gateway != way.gateway:
        return None
    return found[0]


def upstream_route(survey: Survey, node: NodeFacts) -> Remedy:
    """What lies between this node's gateway and S3: its subnet's route table, endpoint, NAT, groups and ACL."""
    imds = node.imds if isinstance(node.imds, Imds) else None
    where = f" --region {shlex.quote(imds.region)}" if imds and imds.region else ""
    query = "--query 'Reservations[0].Instances[0].SubnetId' --output text"
    subnet = f"$(aws ec2 describe-instances{where} --instance-ids {instance(node)} {query})"
    table = f'aws ec2 describe-route-tables{where} --filters Name=association.subnet-id,Values="{subnet}"'
    return Remedy(
        caution="which hop drops the traffic is not proven from the node: these show its subnet's route to S3",
        commands=(
            Command(where=CONTROLLER, text=table),
            Command(where=CONTROLLER, text=f"aws ec2 describe-vpc-endpoints{where} {_endpoint_filter(imds)}"),
        ),
        advice=(
            "no table for the subnet means the VPC's main table; compare with the subnet of a node that reaches S3",
            "S3's gateway endpoint missing from the table: aws ec2 modify-vpc-endpoint --vpc-endpoint-id … "
            "--add-route-table-ids …",
            "route present: look at the security group's outgoing 443, the network ACL both ways, then the NAT gateway",
        ),
    )


def _endpoint_filter(imds: Imds | None) -> str:
    service = f"com.amazonaws.{imds.region}.s3" if imds and imds.region else "*.s3"
    return f"--filters {shlex.quote(f'Name=service-name,Values={service}')}"
