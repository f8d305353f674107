"""Repositories: Elasticsearch's own proof, with the credentials each process has loaded."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import repository


@check(
    "REPO-1",
    severity="critical",
    needs=("verify", "cluster"),
    writes="_verify of every S3 repository: marker objects under its base path, deleted again",
)
def test_every_repository_verifies(node, survey):
    """`_verify` of every S3 repository succeeds and names this node.

    It writes and reads a marker object from the elected master and from every data node with what each process has
    loaded: the only proof that a snapshot would work. Where the master fails, Elasticsearch tests no other node.
    """
    require(repository.verifies(survey, node))


@check("REPO-2", severity="warning", needs=("view", "cluster", "buckets"))
def test_verify_has_left_nothing(node, survey):
    """No leftovers of `_verify` lie under a repository's base path.

    Elasticsearch deletes its markers only where every node succeeded: each failing run leaves a few. They cost next to
    nothing, and say how often somebody tried.
    """
    require(repository.no_leftovers(survey, node), fix=lambda: remedy.delete_leftovers(survey, node))
