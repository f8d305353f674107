"""What can be wrong with a node's subnet: EC2's picture and the router say the same of it, the host says nothing."""

from __future__ import annotations

from collections.abc import Mapping

from .. import ec2, names, network
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault
from .network import CUT_OFF, drop_at_router


def _swap_table(lab: Lab, victim: Node) -> None:
    ec2.swap_table(victim, swapped=True)
    network.swap_table(victim.subnet, swapped=True)
    network.end_connections(victim, names.AWS_ADDRESS)


def _swap_back(lab: Lab, victim: Node) -> None:
    network.swap_table(victim.subnet, swapped=False)
    ec2.swap_table(victim, swapped=False)


def _leave_endpoint(lab: Lab, victim: Node) -> None:
    ec2.associate_endpoint(victim, associated=False)
    network.s3_route(victim.subnet.table, present=False)
    network.end_connections(victim, names.AWS_ADDRESS)


def _join_endpoint(lab: Lab, victim: Node) -> None:
    network.s3_route(victim.subnet.table, present=True)
    ec2.associate_endpoint(victim, associated=True)


def _acl_table(victim: Node) -> str:
    return f"fault_acl_{victim.number}"


def _restrict(lab: Lab, victim: Node) -> None:
    peers = [node for node in lab.nodes if node.subnet != victim.subnet]
    ec2.restrict(victim, peers)
    subnets = ", ".join(sorted({peer.subnet.cidr for peer in peers}))
    answer = "tcp flags & (syn | ack) == syn | ack"
    # Answers to new connections alone: those between the nodes stay and keep the cluster.
    drop_at_router(
        _acl_table(victim),
        "forward",
        f"ip saddr {{ {subnets} }} ip daddr {victim.subnet.cidr} tcp dport 32768-60999 {answer}",
    )


def _unrestrict(lab: Lab, victim: Node) -> None:
    network.unfilter(names.ROUTER_NAMESPACE, _acl_table(victim), family="ip")
    ec2.unrestrict(victim)


FAULTS: Mapping[str, Fault] = {
    "route-table-swapped": Fault(
        "the node's subnet is associated with another route table, which has no way to S3; the host's own is as before",
        _swap_table,
        _swap_back,
        Expected("route-upstream", CUT_OFF, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
        subnets=3,
    ),
    "endpoint-not-associated": Fault(
        "S3's gateway endpoint is not associated with the route table of the node's subnet",
        _leave_endpoint,
        _join_endpoint,
        Expected("route-upstream", CUT_OFF, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
        subnets=3,
    ),
    "nacl-return-path": Fault(
        "the network ACL of the node's subnet lets its questions out to its peers and no answer back in",
        _restrict,
        _unrestrict,
        Expected(
            "port-blocked",
            {("PORT-1", "victim"): "fail", ("PORT-2", "victim"): "fail"},
        ),
        needs_elasticsearch=False,
        needs_peers=True,
        subnets=3,
    ),
}
