"""What can be wrong between nodes, and on the way to S3."""

from __future__ import annotations

from collections.abc import Mapping

from .. import ec2, names, network
from ..names import Node
from ..state import Lab
from . import filters
from .fault import STOPS_AT_MASTER, Expected, Fault, others_of, peer_of

CUT_OFF = {("PATH-1", "victim"): "fail", ("ROLE-3", "victim"): "not applicable", ("REPO-1", "victim"): "fail"}


def _refuse_transport(lab: Lab, victim: Node) -> None:
    filters.by_host(victim, into=others_of(lab, victim), ports=[names.TRANSPORT_PORT], verdict="reject with tcp reset")


def _drop_transport(lab: Lab, victim: Node) -> None:
    filters.by_host(victim, into=[peer_of(lab, victim)], ports=[names.TRANSPORT_PORT])


def _open_transport(lab: Lab, victim: Node) -> None:
    filters.undo_by_host(victim)


def _leave_group(lab: Lab, victim: Node) -> None:
    ec2.move_to_group(victim, ec2.BARE_GROUP)
    filters.around(victim, others_of(lab, victim), [names.HTTP_PORT, names.TRANSPORT_PORT])


def _rejoin_group(lab: Lab, victim: Node) -> None:
    filters.undo_around(victim)
    ec2.move_to_group(victim, ec2.GROUP)


def _lose_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, victim.subnet.dead_gateway)
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, victim.subnet.gateway)


def drop_at_router(table: str, hook: str, match: str) -> None:
    """Have the router drop what matches, in a table of its own. hook: forward, or input for what is asked of itself"""
    network.filter_at(names.ROUTER_NAMESPACE, table, hook, f"{match} drop", family="ip")


def _upstream_table(victim: Node) -> str:
    return f"fault_es_{victim.number}"


def _lose_upstream(lab: Lab, victim: Node) -> None:
    drop_at_router(_upstream_table(victim), "forward", f"ip saddr {victim.address} ip daddr {names.AWS_SUBNET}")
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_upstream(lab: Lab, victim: Node) -> None:
    network.unfilter(names.ROUTER_NAMESPACE, _upstream_table(victim), family="ip")


OUTGOING_TABLE = "fault_s3"


def _shut_out_s3(lab: Lab, victim: Node) -> None:
    network.filter_at(victim.namespace, OUTGOING_TABLE, "output", f"ip daddr {names.AWS_SUBNET} tcp dport 443 drop")
    network.end_connections(victim, names.AWS_ADDRESS)


def _let_out_to_s3(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, OUTGOING_TABLE)


POLICY_TABLE = 77


def _lose_to_blackhole(lab: Lab, victim: Node) -> None:
    network.in_node(victim, "route", "replace", "blackhole", names.AWS_SUBNET)
    network.end_connections(victim, names.AWS_ADDRESS)


def _leave_blackhole(lab: Lab, victim: Node) -> None:
    network.in_node(victim, "route", "delete", "blackhole", names.AWS_SUBNET, check=False)


def _policy(victim: Node) -> tuple[str, ...]:
    return ("from", victim.address, "to", names.AWS_SUBNET, "lookup", str(POLICY_TABLE))


def _lose_to_policy(lab: Lab, victim: Node) -> None:
    table = ("table", str(POLICY_TABLE))
    network.in_node(victim, "route", "replace", "default", "via", victim.subnet.dead_gateway, "dev", "eth0", *table)
    network.in_node(victim, "rule", "add", *_policy(victim))
    network.end_connections(victim, names.AWS_ADDRESS)


def _leave_policy(lab: Lab, victim: Node) -> None:
    network.in_node(victim, "rule", "delete", *_policy(victim), check=False)
    network.in_node(victim, "route", "flush", "table", str(POLICY_TABLE), check=False)


def _resolver_table(victim: Node) -> str:
    return f"fault_dns_{victim.number}"


def _silence_resolver(lab: Lab, victim: Node) -> None:
    drop_at_router(_resolver_table(victim), "input", f"ip saddr {victim.address} ip daddr {names.DNS}")


def _hear_resolver(lab: Lab, victim: Node) -> None:
    network.unfilter(names.ROUTER_NAMESPACE, _resolver_table(victim), family="ip")


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
            {("ROUTE-1", "victim"): "fail", **CUT_OFF},
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
    ),
    "route-drift-upstream": Fault(
        "the router drops the node's traffic to S3; its own table is as before",
        _lose_upstream,
        _restore_upstream,
        Expected("route-upstream", CUT_OFF, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
    ),
    "s3-dropped-by-host": Fault(
        "a rule of the node's own nftables drops what goes to S3; routes are as before",
        _shut_out_s3,
        _let_out_to_s3,
        Expected("own-firewall", CUT_OFF, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
    ),
    "route-blackhole": Fault(
        "a blackhole route on the node swallows what goes to S3",
        _lose_to_blackhole,
        _leave_blackhole,
        Expected("route-own", {("ROUTE-1", "victim"): "fail", **CUT_OFF}, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
    ),
    "policy-route": Fault(
        "a policy rule sends what the node's own address sends to S3 to a dead gateway; its main table is as before",
        _lose_to_policy,
        _leave_policy,
        Expected(
            "route-own",
            {("ROUTE-1", "victim"): "fail", ("ROUTE-2", "victim"): "warning", **CUT_OFF},
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
    ),
    "dns-server-down": Fault(
        "the resolver does not answer the node any more",
        _silence_resolver,
        _hear_resolver,
        Expected("dns-wrong", CUT_OFF, on_master=STOPS_AT_MASTER),
        # A JVM keeps an address for a minute.
        restart_to_break=True,
    ),
}
