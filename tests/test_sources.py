"""Where else than in the keystore a static key can come from: environment, JVM options, elasticsearch.yml."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import sources


@check(
    "SRC-1",
    severity="critical",
    needs=("process", "sources", "config", "keystore", "cluster", "verify", "buckets", "marker"),
    writes="a marker object by the node's role where it finds keys, deleted again",
)
def test_no_static_key_reaches_the_process(node, survey):
    """No static AWS key reaches Elasticsearch from its environment, its JVM options or elasticsearch.yml.

    From 8.19 and 9.1 on such a key wins over the instance role wherever the keystore holds none, on this node alone,
    and removing it takes a restart. One that only a file holds does so after the next restart, on a quiet day's node.
    """
    require(sources.no_static_keys(survey, node), fix=lambda: remedy.remove_outside_keys(survey, node))


@check("SRC-2", severity="warning", needs=("process", "sources", "config", "cluster"))
def test_no_unused_static_key_stands_by(node, survey):
    """No static AWS key stands by that this version ignores or only half has, and nothing lets a repository carry one.

    What 8.18 ignores in the environment, 8.19 uses: the upgrade is the day on which the node starts to sign with a key
    that nobody remembers.
    """
    require(sources.nothing_stands_by(survey, node), fix=lambda: remedy.remove_idle_keys(survey, node))
