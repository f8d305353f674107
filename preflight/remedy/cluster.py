"""What a whole cluster wants: members alike, a snapshot that is complete."""

from __future__ import annotations

import shlex

from ..facts import Install, NodeFacts, Survey, Unknown
from ..judgement import Command, Remedy
from ..rules import members, repository, snapshots
from .asking import CONTROLLER, ask


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


def delete_leftovers(survey: Survey, node: NodeFacts) -> Remedy:
    """One command a folder: each holds nothing but markers, and none of a `_verify` that may still run."""
    buckets = {r.name: r.bucket for r in members.repositories(survey, node)}
    paths = () if isinstance(node.buckets, Unknown) else node.buckets
    commands = [
        Command(
            where=CONTROLLER,
            text=f"aws s3 rm --recursive {shlex.quote(f's3://{buckets[path.repository]}/{folder.folder}/')}",
        )
        for path in paths
        for folder in repository.left_behind(path)
    ]
    more = (f"{len(commands) - repository.LISTED} more: run the suite again afterwards",)
    return Remedy(
        commands=tuple(commands[: repository.LISTED]),
        advice=(
            "with credentials that may delete there; the node's own role may, where _verify passes",
            *(more if len(commands) > repository.LISTED else ()),
        ),
    )
