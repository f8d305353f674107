"""Who a node is in its cluster, whom it may be compared with, and which repositories concern it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping

from ..facts import Cluster, CouldNotCheck, Member, NodeFacts, Repository, Survey, Unknown, known
from ..judgement import NotApplicable

LOGIN = (
    "set ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER with ES_PREFLIGHT_PASSWORD_FILE, "
    "or name them in the inventory (preflight_es_user, preflight_es_password_file)"
)
"""What gives the run a login for Elasticsearch."""


def cluster_of(survey: Survey, node: NodeFacts) -> Cluster:
    """The cluster the node sees itself in. Raises CouldNotCheck where its view or that cluster is unknown."""
    if isinstance(node.view, Unknown) and not node.view.blocked and survey.options.elasticsearch_login is None:
        raise CouldNotCheck("no Elasticsearch login was given", LOGIN)
    view = known(node.view)
    cluster = survey.cluster_of(node)
    if cluster is None:
        raise CouldNotCheck(f"none of the given nodes could say who the members of {view.cluster_name} are")
    return cluster


def member_of(survey: Survey, node: NodeFacts) -> Member:
    """The member this node is. Raises CouldNotCheck where unknown or where the cluster does not list it."""
    cluster = cluster_of(survey, node)
    member = survey.member_of(node)
    if member is None:
        raise CouldNotCheck(f"{cluster.name} does not list this node as a member (asked through {cluster.asked})")
    return member


def companions(survey: Survey, node: NodeFacts) -> tuple[NodeFacts, ...]:
    """The other given nodes that this one may be compared with: those of its own cluster.

    Without a login for Elasticsearch nobody can tell clusters apart; the given nodes are then taken as one.
    Raises CouldNotCheck where this node's cluster is unknown although there was a login.
    """
    if isinstance(node.view, Unknown):
        if node.view.blocked or survey.options.elasticsearch_login is not None:
            known(node.view)
        return tuple(other for other in survey.nodes if other.name != node.name)
    uuid = node.view.cluster_uuid
    return tuple(
        other
        for other in survey.nodes
        if other.name != node.name and not isinstance(other.view, Unknown) and other.view.cluster_uuid == uuid
    )


def repositories(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The S3 repositories of the node's cluster. Raises CouldNotCheck; NotApplicable where it has none."""
    found = tuple(r for r in known(cluster_of(survey, node).repositories) if r.type == "s3")
    if not found:
        raise NotApplicable("the cluster has no S3 repository")
    return found


def uses_repositories(member: Member) -> bool:
    """True for members that read or write snapshots: data nodes and those that can be elected.

    Coordinating, ingest and ml nodes never do, nor do dedicated voting-only nodes: `_verify` leaves both out
    (VerifyNodeRepositoryCoordinationAction).
    """
    holds_data = any(role == "data" or role.startswith("data_") for role in member.roles)
    return holds_data or ("master" in member.roles and "voting_only" not in member.roles)


def require_user(member: Member) -> None:
    """Raises NotApplicable for a member that never reads or writes a snapshot."""
    if not uses_repositories(member):
        roles = ", ".join(member.roles) or "coordinating only"
        raise NotApplicable(f"this node never reads or writes snapshots (roles: {roles})")


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


def listed(names: tuple[str, ...] | list[str]) -> str:
    """ "es-1", "es-1 and es-2", "es-1, es-2 and es-3"."""
    return " and ".join(([", ".join(names[:-1])] if names[1:] else []) + list(names[-1:]))
