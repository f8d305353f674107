"""What can be wrong on the way to a remote cluster: here the cluster itself, by an address of a node's of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping

from .. import elasticsearch, names, network
from ..errors import LabError
from ..names import Node
from ..state import Lab
from .fault import Expected, Fault, peer_of
from .filters import NEW

REMOTE = "archive"
TABLE = "fault_remote"
CONNECTED_SECONDS = 90.0
AGAIN_SECONDS = 15.0
"""A node whose first connection failed, as beside a certificate that was just renewed, makes none until it is told."""


def configure(lab: Lab, seed: str | None) -> None:
    """Have the cluster know a remote cluster by that seed and wait until it is connected; None: no longer know it."""
    _tell(lab, seed)
    deadline, again = time.monotonic() + CONNECTED_SECONDS, time.monotonic() + AGAIN_SECONDS
    while seed:
        told = [elasticsearch.api(node, "GET", "_remote/info").get(REMOTE, {}) for node in lab.nodes]
        if all(one.get("connected") for one in told):
            return
        if time.monotonic() > deadline:
            raise LabError(f"{REMOTE} at {seed} is not connected within {CONNECTED_SECONDS:.0f} s: {told}")
        if time.monotonic() > again:
            _tell(lab, None)
            _tell(lab, seed)
            again = time.monotonic() + AGAIN_SECONDS
        time.sleep(0.5)


def _tell(lab: Lab, seed: str | None) -> None:
    settings = {f"cluster.remote.{REMOTE}.seeds": [seed] if seed else None}
    elasticsearch.api(lab.nodes[0], "PUT", "_cluster/settings", {"persistent": settings}, timeout=60)


def add_address(host: Node) -> None:
    """A second address of a node's, which its certificates name, leads to its transport."""
    network.in_node(host, "address", "add", f"{host.second_address}/32", "dev", "eth0")
    there = f"ip daddr {host.second_address} tcp dport {names.TRANSPORT_PORT} dnat to {host.address}"
    network.nft(
        host.namespace,
        f"""
        table ip {TABLE} {{
            chain prerouting {{
                type nat hook prerouting priority -100; policy accept;
                {there}
            }}
            chain output {{
                type nat hook output priority -100; policy accept;
                {there}
            }}
        }}
        """,
    )


def drop_address(host: Node) -> None:
    network.unfilter(host.namespace, TABLE, family="ip")
    network.in_node(host, "address", "delete", f"{host.second_address}/32", "dev", "eth0", check=False)


def _cut_off(lab: Lab, victim: Node) -> None:
    host = peer_of(lab, victim)
    add_address(host)
    configure(lab, f"{host.second_address}:{names.TRANSPORT_PORT}")
    # New connections alone: the victim's own to it stays, as behind a changed security group.
    network.filter_at(victim.namespace, TABLE, "output", f"ip daddr {host.second_address} {NEW} drop")


def _mend(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, TABLE)
    configure(lab, None)
    drop_address(peer_of(lab, victim))


FAULTS: Mapping[str, Fault] = {
    "remote-cluster-unreachable": Fault(
        "new connections of the node to a remote cluster's seed are dropped; the other nodes reach it",
        _cut_off,
        _mend,
        Expected(
            "remote-cluster-unreachable",
            {("PORT-3", "victim"): "warning", ("PORT-3", "others"): "pass"},
        ),
        needs_peers=True,
    ),
}
