"""The instance role: what the node signs with when the keystore holds no key."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import role, signing


@check("ROLE-1", severity="critical", needs=("imds", "system", "cluster", "config", "process"))
def test_node_has_an_instance_role(node, survey):
    """The node is an EC2 instance whose IMDSv2 names a role with current credentials.

    Without static keys nothing else signs its requests to S3. Elasticsearch asks only when it needs them, so a
    profile that went missing shows at the next snapshot, not before.
    """
    require(role.instance_role(survey, node), fix=lambda: remedy.give_role(survey, node))


@check("ROLE-2", severity="warning", needs=("imds", "cluster", "config"))
def test_nodes_have_the_same_role(node, survey):
    """All nodes of one kind name the same role.

    Policies are written for a role. With two of them a permission is there on one node and missing on its neighbour.
    Nodes with other node roles (dedicated masters) may have a role of their own.
    """
    require(role.same_role(survey, node), fix=lambda: remedy.one_role(survey, node))


@check(
    "ROLE-3",
    severity="critical",
    needs=("imds", "system", "cluster", "config", "process", "buckets", "keystore", "sources", "verify", "marker"),
    writes="with --try-role a marker object by the node's role, deleted again",
)
def test_role_reaches_every_bucket(node, survey):
    """The role reaches the bucket of every S3 repository that uses it.

    A list signed with the role's own credentials is sent from this node. Where S3 denies it the role lacks a permission
    or a policy forbids this node, and static keys must stay where they are until that is mended.
    """
    require(signing.reaches(survey, node), fix=lambda: remedy.allow_role(survey, node))
