"""What a failure that is mended has left: a snapshot without the shards of one node."""

from __future__ import annotations

from collections.abc import Mapping

from .. import elasticsearch, host, names
from ..errors import LabError
from ..names import Node
from ..state import Lab
from .fault import Expected, Fault
from .keystore import HEALTHY, STALE_SETTINGS, _add

INDEX = "preflight-lab-spread"
SNAPSHOT = f"_snapshot/{names.REPOSITORY}/preflight-lab-partial"


def _leave_partial(lab: Lab, victim: Node) -> None:
    """Stale keys on the victim for as long as one snapshot takes; with them no node can be the elected master of it."""
    other = next(node for node in lab.nodes if node != victim)
    if elasticsearch.master(lab.nodes) == victim:
        elasticsearch.make_master(other, lab.nodes)
    shape = {"settings": {"number_of_shards": len(lab.nodes), "number_of_replicas": 0}}
    elasticsearch.api(other, "PUT", f"{INDEX}?wait_for_active_shards=all", shape, timeout=60)
    _add(victim, *STALE_SETTINGS)
    _reload(victim)
    taken = elasticsearch.api(other, "PUT", f"{SNAPSHOT}?wait_for_completion=true", {"indices": INDEX}, timeout=120)
    host.execute(victim, [elasticsearch.KEYSTORE, "remove", *STALE_SETTINGS])
    host.execute(victim, ["rm", "-f", HEALTHY])
    _reload(victim)
    if taken["snapshot"]["state"] != "PARTIAL":
        raise LabError(f"the snapshot is {taken['snapshot']['state']}, though {victim.name} had stale keys")


def _reload(victim: Node) -> None:
    elasticsearch.api(victim, "POST", "_nodes/_local/reload_secure_settings", timeout=60)


def _delete_partial(lab: Lab, victim: Node) -> None:
    elasticsearch.api(elasticsearch.master(lab.nodes), "DELETE", SNAPSHOT, timeout=120)
    elasticsearch.api(elasticsearch.master(lab.nodes), "DELETE", INDEX, timeout=60)


FAULTS: Mapping[str, Fault] = {
    "snapshot-partial": Fault(
        "stale keys on the node while a snapshot was taken; they are gone, and the snapshot is PARTIAL",
        _leave_partial,
        _delete_partial,
        Expected("finding-snap-1", {("SNAP-1", "victim"): "warning"}),
    ),
}
