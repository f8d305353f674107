"""Ports: dialled from every node to every member, at the addresses that the cluster publishes."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import ports, remotes


@check("PORT-1", severity="critical", needs=("dials", "cluster", "process"))
def test_transport_of_every_member_opens(node, survey):
    """Transport of every member opens from this node.

    Established connections outlive a firewall change. The pair that is cut shows when one of the two restarts: it
    joins half of the cluster, or none of it.
    """
    require(ports.transport(survey, node), fix=lambda: remedy.open_ports(survey, node, "transport"))


@check("PORT-2", severity="high", needs=("dials", "cluster", "process"))
def test_http_of_every_member_opens(node, survey):
    """HTTP of every member opens from this node.

    Clients, Kibana and this suite may reach any node and are sent on to others. Members that publish HTTP on
    loopback, or offer none, are left out.
    """
    require(ports.http(survey, node), fix=lambda: remedy.open_ports(survey, node, "http"))


@check("PORT-3", severity="warning", needs=("dials", "cluster"))
def test_every_remote_cluster_opens(node, survey):
    """A seed or the proxy of every remote cluster opens from this node.

    Searches and replication across clusters go through each node of its own. No snapshot of this cluster needs them.
    """
    require(remotes.reached(survey, node), fix=lambda: remedy.reach_remote(survey, node))
