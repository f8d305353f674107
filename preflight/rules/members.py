"""Who a node is in its cluster, whom it may be compared with, and which repositories concern it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

from ..addresses import host_of
from ..facts import NO_CLUSTER, Cluster, CouldNotCheck, Member, NodeFacts, Repository, Routing, Survey, Unknown, known
from ..judgement import NotApplicable

LOGIN = (
    "set ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER with ES_PREFLIGHT_PASSWORD_FILE, "
    "or name them in the inventory (preflight_es_user, preflight_es_password_file)"
)
"""What gives the run a login for Elasticsearch."""


def cluster_of(survey: Survey, node: NodeFacts) -> Cluster:
    """The cluster the node sees itself in; for a node that could not say, or has joined none, the only one seen.

    Raises CouldNotCheck where there is none such.
    """
    if isinstance(node.view, Unknown):
        if not node.view.blocked:
            if len(survey.clusters) == 1:
                return survey.clusters[0]
            if (there := _by_address(survey, node)) is not None:
                return there
            if survey.options.elasticsearch_login is None:
                raise CouldNotCheck("no Elasticsearch login was given", LOGIN)
        known(node.view)
    elif node.view.cluster_uuid == NO_CLUSTER and len(survey.clusters) == 1:
        return survey.clusters[0]
    cluster = survey.cluster_of(node)
    if cluster is None:
        raise CouldNotCheck("none of the given nodes could say who the members of its cluster are")
    return cluster


def _by_address(survey: Survey, node: NodeFacts) -> Cluster | None:
    """The one cluster with a member at the node's address that no other given node is; None without it."""
    own = {node.host}
    if isinstance(node.routing, Routing):
        own |= {address.address for address in node.routing.addresses if address.scope == "global"}
    found = [
        cluster
        for cluster in survey.clusters
        if any(host_of(m.transport) in own and survey.given(m.id) is None for m in cluster.members)
    ]
    return found[0] if len(found) == 1 else None


def member_of(survey: Survey, node: NodeFacts) -> Member:
    """The member this node is. Raises CouldNotCheck where unknown or where the cluster does not list it."""
    cluster = cluster_of(survey, node)
    known(node.view)
    member = survey.member_of(node)
    if member is None:
        raise CouldNotCheck(f"{cluster.name} does not list this node as a member (asked through {cluster.asked})")
    return member


def companions(survey: Survey, node: NodeFacts) -> tuple[NodeFacts, ...]:
    """The other given nodes that this one may be compared with: those not known to be of another cluster.

    Where one cluster was seen, or none (no login for Elasticsearch), a node that could not say belongs with the rest.
    Raises CouldNotCheck where this node's cluster cannot be told among several.
    """
    own = uuid_of(survey, node)
    if own is None and len(survey.clusters) > 1:
        known(node.view)
        raise CouldNotCheck("which of the clusters this node belongs to is not known: it has joined none")
    return tuple(n for n in survey.nodes if n.name != node.name and uuid_of(survey, n) == own)


def uuid_of(survey: Survey, node: NodeFacts) -> str | None:
    """Uuid of the cluster a node belongs to: its own view's, else that of the only cluster seen, or of the only one
    with a member at its address; None where unknown."""
    if not isinstance(node.view, Unknown) and node.view.cluster_uuid != NO_CLUSTER:
        return node.view.cluster_uuid
    if len(survey.clusters) > 1 and isinstance(node.view, Unknown) and not node.view.blocked:
        there = _by_address(survey, node)
        return there.uuid if there else None
    return survey.clusters[0].uuid if len(survey.clusters) == 1 else None


def repositories(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The S3 repositories of the node's cluster. Raises CouldNotCheck; NotApplicable where it has none."""
    found = tuple(r for r in known(cluster_of(survey, node).repositories) if r.type == "s3")
    if not found:
        raise NotApplicable("the cluster has no S3 repository")
    return found


def intended(node: NodeFacts, client: str) -> bool:
    """Whether the inventory declares that this S3 client is meant to sign with static keys on the node.

    Such a key is no finding while S3 accepts it, and no role has to stand in for it.
    """
    return client in node.static_key_clients


def uses_repositories(member: Member) -> bool:
    """True for members that read or write snapshots: data nodes and those that can be elected.

    Coordinating, ingest and ml nodes never do, nor do dedicated voting-only nodes: `_verify` leaves both out
    (VerifyNodeRepositoryCoordinationAction).
    """
    holds_data = any(role == "data" or role.startswith("data_") for role in member.roles)
    return holds_data or ("master" in member.roles and "voting_only" not in member.roles)


def version_of(survey: Survey, node: NodeFacts) -> str:
    """The node's Elasticsearch version: as it runs, else as installed. Raises CouldNotCheck."""
    member = survey.member_of(node)
    if member is not None:
        return member.version
    install = known(node.install)
    if install is None or install.version is None:
        raise CouldNotCheck(f"which version of Elasticsearch {node.name} has could not be read")
    return install.version


def require_user(member: Member | None) -> None:
    """Raises NotApplicable for a member that never reads or writes a snapshot; an unknown one counts as a user."""
    if member is not None and not uses_repositories(member):
        roles = ", ".join(member.roles) or "coordinating only"
        raise NotApplicable(f"this node never reads or writes snapshots (roles: {roles})")


def require_running(node: NodeFacts) -> None:
    """Raises NotApplicable where no Elasticsearch runs: CLUSTER-1 says so, and it is no member of anything."""
    if node.process is None:
        raise NotApplicable(f"no Elasticsearch process runs on {node.name} (CLUSTER-1)")


def speaker(survey: Survey, node: NodeFacts) -> str:
    """Name of the first given node of this node's cluster: it says what is said once a cluster."""
    own = uuid_of(survey, node)
    return next((n.name for n in survey.nodes if uuid_of(survey, n) == own), node.name)


def title(survey: Survey, node_id: str) -> str:
    """What to call the member with this id: as it was given, else by its own name, else the id."""
    given = survey.given(node_id)
    if given is not None:
        return given.name
    return next((m.name for c in survey.clusters for m in c.members if m.id == node_id), node_id)


def majority(values: Mapping[str, Hashable]) -> str | None:
    """Name of the first node whose value a strict majority shares; None without one."""
    if not values:
        return None
    value, count = Counter(values.values()).most_common(1)[0]
    if count * 2 <= len(values):
        return None
    return next(name for name, other in values.items() if other == value)


def listed(names: Sequence[str]) -> str:
    """ "es-1", "es-1 and es-2", "es-1, es-2 and es-3"."""
    return " and ".join(([", ".join(names[:-1])] if names[1:] else []) + list(names[-1:]))
