"""Would a node come back? From its files alone: nothing is restarted to find out."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import restart


@check(
    "RESTART-1",
    severity="high",
    needs=("keystore", "config", "sources", "process", "install", "cluster", "verify", "imds", "buckets"),
)
def test_node_would_come_back(node, survey):
    """A restart would bring this node back as it runs now.

    Whatever changed on disk since the last start waits for the next one: a rolling restart finds half a pair, a closed
    keystore, a setting in the wrong file or a stale key on the node that was well a minute ago.
    """
    require(restart.comes_back(survey, node), fix=lambda: remedy.come_back(survey, node))
