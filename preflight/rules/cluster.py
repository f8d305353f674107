"""CLUSTER: the given nodes are running members of one cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..facts import Cluster, CouldNotCheck, Member, NodeFacts, Survey, Unknown, View, known
from ..judgement import Finding, NotApplicable
from . import joining, members

ALIKE = "the same version, JVM and repository plugins on every member"

MEMBER = "a running member of the one cluster of the given nodes"


def membership(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node runs Elasticsearch, sees an elected master and is a member of the others' cluster."""
    if isinstance(node.view, Unknown):
        if node.process is None:
            return Finding(observed=f"no Elasticsearch process runs on {node.name}", expected=MEMBER)
        if not node.view.blocked and survey.options.elasticsearch_login is None:
            raise CouldNotCheck("no Elasticsearch login was given", members.LOGIN)
    view = known(node.view)
    if view.master_id is None:
        return Finding(
            observed=f"{node.name} sees no elected master",
            expected=MEMBER,
            details=_why(survey, node, joining.outside(survey, node)),
        )
    stray = _elsewhere(survey, node, view)
    if stray is not None:
        return stray
    cluster = members.cluster_of(survey, node)
    if view.node_id not in {member.id for member in cluster.members}:
        return Finding(
            observed=f"{node.name} sees itself in {view.cluster_name}, but {cluster.asked} does not list it",
            expected=MEMBER,
        )
    if cluster.master_id is not None and view.master_id != cluster.master_id:
        ours, theirs = (members.title(survey, i) for i in (view.master_id, cluster.master_id))
        raise CouldNotCheck(
            f"{node.name} sees {ours} as elected master and {cluster.asked} sees {theirs}: "
            "the cluster elected another one during the run, or is divided",
            "run again; if it says the same, look at PORT-1 and the logs of both",
        )
    first = given_before(survey, node)
    if first is not None:
        return Finding(
            observed=f"{node.name} ({node.host}) and {first.name} ({first.host}) are the same Elasticsearch node, "
            f"{view.node_name}: it was given twice, and counts twice wherever nodes are compared",
            expected="every node given once",
            warning=True,
        )
    return None


def given_before(survey: Survey, node: NodeFacts) -> NodeFacts | None:
    """The node given before this one that is the same Elasticsearch node by another name; None for no such one."""
    if isinstance(node.view, Unknown):
        return None
    first = survey.given(node.view.node_id)
    return first if first is not None and first.name != node.name else None


def _elsewhere(survey: Survey, node: NodeFacts, view: View) -> Finding | None:
    others = joining.apart(survey, node)
    if not others:
        return None
    seen = {n.name: n.view for n in survey.nodes if not isinstance(n.view, Unknown)}
    names = sorted({f"{seen[name].cluster_name} ({seen[name].cluster_uuid})" for name in others})
    return Finding(
        observed=f"{node.name} is a member of {view.cluster_name} ({view.cluster_uuid}); "
        f"{members.listed(others)} of {members.listed(names)}",
        expected=MEMBER,
        details=_why(survey, node, joining.home(survey)),
    )


def _why(survey: Survey, node: NodeFacts, home: Cluster | None) -> tuple[str, ...]:
    return tuple(one.text for one in joining.misled(node, home, survey)) if home else ()


def not_given(survey: Survey) -> tuple[Member, ...]:
    """Members of the seen clusters that --hosts did not name, by name."""
    found = (member for cluster in survey.clusters for member in cluster.members if survey.given(member.id) is None)
    return tuple(sorted(found, key=lambda member: member.name))


def complete(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where every member of the node's cluster was given. Said once a cluster, by its first given node.

    A given node whose own view is unknown may be one of the members that seem not given: could not check then.
    """
    if not survey.options.complete:
        raise NotApplicable("members that were not given count only with --complete")
    cluster = members.cluster_of(survey, node)
    missing = [member for member in cluster.members if survey.given(member.id) is None]
    if not missing:
        return None
    speaker = members.speaker(survey, node)
    if node.name != speaker:
        raise NotApplicable(f"said once for the cluster, by {speaker}")
    unseen = [n.name for n in survey.nodes if isinstance(n.view, Unknown)]
    if len(unseen) >= len(missing):
        maybe = members.listed([m.name for m in missing])
        raise CouldNotCheck(f"{maybe} may be {members.listed(unseen)}, whose Elasticsearch could not be asked")
    return Finding(
        observed=f"{cluster.name} has {len(cluster.members)} members; not given: "
        + members.listed([f"{m.name} ({m.transport})" for m in missing]),
        expected="every member of the cluster among --hosts",
    )


def alike(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where this member runs what most members run; a warning otherwise, on all that differ without a majority.

    JVM and plugins are compared among members of one version, since both come with it; plugins among those that touch
    snapshots.
    """
    members.require_running(node)
    own = members.member_of(survey, node)
    everybody = members.cluster_of(survey, node).members
    if len(everybody) < 2:
        raise NotApplicable("the cluster has one member")
    same = tuple(m for m in everybody if m.version == own.version)
    users = tuple(m for m in same if members.uses_repositories(m))
    compared: tuple[tuple[str, tuple[Member, ...], Callable[[Member], str | None]], ...] = (
        ("Elasticsearch", everybody, lambda m: m.version),
        ("JVM", same, lambda m: m.jvm),
        ("repository plugins", users, lambda m: None if m.plugins is None else ", ".join(m.plugins) or "none"),
    )
    found = [
        line
        for what, among, of in compared
        if own in among and (line := _differs(own, what, {m: of(m) for m in among}))
    ]
    if not found:
        return None
    return Finding(observed="; ".join(found), expected=ALIKE, warning=True)


def lacking_plugins(survey: Survey, node: NodeFacts) -> dict[str, str]:
    """{"NAME VERSION": who has it}: repository plugins of members of this node's version that this node lacks.

    Empty where that is not known.
    """
    try:
        own = members.member_of(survey, node)
    except CouldNotCheck:
        return {}
    if own.plugins is None:
        return {}
    found: dict[str, str] = {}
    for member in members.cluster_of(survey, node).members:
        if member.version == own.version:
            for plugin in member.plugins or ():
                if plugin not in own.plugins:
                    found.setdefault(plugin, member.name)
    return found


def _differs(own: Member, what: str, values: Mapping[Member, str | None]) -> str | None:
    """What this member has and the others have otherwise, where this one is off a strict majority or there is none."""
    known_values = {member.name: value for member, value in values.items() if value is not None}
    mine = values[own]
    if mine is None or len(set(known_values.values())) < 2:
        return None
    usual = members.majority(known_values)
    if usual is not None and known_values[usual] == mine:
        return None
    others: dict[str, list[str]] = {}
    for name, value in known_values.items():
        if value != mine:
            others.setdefault(value, []).append(name)
    return f"{what} {mine}; " + ", ".join(f"{value} on {members.listed(names)}" for value, names in others.items())
