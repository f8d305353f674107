"""Repositories: Elasticsearch's own proof, with the credentials each process has loaded."""

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
