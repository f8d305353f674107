"""The region each S3 client really uses, from whatever gives it."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import region


@check("REGION-1", severity="high", needs=("config", "cluster", "process", "imds", "buckets"))
def test_region_is_the_buckets(node, survey):
    """A region is known for every S3 repository's client, and it is the bucket's.

    A request signed for another region is refused or sent round another way. Where the nodes differ, a snapshot works
    or fails by which node holds the shard.
    """
    require(region.agrees(survey, node), fix=lambda: remedy.set_region(survey, node))


@check("REGION-2", severity="warning", needs=("config", "cluster", "process", "imds", "buckets"))
def test_region_does_not_come_from_imds_alone(node, survey):
    """The region does not come from the metadata service alone.

    8.19 and 9.1 ask it once, when the node starts. A start while it is out of reach leaves the node on us-east-1
    until the next one, and nothing says so but a line in the log.
    """
    require(region.not_from_imds_alone(survey, node), fix=lambda: remedy.set_region(survey, node))


@check("REGION-3", severity="critical", needs=("config",))
def test_configuration_holds_no_removed_region_setting(node, survey):
    """elasticsearch.yml holds no AWS setting that 6.0 removed.

    The running node does not mind. The next start refuses the file as an unknown setting, in the maintenance window.
    """
    require(region.removed_settings(node), fix=lambda: remedy.drop_removed_settings(survey, node))
