"""AWS's control plane: what security groups, network ACLs and route tables do to this node (--aws)."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules.aws import joined, pairs, s3_route


@check("AWS-1", severity="critical", needs=("aws", "imds", "dials", "cluster"))
def test_security_groups_and_network_acls_let_the_node_through(node, survey):
    """Security groups and network ACLs let this node open every member's ports, and let the answers back.

    No host shows them. Where a port does not open and AWS would let it through, the filter is on a host; where AWS
    would not, the rule that is missing has a name.
    """
    require(pairs.lets_through(survey, node), fix=lambda: remedy.let_through(survey, node))


@check("AWS-2", severity="high", needs=("aws", "imds", "buckets", "cluster"))
def test_aws_leads_the_node_to_s3(node, survey):
    """The subnet's route table leads to S3, as other nodes' do; security groups and network ACLs let the node through.

    On EC2 a route table belongs to the subnet and `ip route` on the host shows nothing of it: a node in a subnet
    whose table lacks S3's endpoint is cut off while its own routes are its peers'. No host shows either what filters.
    """
    require(s3_route.leads_to_s3(survey, node), fix=lambda: remedy.lead_to_s3(survey, node))


@check("AWS-3", severity="warning", needs=("aws", "imds", "cluster", "config"))
def test_instances_with_the_nodes_tags_are_members(node, survey):
    """The running instances with the tags by which nodes find each other are the cluster's members, and no others.

    An instance that was started and never joined costs money and holds nothing; a member without the tags is not found
    by a node that starts, nor by whoever looks for the cluster by its tag.
    """
    require(joined.agrees(survey, node), fix=lambda: remedy.agree(survey, node))
