"""The lab's network: a bridge and a router without an uplink, AWS behind the router, the controller on the bridge.

The controller sits in the nodes' own subnet, as a bastion does: a node whose default route is broken can still be
logged in to. Neighbour entries are permanent, as if a VPC's fabric answered ARP: a host that is off is silence, not
"no route", and a host that boots again is found at once.
"""

from __future__ import annotations

import ipaddress
import json

from . import names
from .errors import LabError
from .names import Node
from .processes import run

BRIDGE_MAC = "06:00:c6:12:00:01"
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


def build() -> None:
    """Router, bridge, AWS's namespace and the controller's end, all up."""
    router, aws, device = names.ROUTER_NAMESPACE, names.AWS_NAMESPACE, names.CONTROLLER_DEVICE
    # First of all: from here on no packet to a lab address can leave by the machine's default gateway.
    run(["ip", "route", "replace", "blackhole", names.WHOLE_NETWORK])
    _guard_the_machine()
    for namespace in (router, aws):
        run(["ip", "netns", "add", namespace])
    _batch(
        router,
        "link set lo up",
        # A bridge without a MAC of its own changes it as ports come and go.
        f"link add br0 address {BRIDGE_MAC} type bridge forward_delay 0",
        f"address add {names.GATEWAY}/{names.PREFIX} dev br0",
        f"address add {names.DNS}/{names.PREFIX} dev br0",
        "link set br0 up",
        f"link add aws type veth peer name eth0 address {AWS_MAC} netns {aws}",
        f"address add {names.AWS_GATEWAY}/24 dev aws",
        "link set aws up",
    )
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
    _batch(router, "link set controller master br0 up")
    # Without IPv6 on it the machine offers nodes no link-local address.
    run(["sysctl", "-q", "-w", f"net.ipv6.conf.{device}.disable_ipv6=1"], check=False)
    _batch(
        None,
        f"address add {names.CONTROLLER}/{names.PREFIX} dev {device}",
        f"link set {device} up",
        f"route add {names.AWS_SUBNET} via {names.GATEWAY} dev {device}",
    )
    nft(router, "table inet router { chain forward { type filter hook forward priority 0; }\n}")


def attach(node: Node, others: tuple[Node, ...]) -> None:
    """The node's namespace, plugged into the bridge, with its address, routes and IMDS address."""
    run(["ip", "netns", "add", node.namespace])
    _batch(
        names.ROUTER_NAMESPACE,
        f"link add {node.name} type veth peer name eth0 address {node.mac} netns {node.namespace}",
        f"link set {node.name} master br0 up",
        f"neighbour replace {node.address} lladdr {node.mac} nud permanent dev br0",
    )
    _batch(
        node.namespace,
        "link set lo up",
        # No dummy device in every kernel; on lo the metadata service needs no route, as on EC2.
        f"address add {names.IMDS_ADDRESS}/32 dev lo",
        f"address add {node.address}/{names.PREFIX} dev eth0",
        "link set eth0 up",
        f"route add default via {names.GATEWAY} dev eth0",
        f"neighbour replace {names.GATEWAY} lladdr {BRIDGE_MAC} nud permanent dev eth0",
        f"neighbour replace {names.DNS} lladdr {BRIDGE_MAC} nud permanent dev eth0",
        f"neighbour replace {names.CONTROLLER} lladdr {CONTROLLER_MAC} nud permanent dev eth0",
        *(f"neighbour replace {peer.address} lladdr {peer.mac} nud permanent dev eth0" for peer in others),
    )
    _batch(
        None,
        f"neighbour replace {node.address} lladdr {node.mac} nud permanent dev {names.CONTROLLER_DEVICE}",
    )


def plug(node: Node, *, plugged: bool) -> None:
    """Pull the node's cable out of the bridge, or put it back in."""
    run(["ip", "-n", names.ROUTER_NAMESPACE, "link", "set", node.name, "up" if plugged else "down"])


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
