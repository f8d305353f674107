"""The instance role: what the node signs with when the keystore holds no key."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import role, signing


@check(
    "ROLE-1",
    severity="critical",
    needs=("imds", "container", "system", "install", "cluster", "config", "process", "keystore", "sources"),
)
def test_node_has_an_instance_role(node, survey):
    """Elasticsearch gets current credentials of a role from the metadata service.

    Without static keys nothing else signs its requests to S3. It is asked as the user Elasticsearch runs as and in the
    protocol of its version. Elasticsearch itself asks only when it needs them, so what went missing shows hours later.
    """
    require(signing.instance_role(survey, node), fix=lambda: remedy.give_role(survey, node))


@check("ROLE-2", severity="warning", needs=("imds", "container", "cluster", "config", "process", "buckets"))
def test_nodes_have_the_same_role(node, survey):
    """All nodes of one kind have the same role.

    Policies are written for a role. With two of them a permission is there on one node and missing on its neighbour.
    Nodes with other node roles (dedicated masters) may have a role of their own.
    """
    require(role.same_role(survey, node), fix=lambda: remedy.one_role(survey, node))


@check(
    "ROLE-3",
    severity="critical",
    needs=("imds", "container", "system", "cluster", "config", "process", "buckets", "keystore", "sources", "marker"),
    writes="with --try-role a marker object by the node's role, deleted again",
)
def test_role_reaches_every_bucket(node, survey):
    """The role reaches the bucket of every S3 repository that uses it.

    A list signed with the role's own credentials is sent from this node. Where S3 denies it the role lacks a permission
    or a policy forbids this node, and static keys must stay where they are until that is mended.
    """
    require(signing.reaches(survey, node), fix=lambda: remedy.allow_role(survey, node))
