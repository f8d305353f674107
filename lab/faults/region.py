"""What can be wrong with a region."""

from __future__ import annotations

from collections.abc import Mapping

from .. import host, names
from ..names import Node
from ..state import Lab
from .fault import YML, Expected, Fault


def _remove_region(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sed", "--in-place", r"/^s3\.client\.default\.region:/d", YML])


def _restore_region(lab: Lab, victim: Node) -> None:
    line = f"s3.client.default.region: {names.REGION}"
    host.execute(victim, ["sh", "-c", f"grep -q '^s3.client.default.region:' {YML} || echo '{line}' >>{YML}"])


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
}
