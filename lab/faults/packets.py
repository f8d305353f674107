"""What can be wrong with the length of packets that a way takes."""

from __future__ import annotations

from collections.abc import Mapping

from .. import names, network
from ..names import Node
from ..state import Lab
from .fault import Expected, Fault, Run
from .network import CUT_OFF

TABLE = "fault_mtu"
OCTETS = 1000
"""Less than the certificate that S3 shows needs, which the lab's has one of and AWS's three or four."""


def _swallow(lab: Lab, victim: Node) -> None:
    network.narrow(victim, OCTETS, told=False)
    network.end_connections(victim, names.AWS_ADDRESS)


def _let_through(lab: Lab, victim: Node) -> None:
    network.widen(victim)
    network.end_connections(victim, names.AWS_ADDRESS)


def _in_short(lab: Lab, victim: Node) -> Run:
    # Elasticsearch waits four times fifty seconds for an answer of S3; what becomes of `_verify` is known before.
    return Run(options=("--verify-timeout=20",))


HTTP_OCTETS = 600
"""Less than Elasticsearch's own certificate needs."""


def _swallow_http(lab: Lab, victim: Node) -> None:
    # Of HTTP alone: the cluster is held together by transport. Packets have to be on the wire as TCP cuts them.
    network.in_node(victim, "link", "set", "eth0", "gso_max_segs", "1")
    peers = ", ".join(node.address for node in lab.nodes if node != victim)
    network.filter_at(
        victim.namespace,
        TABLE,
        "output",
        f"ip daddr {{ {peers} }} tcp sport {names.HTTP_PORT} meta length > {HTTP_OCTETS} drop",
    )


def _let_http_through(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, TABLE)
    network.in_node(victim, "link", "set", "eth0", "gso_max_segs", "65535")


FAULTS: Mapping[str, Fault] = {
    "mtu-blackhole": Fault(
        f"between the node and S3 packets of more than {OCTETS} bytes vanish: the router's ICMP is filtered",
        _swallow,
        _let_through,
        Expected(
            "path-mtu",
            {**CUT_OFF, ("REPO-1", "victim"): "could not check", ("REPO-1", "others"): "could not check"},
        ),
        run=_in_short,
    ),
    "mtu-blackhole-peers": Fault(
        f"packets of more than {HTTP_OCTETS} bytes that the node's HTTP sends its peers vanish",
        _swallow_http,
        _let_http_through,
        Expected("path-mtu", {("PORT-2", "others"): "fail"}),
        needs_peers=True,
    ),
}
