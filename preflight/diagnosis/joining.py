"""Nodes that run and are not in the others' cluster, and addresses at which another node answers."""

from __future__ import annotations

from .. import remedy
from ..facts import NO_CLUSTER, NodeFacts, Unknown, View
from ..rules import joining, members, ports
from .found import Found
from .ports import keeps_out
from .scene import Scene


def outside(scene: Scene, node: NodeFacts) -> Found | None:
    """It waits for a master, and the others have one; no port that is shut keeps it out."""
    cluster = joining.outside(scene.survey, node)
    if cluster is None or isinstance(node.view, Unknown) or keeps_out(scene, node):
        return None
    own = node.view.cluster_uuid
    data = f"its data is of {cluster.name} ({own})"
    if own == NO_CLUSTER:
        data = "it has never joined a cluster"
    elif own != cluster.uuid:
        data = f"its data is of another cluster ({own}, not {cluster.uuid})"
    inside = [member.name for member in cluster.members]
    return Found(
        title="Elasticsearch runs on {nodes} and is outside the cluster: it sees no elected master",
        evidence=(
            f"{node.name}: no elected master; {data}",
            *(f"{node.name}: {one.text}" for one in joining.misled(node, cluster, scene.survey)),
            f"{cluster.name} has {len(inside)} members without it, elected master "
            f"{members.title(scene.survey, cluster.master_id or '')}",
        ),
        confidence="certain",
        explains=(("CLUSTER-1", node.name), *scene.unchecked(node.name)),
        remedy=remedy.join(scene.survey, node),
    )


def split(scene: Scene, node: NodeFacts) -> Found | None:
    """Two clusters were seen, and this node is in the smaller one."""
    others = joining.apart(scene.survey, node)
    if not others or isinstance(node.view, Unknown):
        return None
    home = joining.home(scene.survey)
    title = f"two clusters: {{nodes}} apart from {members.listed(others)}"
    if home is None:
        title = "two clusters of one size among the given nodes, {nodes}: which of them is meant is not known"
    views = {node.name: node.view for node in scene.survey.nodes if isinstance(node.view, View)}
    theirs = [f"{name}: {views[name].cluster_name} ({views[name].cluster_uuid})" for name in others]
    return Found(
        title=title,
        evidence=(
            f"{node.name}: {node.view.cluster_name} ({node.view.cluster_uuid}), elected master "
            f"{members.title(scene.survey, node.view.master_id or '')}",
            *theirs,
            *(f"{node.name}: {one.text}" for one in (joining.misled(node, home, scene.survey) if home else ())),
        ),
        confidence="certain",
        explains=(("CLUSTER-1", node.name), *scene.unchecked(node.name)),
        remedy=remedy.join(scene.survey, node),
    )


def another_answers(scene: Scene, node: NodeFacts) -> Found | None:
    """At the address that this node publishes others meet another node."""
    if isinstance(node.view, Unknown):
        return None
    met = {
        other.name: (dial.target, who)
        for other in scene.survey.nodes
        for dial in (() if isinstance(other.dials, Unknown) else other.dials)
        if dial.member == node.view.node_id and (who := ports.answered_by(scene.survey, dial)) is not None
    }
    if not met:
        return None
    target = next(iter(met.values()))[0]
    there = members.listed(sorted({members.title(scene.survey, member.id) for _, member in met.values()}))
    return Found(
        title=f"the address {target} of {{nodes}} leads to {there}",
        evidence=(
            *(
                f"{name}: the certificate shown at {target} is the one that "
                f"{members.title(scene.survey, member.id)} shows at its own address"
                for name, (_, member) in met.items()
            ),
            f"{node.name} itself meets another one there, its own",
            "transport at that address is shown no handshake: who answers there is not seen",
        ),
        confidence="certain",
        explains=tuple(("PORT-2", name) for name in met),
        remedy=remedy.lead_back(scene.survey, node, target, next(iter(met))),
    )
