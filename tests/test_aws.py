"""AWS's control plane: what its network and its policies do to this node (--aws)."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules.aws import entry, joined, metadata, names, pairs, roles, s3_route


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


@check("AWS-4", severity="critical", needs=("aws", "imds", "buckets", "cluster", "verify", "keystore", "sources"))
def test_the_policies_on_the_way_let_the_node_in(node, survey):
    """The bucket's policy and that of the S3 endpoint on the way let this node list, read, write and delete.

    A policy may ask for the endpoint or the address that requests come from: the same role is then accepted from one
    subnet and refused from another, by the way that each subnet's route table takes.
    """
    require(entry.lets_in(survey, node), fix=lambda: remedy.let_in(survey, node))


@check("AWS-5", severity="high", needs=("aws", "imds", "buckets", "cluster", "verify", "keystore", "sources"))
def test_the_instance_profile_has_a_role_that_may_take_snapshots(node, survey):
    """The instance profile holds a role, and that role's policies allow what snapshots need on every bucket.

    A profile is only a shell: without a role in it the metadata service has nothing to hand out. What the role's own
    policies, its boundary and the organization's allow, IAM tells without a request to the bucket.
    """
    require(roles.may_take_snapshots(survey, node), fix=lambda: remedy.give_actions(survey, node))


@check("AWS-6", severity="high", needs=("aws", "imds", "cluster", "verify", "keystore", "sources"))
def test_the_metadata_options_let_elasticsearch_ask_for_its_role(node, survey):
    """The instance's metadata options let Elasticsearch ask for its role's credentials.

    They belong to the instance and no host shows them: switched off, or with a hop limit of 1 where Elasticsearch runs
    behind a network namespace of its own, they keep the role away while the profile is right.
    """
    require(metadata.lets_ask(survey, node), fix=lambda: remedy.let_ask(survey, node))


@check("AWS-7", severity="high", needs=("aws", "imds", "buckets", "cluster"))
def test_the_vpc_resolves_s3s_name(node, survey):
    """The VPC's DNS attributes let this node resolve the names of its buckets.

    Without DNS support Amazon's resolver answers nobody in the VPC, and a gateway endpoint on the way is of no use: it
    takes packets, not names.
    """
    require(names.resolve(survey, node), fix=lambda: remedy.let_resolve(survey, node))
