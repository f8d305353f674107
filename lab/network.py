"""The lab's network: a bridge a subnet, a router without an uplink, AWS behind it, the controller on the first bridge.

As in a VPC the router is each subnet's gateway and has a routing table for each subnet, which alone decides where that
subnet's packets go; the host sees nothing of it. The controller sits in the first subnet, as a bastion does, and takes
the router's main table: a node there whose default route is broken can still be logged in to. Neighbour entries are
permanent, as if a VPC's fabric answered ARP: a host that is off is silence, not "no route", and a host that boots again
is found at once.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterable, Sequence

from . import names
from .errors import LabError
from .names import Node, Subnet
from .processes import run

CONTROLLER_MAC = "06:00:c6:12:00:05"
AWS_MAC = "06:00:c6:12:01:0a"


def namespaces() -> list[str]:
    """The lab's network namespaces that exist."""
    return [line.split()[0] for line in run(["ip", "netns", "list"]).splitlines() if line.startswith("eslab-")]


def refuse_conflicts() -> None:
    """Raise LabError where the machine already uses the lab's address range."""
    wanted = ipaddress.ip_network(names.WHOLE_NETWORK)
    for entry in json.loads(run(["ip", "-j", "-4", "address"])):
        for address in entry.get("addr_info", []):
            if ipaddress.ip_address(address["local"]) in wanted:
                raise LabError(
                    f"{entry['ifname']} has address {address['local']}, inside the lab's {names.WHOLE_NETWORK}: "
                    "is another lab up? `python -m lab down` removes this one's leftovers"
                )


def build(subnets: Sequence[Subnet]) -> None:
    """Router, a bridge for each subnet, AWS's namespace and the controller's end, all up."""
    router, aws, device = names.ROUTER_NAMESPACE, names.AWS_NAMESPACE, names.CONTROLLER_DEVICE
    # First of all: from here on no packet to a lab address can leave by the machine's default gateway.
    run(["ip", "route", "replace", "blackhole", names.WHOLE_NETWORK])
    _guard_the_machine()
    for namespace in (router, aws):
        run(["ip", "netns", "add", namespace])
    _batch(
        router,
        "link set lo up",
        *(command for subnet in subnets for command in _bridge(subnet)),
        f"address add {names.DNS}/{names.PREFIX} dev {subnets[0].bridge}",
        f"link add aws type veth peer name eth0 address {AWS_MAC} netns {aws}",
        f"address add {names.AWS_GATEWAY}/24 dev aws",
        "link set aws up",
    )
    _batch(
        router,
        f"rule add from {names.CONTROLLER} lookup main priority 1000",
        *(f"rule add from {subnet.cidr} lookup {subnet.table} priority {2000 + subnet.number}" for subnet in subnets),
        *(command for table in (names.OLD_TABLE, *(s.table for s in subnets)) for command in _table(table, subnets)),
    )
    for subnet in subnets:
        s3_route(subnet.table, present=True)
    run(["ip", "netns", "exec", router, "sysctl", "-q", "-w", "net.ipv4.ip_forward=1"])
    _batch(
        aws,
        "link set lo up",
        f"address add {names.AWS_ADDRESS}/24 dev eth0",
        f"address add {names.STORAGE_ADDRESS}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {names.AWS_GATEWAY}",
    )
    _batch(None, f"link add {device} address {CONTROLLER_MAC} type veth peer name controller netns {router}")
    _batch(router, f"link set controller master {subnets[0].bridge} up")
    # Without IPv6 on it the machine offers nodes no link-local address.
    run(["sysctl", "-q", "-w", f"net.ipv6.conf.{device}.disable_ipv6=1"], check=False)
    _batch(
        None,
        f"address add {names.CONTROLLER}/{names.PREFIX} dev {device}",
        f"link set {device} up",
        *(
            f"route add {network} via {subnets[0].gateway} dev {device}"
            for network in (names.AWS_SUBNET, *(subnet.cidr for subnet in subnets[1:]))
        ),
    )
    nft(router, "table inet router { chain forward { type filter hook forward priority 0; }\n}")


def _bridge(subnet: Subnet) -> tuple[str, ...]:
    return (
        # A bridge without a MAC of its own changes it as ports come and go.
        f"link add {subnet.bridge} address {subnet.bridge_mac} type bridge forward_delay 0",
        f"address add {subnet.gateway}/{names.PREFIX} dev {subnet.bridge}",
        f"link set {subnet.bridge} up",
    )


def _table(table: int, subnets: Iterable[Subnet]) -> tuple[str, ...]:
    return (
        *(f"route add {subnet.cidr} dev {subnet.bridge} table {table}" for subnet in subnets),
        # What no route is for is dropped without a word, as a VPC does, and does not fall through to the main table.
        f"route add blackhole default table {table}",
    )


def s3_route(table: int, *, present: bool) -> None:
    """Whether a subnet's table leads to S3; the router's own word is what AWS's says of the endpoint's route."""
    verb = ["replace", names.AWS_SUBNET, "dev", "aws"] if present else ["delete", names.AWS_SUBNET]
    run(["ip", "-n", names.ROUTER_NAMESPACE, "route", *verb, "table", str(table)], check=present)


def swap_table(subnet: Subnet, *, swapped: bool) -> None:
    """Whether the table left behind holds for a subnet, or its own again."""
    priority = str(1900 + subnet.number)
    router = ["ip", "-n", names.ROUTER_NAMESPACE, "rule"]
    if swapped:
        run([*router, "add", "from", subnet.cidr, "lookup", str(names.OLD_TABLE), "priority", priority])
    else:
        run([*router, "delete", "priority", priority], check=False)


def narrow(node: Node, octets: int, *, told: bool) -> None:
    """The router takes no packet of more than so many bytes between a node and AWS, either way.

    told: it says so by ICMP, as a router must; where a filter on the way drops that, nobody learns of it
    """
    router = ["ip", "-n", names.ROUTER_NAMESPACE]
    for way, source, target, device in (
        (0, node.address, names.AWS_SUBNET, "aws"),
        (1, names.AWS_SUBNET, node.address, node.subnet.bridge),
    ):
        table = str(_narrow_table(node) + way)
        run([*router, "route", "replace", target, "dev", device, "table", table, "mtu", "lock", str(octets)])
        run([*router, "rule", "add", "from", source, "to", target, "lookup", table, "priority", table])
    if not told:
        told_nobody = f"ip daddr {{ {node.address}, {names.AWS_SUBNET} }} icmp type destination-unreachable drop"
        filter_at(names.ROUTER_NAMESPACE, _narrow_filter(node), "output", told_nobody, family="ip")


def widen(node: Node) -> None:
    """The router takes packets of any length again, and nobody remembers that it did not."""
    router = ["ip", "-n", names.ROUTER_NAMESPACE]
    for way in (0, 1):
        table = str(_narrow_table(node) + way)
        run([*router, "rule", "delete", "priority", table], check=False)
        run([*router, "route", "flush", "table", table], check=False)
    unfilter(names.ROUTER_NAMESPACE, _narrow_filter(node), family="ip")
    for namespace in (node.namespace, names.AWS_NAMESPACE):
        run(["ip", "-n", namespace, "route", "flush", "cache"])


def _narrow_table(node: Node) -> int:
    """The router's routing tables for what is narrow, one each way, and their rules' priorities."""
    return 1000 + 2 * node.number


def _narrow_filter(node: Node) -> str:
    return f"fault_mtu_{node.number}"


def attach(node: Node, others: tuple[Node, ...]) -> None:
    """The node's namespace, plugged into its subnet's bridge, with its address, routes and IMDS address."""
    subnet = node.subnet
    near = [(peer.address, peer.mac) for peer in others if peer.subnet == subnet]
    if subnet.number == 0:
        near += [(names.DNS, subnet.bridge_mac), (names.CONTROLLER, CONTROLLER_MAC)]
    run(["ip", "netns", "add", node.namespace])
    _batch(
        names.ROUTER_NAMESPACE,
        f"link add {node.name} type veth peer name eth0 address {node.mac} netns {node.namespace}",
        f"link set {node.name} master {subnet.bridge} up",
        f"neighbour replace {node.address} lladdr {node.mac} nud permanent dev {subnet.bridge}",
    )
    _batch(
        node.namespace,
        "link set lo up",
        # No dummy device in every kernel; on lo the metadata service needs no route, as on EC2.
        f"address add {names.IMDS_ADDRESS}/32 dev lo",
        f"address add {node.address}/{names.PREFIX} dev eth0",
        "link set eth0 up",
        f"route add default via {subnet.gateway} dev eth0",
        f"neighbour replace {subnet.gateway} lladdr {subnet.bridge_mac} nud permanent dev eth0",
        *(f"neighbour replace {address} lladdr {mac} nud permanent dev eth0" for address, mac in near),
    )
    if subnet.number == 0:
        _batch(
            None,
            f"neighbour replace {node.address} lladdr {node.mac} nud permanent dev {names.CONTROLLER_DEVICE}",
        )


def plug(node: Node, *, plugged: bool) -> None:
    """Pull the node's cable out of the bridge, or put it back in."""
    run(["ip", "-n", names.ROUTER_NAMESPACE, "link", "set", node.name, "up" if plugged else "down"])


def in_node(node: Node, *arguments: str, check: bool = True) -> None:
    """One `ip` command in the node's network namespace."""
    run(["ip", "-n", node.namespace, *arguments], check=check)


def default_route(node: Node, gateway: str) -> None:
    """Point the node's own default route at a gateway."""
    run(["ip", "-n", node.namespace, "route", "replace", "default", "via", gateway, "dev", "eth0"])


def end_connections(node: Node, address: str) -> None:
    """Forget the node's open connections to an address, as after a while: a pooled one would wait a minute to fail.

    A kernel that cannot do this (no INET_DIAG_DESTROY) leaves them; what follows then takes that minute once.
    """
    run(["ip", "netns", "exec", node.namespace, "ss", "--tcp", "--kill", "dst", address], check=False)


def nft(namespace: str, rules: str) -> None:
    """Load nftables rules in a namespace."""
    run(["ip", "netns", "exec", namespace, "nft", "-f", "-"], stdin=rules)


def filter_at(namespace: str, table: str, hook: str, *rules: str, family: str = "inet") -> None:
    """Have packets meet some rules at a hook, and pass where none decides. `unfilter` takes the table away."""
    lines = "\n".join((f"type filter hook {hook} priority 0; policy accept;", *rules))
    nft(namespace, f"table {family} {table} {{\nchain {hook} {{\n{lines}\n}}\n}}\n")


def unfilter(namespace: str, table: str, family: str = "inet") -> None:
    """Remove a table of nftables rules from a namespace; one that is not there is no error."""
    run(["ip", "netns", "exec", namespace, "nft", "delete", "table", family, table], check=False)


def tear_down() -> None:
    """Remove every trace of the lab from the machine's networking; what is not there is no error."""
    for namespace in namespaces():
        run(["ip", "netns", "delete", namespace], check=False)
    run(["ip", "link", "delete", names.CONTROLLER_DEVICE], check=False)
    run(["nft", "delete", "table", "inet", names.NFT_TABLE], check=False)
    run(["ip", "route", "delete", "blackhole", names.WHOLE_NETWORK], check=False)


def _guard_the_machine() -> None:
    """Nodes may answer the controller and nothing else: the machine's services and what is behind it are shut."""
    device = names.CONTROLLER_DEVICE
    run(
        ["nft", "-f", "-"],
        stdin=f"""
        table inet {names.NFT_TABLE} {{
            chain input {{
                type filter hook input priority -10; policy accept;
                iifname "{device}" ct state established,related accept
                iifname "{device}" drop
            }}
            chain forward {{
                type filter hook forward priority -10; policy accept;
                iifname "{device}" drop
                oifname "{device}" drop
            }}
        }}
        """,
    )


def _batch(namespace: str | None, *commands: str) -> None:
    selector = [] if namespace is None else ["-n", namespace]
    run(["ip", *selector, "-batch", "-"], stdin="\n".join(commands) + "\n")
