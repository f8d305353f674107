"""The cluster: that the given nodes are it."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import cluster


@check("CLUSTER-1", severity="critical", needs=("view", "cluster", "process", "config"))
def test_node_is_a_member_of_the_cluster(node, survey):
    """The node runs Elasticsearch and is a member of the one cluster of the given nodes.

    A node that is down, or has formed a cluster of its own, holds no shard of yours; what other checks compare it
    with would be another cluster's.
    """
    require(cluster.membership(survey, node), fix=lambda: remedy.join(survey, node))


@check("CLUSTER-2", severity="high", needs=("view", "cluster"))
def test_every_member_was_given(node, survey):
    """Every member of the cluster was given (--complete).

    A node that nobody looked at can be the one with the stale key. Without --complete the members that were not given
    are one line under the verdict.
    """
    require(cluster.complete(survey, node))


@check("CLUSTER-3", severity="warning", needs=("view", "cluster"))
def test_members_run_the_same(node, survey):
    """All members run the same version, JVM and repository plugins.

    Which credentials count, how a region is found and how an error reads depends on the version; the trust store comes
    with the JVM; without the plugin a node has no S3 repository. A rolling upgrade is one of the reasons to differ.
    """
    require(cluster.alike(survey, node), fix=lambda: remedy.make_alike(survey, node))
