"""Rows for static keys that come from elsewhere than the keystore: environment, JVM options, elasticsearch.yml."""

from __future__ import annotations

from .. import fallback, remedy
from ..facts import NodeFacts, Process
from ..rules import members, refusals, role, sources
from .found import Found
from .scene import Scene


def environment_keys(scene: Scene, node: NodeFacts) -> Found | None:
    """Static keys that the process got when it started; where the keystore holds none, they sign."""
    sources.on_aws(scene.survey, node)
    used = sources.in_use(scene.survey, node)
    if not used:
        return None
    where = members.listed([sources.WHERE[keys.source or ""] for keys in used])
    evidence = [f"{node.name}: {members.listed(keys.names)} in {sources.WHERE[keys.source or '']}" for keys in used]
    evidence += [f"{node.name}: {place}" for keys in used for place in sources.places(keys)]
    refused = sources.refusal(scene.survey, node)
    if refused is None or not sources.keystore_is_clean(scene.survey, node):
        return Found(
            title="{nodes}: static keys reach the process through " + where + " and win over the instance role until "
            "the day they are rotated",
            evidence=tuple(evidence),
            confidence="certain",
            explains=(("SRC-1", node.name),),
            remedy=remedy.remove_outside_keys(scene.survey, node),
        )
    meaning = refusals.meaning(refused[1])
    identity = isinstance(node.process, Process) and set(node.process.environment) >= fallback.WEB_IDENTITY
    why = role.unproven(node, sources.on_aws(scene.survey, node))
    proof = (
        "S3 accepts this node's role, so the keys are not needed" if why is None else f"its role is not proven: {why}"
    )
    return Found(
        title="{nodes}: stale static keys in "
        + where
        + " of the process win over the instance role, and S3 refuses them",
        evidence=(
            *evidence,
            *scene.sentences(node, "key refused"),
            *((meaning.words,) if meaning else ()),
            f"{node.name}: {proof}",
        ),
        confidence="likely" if identity else "certain",
        explains=(("SRC-1", node.name), *scene.repository_pairs(node, "key refused")),
        remedy=remedy.remove_outside_keys(scene.survey, node),
    )


def waiting_keys(scene: Scene, node: NodeFacts) -> Found | None:
    """Keys that only files hold: the next start loads them. What it would refuse is keys.would_not_start's."""
    sources.on_aws(scene.survey, node)
    waiting = sources.waiting(scene.survey, node)
    if not waiting or sources.in_use(scene.survey, node):
        return None
    perhaps = any(keys.loaded is None for keys in waiting)
    refused = scene.repository_pairs(node, "key refused") if perhaps else ()
    what = "that the process may have loaded" if perhaps else "that the next start loads"
    return Found(
        title="{nodes}: static keys on disk " + what + "; they then win over the instance role",
        evidence=(
            *(f"{node.name}: {place}" for keys in waiting for place in sources.places(keys)),
            *(scene.sentences(node, "key refused") if refused else ()),
        ),
        confidence="likely" if perhaps else "certain",
        explains=(
            ("SRC-1", node.name),
            *(() if perhaps else (("RESTART-1", node.name),)),
            *(refused if sources.keystore_is_clean(scene.survey, node) else ()),
        ),
        remedy=remedy.remove_outside_keys(scene.survey, node),
    )


def idle_keys(scene: Scene, node: NodeFacts) -> Found | None:
    finding = sources.nothing_stands_by(scene.survey, node)
    if finding is None:
        return None
    return Found(
        title="{nodes}: static keys lie about that nothing uses today, or may come with a repository",
        evidence=(f"{node.name}: {finding.observed}", *(f"{node.name}: {line}" for line in finding.details)),
        confidence="certain",
        explains=(("SRC-2", node.name),),
        remedy=remedy.remove_idle_keys(scene.survey, node),
    )
