"""Nodes that run and are not in the others' cluster: which that is, and what in their settings keeps them out."""

from __future__ import annotations

from collections import Counter

import msgspec

from ..addresses import host_of, is_address
from ..facts import Cluster, Config, NodeFacts, Routing, Survey, Unknown
from . import members

SEEDS = "discovery.seed_hosts"
FOUNDERS = "cluster.initial_master_nodes"
PROVIDERS = ("discovery.seed_providers", "discovery.zen.hosts_provider", "discovery.zen.ping.unicast.hosts")
"""Whoever has one of these is told of its peers by something else than discovery.seed_hosts."""


class Misled(msgspec.Struct, frozen=True, kw_only=True):
    """A setting in elasticsearch.yml that keeps the node from the others. text: what it says, as a sentence's end"""

    setting: str
    text: str


def usual(survey: Survey) -> str | None:
    """Uuid of the cluster with the most members, or the most given nodes; None where two have as many, or none is seen.

    A node without an elected master is in none.
    """
    sizes = {cluster.uuid: len(cluster.members) for cluster in survey.clusters}
    given = Counter(
        n.view.cluster_uuid for n in survey.nodes if not isinstance(n.view, Unknown) and n.view.master_id is not None
    )
    ordered = sorted(((max(count, sizes.get(uuid, 0)), uuid) for uuid, count in given.items()), reverse=True)
    if not ordered or (ordered[1:] and ordered[0][0] == ordered[1][0]):
        return None
    return ordered[0][1]


def home(survey: Survey) -> Cluster | None:
    """The cluster that a node which is in none, or in a smaller one, is missing from."""
    uuid = usual(survey)
    return next((c for c in survey.clusters if c.uuid == uuid and c.master_id is not None), None)


def outside(survey: Survey, node: NodeFacts) -> Cluster | None:
    """The others' cluster, where this node runs and sees no elected master; else None.

    The one that its data is of, where that was seen with a master.
    """
    if isinstance(node.view, Unknown) or node.view.master_id is not None:
        return None
    own = survey.cluster_of(node)
    return own if own is not None and own.master_id is not None else home(survey)


def apart(survey: Survey, node: NodeFacts) -> tuple[str, ...]:
    """The given nodes in another cluster than this one's that is the larger, or as large; none where there is none."""
    if isinstance(node.view, Unknown) or node.view.master_id is None:
        return ()
    uuids = {
        n.name: n.view.cluster_uuid
        for n in survey.nodes
        if not isinstance(n.view, Unknown) and n.view.master_id is not None
    }
    most = usual(survey)
    if len(set(uuids.values())) < 2 or most == node.view.cluster_uuid:
        return ()
    return tuple(name for name, uuid in uuids.items() if uuid != node.view.cluster_uuid and most in (None, uuid))


def misled(node: NodeFacts, cluster: Cluster, survey: Survey) -> tuple[Misled, ...]:
    """The node's settings that lead it past this cluster; none where its configuration is not known to."""
    if not isinstance(node.config, Config):
        return ()
    asked = (_name(node, cluster), _seeds(survey, node.config, cluster), _founders(node, node.config))
    return tuple(one for one in asked if one is not None)


def guide(survey: Survey, cluster: Cluster) -> tuple[str, ...]:
    """What discovery.seed_hosts of a node of this cluster should be: as its given members have it, else the published
    addresses of those that can be elected."""
    written = [
        tuple(_entries(n.config.settings.get(SEEDS, "")))
        for n in survey.nodes
        if isinstance(n.config, Config) and survey.cluster_of(n) is cluster and survey.member_of(n) is not None
    ]
    if written and written[0] and len(set(written)) == 1:
        return written[0]
    return tuple(m.transport for m in cluster.members if "master" in m.roles)


def _name(node: NodeFacts, cluster: Cluster) -> Misled | None:
    if isinstance(node.view, Unknown) or node.view.cluster_name in ("", cluster.name):
        return None
    return Misled(
        setting="cluster.name", text=f"cluster.name is {node.view.cluster_name}, and the others' is {cluster.name}"
    )


def _seeds(survey: Survey, config: Config, cluster: Cluster) -> Misled | None:
    """Addresses that no member has; of a name nothing is known here."""
    if any(name in PROVIDERS for name in config.names):
        return None
    entries = _entries(config.settings.get(SEEDS, ""))
    if not entries:
        return Misled(setting=SEEDS, text=f"{SEEDS} names nobody, so it looks on its own host alone")
    hosts = {entry if is_address(entry) else host_of(entry) or entry for entry in entries}
    there = {host_of(member.transport) for member in cluster.members}
    for node in survey.nodes:
        if survey.cluster_of(node) is cluster and survey.member_of(node) and isinstance(node.routing, Routing):
            there |= {address.address for address in node.routing.addresses}
    if not all(map(is_address, hosts)) or hosts & there:
        return None
    return Misled(setting=SEEDS, text=f"{SEEDS} names {members.listed(sorted(hosts))}, where no member is seen")


def _founders(node: NodeFacts, config: Config) -> Misled | None:
    own = {node.name, node.host, config.settings.get("node.name", node.name)}
    named = set(_entries(config.settings.get(FOUNDERS, "")))
    if not named or not named <= own:
        return None
    return Misled(
        setting=FOUNDERS, text=f"{FOUNDERS} names this node alone: where its data path is empty, it founds a cluster"
    )


def _entries(value: str) -> list[str]:
    return [entry.strip() for entry in value.strip("[]").split(",") if entry.strip()]
