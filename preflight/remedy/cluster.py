"""What a whole cluster wants: members alike, a snapshot that is complete."""

from __future__ import annotations

from ..facts import Install, NodeFacts, Survey, Unknown
from ..judgement import Command, Remedy
from ..rules import members, snapshots
from .asking import ask


def make_alike(survey: Survey, node: NodeFacts) -> Remedy:
    """Which of them is meant is not known: what shows the difference."""
    path = "_nodes/jvm,plugins?filter_path=nodes.*.name,nodes.*.version,nodes.*.jvm.version,nodes.*.plugins.name"
    home = node.install.home if isinstance(node.install, Install) else "/usr/share/elasticsearch"
    return Remedy(
        caution="which of them is meant is not known, and an upgrade may be under way",
        commands=(
            ask(survey, node, path, "GET"),
            Command(where=node.name, text=f"sudo {home}/bin/elasticsearch-plugin list"),
        ),
        advice=(
            "finish the upgrade, or bring this node to what the others have; a plugin is loaded at the next start",
        ),
    )


def take_snapshot(survey: Survey, node: NodeFacts) -> Remedy:
    """`_verify` passes now: a new snapshot is a complete one."""
    lacking = {s.repository for s in snapshots.newest(survey, node) if s.state in ("PARTIAL", "FAILED")}
    policies = members.cluster_of(survey, node).dependents.slm
    named = [] if isinstance(policies, Unknown) else [p.name for p in policies if p.repository in lacking]
    how = [f"POST _slm/policy/{name}/_execute" for name in named]
    return Remedy(
        advice=(
            f"take a new snapshot{f' ({members.listed(how)})' if how else ''}: _verify passes now on every node",
            "keep the older complete ones until it is there; deleting the partial one gains nothing",
        ),
    )
