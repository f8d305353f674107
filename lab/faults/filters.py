"""New connections that a packet filter ends: of the node's own host, or of what is around it and no host sees.

Those between the nodes stay and keep the cluster, as behind a firewall that was changed under it.
"""

from __future__ import annotations

from collections.abc import Iterable

from .. import names, network
from ..names import Node

NEW = "tcp flags & (syn | ack) == syn"
TABLE = "fault"


def by_host(
    victim: Node,
    *,
    into: Iterable[Node] = (),
    out_to: Iterable[Node] = (),
    ports: Iterable[int],
    verdict: str = "drop",
) -> None:
    """The node's own nftables end what comes from some nodes, or goes to some."""
    to_ports = f"tcp dport {_among(ports)} {NEW} {verdict}"
    chains = {"input": ("saddr", tuple(into)), "output": ("daddr", tuple(out_to))}
    for hook, (end, nodes) in chains.items():
        if nodes:
            network.filter_at(
                victim.namespace, TABLE, hook, f"ip {end} {_among(node.address for node in nodes)} {to_ports}"
            )


def undo_by_host(victim: Node) -> None:
    """Without that again."""
    network.unfilter(victim.namespace, TABLE)


def around(victim: Node, peers: Iterable[Node], ports: Iterable[int]) -> None:
    """The bridge that the node is plugged into drops what it and its peers ask of each other, as a security group does:
    no host has a rule of it, in one subnet or in several."""
    others, to_ports = _among(node.address for node in peers), f"tcp dport {_among(ports)} {NEW} drop"
    network.filter_at(
        names.ROUTER_NAMESPACE,
        _around_table(victim),
        "prerouting",
        f"ip saddr {victim.address} ip daddr {others} {to_ports}",
        f"ip saddr {others} ip daddr {victim.address} {to_ports}",
        family="bridge",
    )


def undo_around(victim: Node) -> None:
    """Without that again."""
    network.unfilter(names.ROUTER_NAMESPACE, _around_table(victim), family="bridge")


def _around_table(victim: Node) -> str:
    return f"fault_around_{victim.number}"


def _among(values: Iterable[object]) -> str:
    return f"{{ {', '.join(map(str, values))} }}"
