"""What stands beside a cause and proves nothing alone: the node's own log, and who depends on a failing repository."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import msgspec

from ..facts import (
    Cluster,
    CouldNotCheck,
    IlmPolicy,
    Log,
    LogLine,
    MountedIndex,
    NodeFacts,
    SlmPolicy,
    Survey,
    Unknown,
)
from ..judgement import Cause, NotApplicable
from ..rules import members, refusals, repository
from ..s3 import s3_repositories
from .scene import Scene

SHOWN = 3
"""How many names of one kind a line has before it counts the rest."""


def added(scene: Scene, causes: Sequence[Cause]) -> tuple[Cause, ...]:
    """The causes with evidence under each that makes a repository fail."""
    return tuple(msgspec.structs.replace(c, evidence=(*c.evidence, *_under(scene, c))) for c in causes)


def _under(scene: Scene, cause: Cause) -> list[str]:
    nodes = [
        node
        for node in scene.survey.nodes
        if node.name in cause.nodes
        and ("REPO-1", node.name) in cause.explains
        and (outcome := scene.outcome("REPO-1", node.name)) is not None
        and outcome.outcome == "fail"
    ]
    found = [line for node in nodes for line in _log(scene, node)]
    failing: dict[tuple[str, str], None] = {}
    for node in nodes:
        for name in _failing(scene, node):
            failing[members.cluster_of(scene.survey, node).uuid, name] = None
    for uuid, name in failing:
        cluster = next(c for c in scene.survey.clusters if c.uuid == uuid)
        found += [line for line in (used_by(cluster, name), *_policies(scene.survey, cluster, name)) if line]
    return found


def _failing(scene: Scene, node: NodeFacts) -> list[str]:
    try:
        found = members.repositories(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return []
    return [r.name for r in found if repository.fails(scene.survey, node, r.name)]


def _log(scene: Scene, node: NodeFacts) -> list[str]:
    """The youngest line of the node's log that says what `_verify` says."""
    kinds = {meaning.kind for failure in scene.failures(node) if (meaning := refusals.of(failure)) is not None}
    lines = [
        line for line in log_lines(scene.survey, node) if (m := refusals.meaning(line.sentence)) and m.kind in kinds
    ]
    if not lines:
        return []
    line = lines[-1]
    last = at(scene.survey, line.last)
    when = (
        f"at {last}" if line.count == 1 else f"{line.count} times since {at(scene.survey, line.first)}, last at {last}"
    )
    where = f" ({line.repository})" if line.repository else ""
    return [f"{node.name}: its log has it {when}{where}: {line.sentence}"]


def log_lines(survey: Survey, node: NodeFacts) -> tuple[LogLine, ...]:
    """What AWS said in the node's log of the repositories there are; none where it was not read."""
    if not isinstance(node.log, Log):
        return ()
    try:
        names = {r.name for r in members.repositories(survey, node)}
    except (CouldNotCheck, NotApplicable):
        return ()
    return tuple(line for line in node.log.lines if line.repository is None or line.repository in names)


def refused_since(survey: Survey, node: NodeFacts) -> str:
    """ " since 02:14 UTC": when the node's log first has a key refused; "" where it does not say."""
    firsts = [
        line.first
        for line in log_lines(survey, node)
        if (meaning := refusals.meaning(line.sentence)) is not None and meaning.kind == "key refused"
    ]
    if not firsts or not isinstance(node.log, Log):
        return ""
    return f" since {at(survey, min(firsts))}{'' if node.log.whole else ' or before'}"


def at(survey: Survey, seconds: float) -> str:
    """A time by the day of the run: "02:14 UTC", on another day "2026-11-23 02:14 UTC"."""
    then, now = (datetime.fromtimestamp(s, timezone.utc) for s in (seconds, survey.started))
    return then.strftime("%H:%M UTC" if then.date() == now.date() else "%Y-%m-%d %H:%M UTC")


def used_by(cluster: Cluster, name: str) -> str:
    """ "s3_backup is used by SLM policy nightly and 3 mounted indices"; "" where nothing is known to use it."""
    dependents = cluster.dependents
    users = []
    for words, plural, names in (
        ("SLM policy", "SLM policies", _of(dependents.slm, name)),
        ("ILM policy", "ILM policies", _of(dependents.ilm, name)),
        ("mounted index", "mounted indices", _of(dependents.mounted, name)),
    ):
        if len(names) == 1:
            users.append(f"{words} {names[0]}")
        elif names:
            some = f" ({members.listed(names)})" if len(names) <= SHOWN else ""
            users.append(f"{len(names)} {plural}{some}")
    return f"{name} is used by {members.listed(users)}" if users else ""


def _of(users: Sequence[SlmPolicy | IlmPolicy | MountedIndex] | Unknown, name: str) -> list[str]:
    return [] if isinstance(users, Unknown) else [user.name for user in users if user.repository == name]


def _policies(survey: Survey, cluster: Cluster, name: str) -> list[str]:
    """What SLM says of the snapshots that it takes into a repository, where the last one failed."""
    policies = () if isinstance(cluster.dependents.slm, Unknown) else cluster.dependents.slm
    return [_failure(survey, policy) for policy in policies if policy.repository == name and failing(policy)]


def failing(policy: SlmPolicy) -> bool:
    """Its last snapshot failed."""
    return policy.last_failure is not None and policy.last_failure > (policy.last_success or 0)


def _failure(survey: Survey, policy: SlmPolicy) -> str:
    last = f"last success {at(survey, policy.last_success)}" if policy.last_success else "no success on record"
    counts = f"; {policy.failed} of {policy.failed + policy.taken} failed" if policy.failed and policy.taken else ""
    return (
        f"SLM policy {policy.name}: its last snapshot failed at {at(survey, policy.last_failure or 0)} "
        f"({last}{counts})" + (f": {policy.sentence}" if policy.sentence else "")
    )


def notes(survey: Survey, causes: Sequence[Cause]) -> tuple[str, ...]:
    """What the cluster itself says of its snapshots, where no cause has said it."""
    said = "\n".join(line for cause in causes for line in cause.evidence)
    found = []
    for cluster in survey.clusters:
        policies = () if isinstance(cluster.dependents.slm, Unknown) else cluster.dependents.slm
        names = {r.name for r in s3_repositories(cluster.repositories)}
        lines = [_failure(survey, p) for p in policies if failing(p) and p.repository in names]
        indicators = () if isinstance(cluster.health, Unknown) else cluster.health
        lines += [
            f"health report, {i.name}: {i.status}: {i.symptom}" for i in indicators if i.status in ("yellow", "red")
        ]
        found += [line for line in lines if line not in said]
    return tuple(found)
