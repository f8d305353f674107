"""A remote cluster that a node does not reach: searches and replication across clusters need it, no snapshot does."""

from __future__ import annotations

from .. import remedy
from ..facts import NodeFacts, Unknown
from ..rules import members, ports, remotes
from .found import Found
from .scene import Scene


def unreached(scene: Scene, node: NodeFacts) -> Found | None:
    """None of the addresses that the node is configured with opens."""
    shut = remotes.unreached(scene.survey, node)
    if not shut:
        return None
    names = members.listed([remote.name for remote, _ in shut])
    given = (other for other in scene.survey.nodes if other.name != node.name)
    reach = [other.name for other in given if _opens(other, {dial.target for _, dials in shut for dial in dials})]
    what = {None: "", True: "searches leave it out", False: "searches that name it fail"}
    told = [f"{remote.name}: {what[remote.skip_unavailable]}" for remote, _ in shut if what[remote.skip_unavailable]]
    return Found(
        title=f"{{nodes}}: remote cluster{'s' if len(shut) > 1 else ''} {names} not reached; snapshots do without",
        evidence=(
            *(f"{node.name} to {ports.words(scene.survey, dial)}" for _, dials in shut for dial in dials),
            *([f"{members.listed(reach)} reach it"] if reach else []),
            *(f"{line} (skip_unavailable)" for line in told),
        ),
        confidence="certain",
        explains=(("PORT-3", node.name),),
        remedy=remedy.reach_remote(scene.survey, node),
    )


def _opens(node: NodeFacts, targets: set[str]) -> bool:
    dials = () if isinstance(node.dials, Unknown) else node.dials
    return any(dial.port == "remote" and dial.target in targets and dial.outcome == "open" for dial in dials)
