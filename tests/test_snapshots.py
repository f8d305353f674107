"""Snapshots: how the newest one ended."""

from preflight import remedy
from preflight.check import check
from preflight.judgement import require
from preflight.rules import snapshots


@check("SNAP-1", severity="warning", needs=("cluster", "view", "verify"))
def test_newest_snapshot_is_complete(node, survey):
    """The newest snapshot of each S3 repository is complete.

    A node that could not reach S3 last night leaves its shards out, and the snapshot is PARTIAL: kept, listed among
    the others, and no backup of those shards. Only looked at where `_verify` passes now.
    """
    require(snapshots.newest_is_complete(survey, node), fix=lambda: remedy.take_snapshot(survey, node))
