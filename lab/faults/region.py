"""What can be wrong with a region."""

from __future__ import annotations

from collections.abc import Mapping

from .. import elasticsearch, host, names
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, YML, Expected, Fault, healthy_repository

REMOVED = "cloud.aws.region"


def _remove_region(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sed", "--in-place", r"/^s3\.client\.default\.region:/d", YML])


def _restore_region(lab: Lab, victim: Node) -> None:
    line = f"s3.client.default.region: {names.REGION}"
    host.execute(victim, ["sh", "-c", f"grep -q '^s3.client.default.region:' {YML} || echo '{line}' >>{YML}"])


def _write_other_region(lab: Lab, victim: Node) -> None:
    change = f"s/^(s3\\.client\\.default\\.region:).*/\\1 {names.OTHER_REGION}/"
    host.execute(victim, ["sed", "--in-place", "-E", change, YML])


def _write_own_region(lab: Lab, victim: Node) -> None:
    change = f"s/^(s3\\.client\\.default\\.region:).*/\\1 {names.REGION}/"
    host.execute(victim, ["sed", "--in-place", "-E", change, YML])


def _register_other_region(lab: Lab, victim: Node) -> None:
    elasticsearch.register_repository(lab.nodes, region=names.OTHER_REGION)


def _register_other_bucket(lab: Lab, victim: Node) -> None:
    elasticsearch.register_repository(lab.nodes, bucket=names.OTHER_BUCKET)


def _write_removed(lab: Lab, victim: Node) -> None:
    # Not restarted: it would not come back.
    host.execute(victim, ["cp", "-p", YML, f"{YML}.aside"])
    host.execute(victim, ["sh", "-c", f"cat >>{YML}"], stdin=f"{REMOVED}: {names.REGION}\n")


def _drop_removed(lab: Lab, victim: Node) -> None:
    # The very file, its time too: a change since the start is a finding of its own.
    host.execute(
        victim, ["sh", "-c", f"rm -f {YML}.before-preflight-*; if [ -e {YML}.aside ]; then mv {YML}.aside {YML}; fi"]
    )


_ELSEWHERE = Expected(
    "region-wrong",
    {
        ("REGION-1", "victim"): "fail",
        ("REGION-1", "others"): "fail",
        ("REPO-1", "victim"): "fail",
        ("REPO-1", "others"): "could not check",
    },
)

FAULTS: Mapping[str, Fault] = {
    "region-missing": Fault(
        "no region in the node's elasticsearch.yml: only its metadata service gives one",
        _remove_region,
        _restore_region,
        Expected("region-missing", {("REGION-2", "victim"): "warning"}),
        on_sdk_v1=Expected(None, {}),
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "region-wrong": Fault(
        "the repository's own settings name another region than its bucket's",
        _register_other_region,
        healthy_repository,
        _ELSEWHERE,
        everywhere=True,
    ),
    "region-differs": Fault(
        "the node's elasticsearch.yml names another region than the bucket's, and than the others'",
        _write_other_region,
        _write_own_region,
        Expected(
            "region-wrong",
            {("REGION-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "removed-region-setting": Fault(
        "cloud.aws.region in the node's elasticsearch.yml, which no start has read yet",
        _write_removed,
        _drop_removed,
        Expected("would-not-start", {("REGION-3", "victim"): "fail", ("RESTART-1", "victim"): "fail"}),
        needs_elasticsearch=False,
    ),
    "bucket-other-region": Fault(
        "the repository's bucket lies in another region than the nodes' clients are set to",
        _register_other_bucket,
        healthy_repository,
        _ELSEWHERE,
        everywhere=True,
    ),
}
