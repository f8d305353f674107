"""Routes: what the kernel chooses, compared between nodes, and whether S3 is reached at all."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import clock, path, routes


@check("ROUTE-1", severity="high", needs=("paths", "routing", "cluster", "config"))
def test_routes_taken_are_the_references(node, survey):
    """The routes that traffic takes to S3, IMDS and every peer match the reference node's.

    One node with a route of its own is cut off, or goes through another NAT and another policy, when all others are
    well. Own subnet and own gateway are taken as such, so nodes in three subnets match.
    """
    require(routes.taken(survey, node), fix=lambda: remedy.own_route(survey, node))


@check("ROUTE-2", severity="warning", needs=("paths", "routing", "cluster", "config"))
def test_routing_tables_are_the_references(node, survey):
    """The rest of the routing tables matches the reference node's.

    A route that no traffic takes today is taken tomorrow, when an address changes. Container bridges, leases and what
    only this host's interfaces decide are left out.
    """
    require(routes.rest(survey, node))


@check("PATH-1", severity="critical", needs=("buckets", "paths", "routing", "cluster", "config", "imds"))
def test_every_bucket_is_reached(node, survey):
    """DNS, TCP and TLS to the bucket of every S3 repository succeed from this node.

    The node's own table may be right while the subnet's route table, the S3 endpoint, a NAT gateway, a security group
    or a network ACL behind it drops the traffic. Only trying shows that.
    """
    require(path.reaches_buckets(survey, node), fix=lambda: remedy.reach_bucket(survey, node))


@check("PATH-2", severity="high", needs=("buckets", "system", "cluster", "config"))
def test_clock_agrees_with_s3(node, survey):
    """The node's clock agrees with S3's.

    S3 refuses a signature that is more than 15 minutes off its own clock (RequestTimeTooSkewed). AWS's SDKs sign again
    by S3's time and get through; the node's certificates, its schedules and the times in its log stay wrong.
    """
    require(clock.agrees(survey, node), fix=lambda: remedy.set_clock(node))
