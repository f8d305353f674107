"""What can be wrong between nodes, and on the way to S3."""

from __future__ import annotations

from collections.abc import Mapping

from .. import ec2, names, network
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault, peer_of

_CUT_OFF = {("PATH-1", "victim"): "fail", ("ROLE-3", "victim"): "not applicable", ("REPO-1", "victim"): "fail"}


def _filter_transport(victim: Node, peers: str, verdict: str) -> None:
    # New connections alone: those between the nodes stay and keep the cluster, as behind a changed security group.
    network.nft(
        victim.namespace,
        f"""
        table inet fault {{
            chain input {{
                type filter hook input priority 0; policy accept;
                ip saddr {peers} tcp dport {names.TRANSPORT_PORT} tcp flags & (syn | ack) == syn {verdict}
            }}
        }}
        """,
    )


def _refuse_transport(lab: Lab, victim: Node) -> None:
    peers = ", ".join(node.address for node in lab.nodes if node != victim)
    _filter_transport(victim, f"{{ {peers} }}", "reject with tcp reset")


def _drop_transport(lab: Lab, victim: Node) -> None:
    _filter_transport(victim, peer_of(lab, victim).address, "drop")


def _open_transport(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, "fault")


def _leave_group(lab: Lab, victim: Node) -> None:
    ec2.move_to_group(victim, ec2.BARE_GROUP)
    peers = ", ".join(node.address for node in lab.nodes if node != victim)
    new = f"tcp dport {{ {names.HTTP_PORT}, {names.TRANSPORT_PORT} }} tcp flags & (syn | ack) == syn drop"
    network.nft(
        victim.namespace,
        f"""
        table inet fault {{
            chain input {{
                type filter hook input priority 0; policy accept;
                ip saddr {{ {peers} }} {new}
            }}
            chain output {{
                type filter hook output priority 0; policy accept;
                ip daddr {{ {peers} }} {new}
            }}
        }}
        """,
    )


def _rejoin_group(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, "fault")
    ec2.move_to_group(victim, ec2.GROUP)


def _lose_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, names.DEAD_GATEWAY)
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, names.GATEWAY)


def _upstream_table(victim: Node) -> str:
    return f"fault_es_{victim.number}"


def _lose_upstream(lab: Lab, victim: Node) -> None:
    network.nft(
        names.ROUTER_NAMESPACE,
        f"""
        table ip {_upstream_table(victim)} {{
            chain forward {{
                type filter hook forward priority 0; policy accept;
                ip saddr {victim.address} ip daddr {names.AWS_SUBNET} drop
            }}
        }}
        """,
    )
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_upstream(lab: Lab, victim: Node) -> None:
    network.unfilter(names.ROUTER_NAMESPACE, _upstream_table(victim), family="ip")


FAULTS: Mapping[str, Fault] = {
    "port-refused": Fault(
        "new connections to the node's transport port are refused",
        _refuse_transport,
        _open_transport,
        Expected("port-blocked", {("PORT-1", "others"): "fail"}),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "port-dropped": Fault(
        "new connections of one peer (the next node) to the node's transport port are dropped",
        _drop_transport,
        _open_transport,
        Expected("port-blocked", {("PORT-1", "peer"): "fail"}),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "sg-missing-peer": Fault(
        "the node's instance is in a security group that no other group lets in, and that lets nobody in",
        _leave_group,
        _rejoin_group,
        Expected(
            "port-blocked",
            {
                ("PORT-1", "victim"): "fail",
                ("PORT-2", "victim"): "fail",
                ("PORT-1", "others"): "fail",
                ("PORT-2", "others"): "fail",
            },
        ),
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "route-drift": Fault(
        "the node's own default route leads to a dead gateway: S3 is cut off",
        _lose_route,
        _restore_route,
        Expected(
            "route-own",
            {("ROUTE-1", "victim"): "fail", **_CUT_OFF},
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
    ),
    "route-drift-upstream": Fault(
        "the router drops the node's traffic to S3; its own table is as before",
        _lose_upstream,
        _restore_upstream,
        Expected("route-upstream", _CUT_OFF, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
    ),
}
