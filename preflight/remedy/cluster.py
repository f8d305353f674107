"""What a whole cluster wants: members alike, a snapshot that is complete."""

from __future__ import annotations

import shlex

from ..facts import Install, NodeFacts, Survey, Unknown
from ..judgement import Command, Remedy
from ..rules import cluster, members, repository, snapshots
from .asking import CONTROLLER, ask, beforehand, restarting, tool_variables

S3_PLUGIN = "repository-s3"
"""A plugin of its own up to 7.17; from 8.0 on a module of every distribution."""


def make_alike(survey: Survey, node: NodeFacts) -> Remedy:
    """Which of them is meant is not known: what shows the difference."""
    path = "_nodes/jvm,plugins?filter_path=nodes.*.name,nodes.*.version,nodes.*.jvm.version,nodes.*.plugins.name"
    return Remedy(
        caution="which of them is meant is not known, and an upgrade may be under way",
        commands=(
            ask(survey, node, path, "GET"),
            _plugins(node, "list"),
        ),
        advice=(
            *beforehand(node),
            "finish the upgrade, or bring this node to what the others have; a plugin is loaded at the next start",
        ),
    )


def install_plugin(survey: Survey, node: NodeFacts) -> Remedy:
    """Install what this version's other members have; a plugin is loaded by a start and by nothing else."""
    lacking = [plugin.split()[0] for plugin in cluster.lacking_plugins(survey, node)]
    built = "also add it to what builds the node (image, configuration management), or the next one lacks it too"
    if isinstance(node.install, Install) and node.install.layout == "docker":
        return Remedy(
            caution="a plugin installed into a container is gone with it: it belongs into the image",
            commands=(_plugins(node, "list"),),
            advice=(f"build the image with {members.listed(lacking) or 'it'} and start this node from that",),
        )
    if lacking != [S3_PLUGIN]:
        return Remedy(
            caution="which plugin brings the repository's type is not proven: this shows what the node has",
            commands=(_plugins(node, "list"),),
            advice=(
                f"the other members have {members.listed(lacking)}" if lacking else "compare it with another member's",
                "a plugin is loaded at the next start",
                built,
            ),
        )
    commands, advice = restarting(node)
    return Remedy(
        commands=(_plugins(node, f"install --batch {S3_PLUGIN}"), *commands),
        advice=(
            *advice,
            "restart one node at a time, the elected master last, each in a green cluster while no snapshot runs",
            "the tool fetches the plugin of Elasticsearch's own version; without a way to the internet give it the "
            "file instead of the name: file:///…/repository-s3.zip",
            built,
        ),
    )


def _plugins(node: NodeFacts, arguments: str) -> Command:
    """elasticsearch-plugin as whoever owns the installation: root for a package, else the user who runs it."""
    install = node.install if isinstance(node.install, Install) else None
    home = install.home if install else "/usr/share/elasticsearch"
    tool = f"{shlex.quote(f'{home}/bin/elasticsearch-plugin')} {arguments}"
    if install is None:
        return Command(where=node.name, text=f"sudo {tool}")
    owner = f"-u {shlex.quote(install.service_user)} " if install.layout == "tar" and install.service_user else ""
    return Command(where=node.name, text=f"sudo {owner}{tool_variables(install, install.path_conf)} {tool}")


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
