"""The causes that lie in a node's role and in what hands it out: rows of the table in causes.py."""

from __future__ import annotations

from .. import remedy
from ..facts import Imds, NodeFacts
from ..rules import members, role, signing
from .found import Found
from .scene import Scene


def no_role(scene: Scene, node: NodeFacts) -> Found | None:
    """Nothing to sign with: no profile, no metadata service, no current credentials."""
    finding = role.instance_role(scene.survey, node)
    if finding is None:
        return None
    denied = isinstance(node.imds, Imds) and node.imds.outcome == "answered"
    return Found(
        title="{nodes}: no instance role to sign with",
        evidence=(f"{node.name}: {finding.observed}", *scene.sentences(node, "no credentials")),
        confidence="certain" if denied else "likely",
        explains=(("ROLE-1", node.name), ("ROLE-2", node.name), *scene.repository_pairs(node, "no credentials")),
        remedy=remedy.give_role(scene.survey, node),
    )


def denied(scene: Scene, node: NodeFacts) -> Found | None:
    """S3 knows the role and refuses it the bucket; `_verify` fails for the same reason, or keys in use hide it."""
    refused = signing.refusals(scene.survey, node)
    if not refused or signing.by_place(scene.survey, node, refused):
        return None
    return _denied(scene, node, refused, "{nodes}: S3 denies %s the bucket of %s")


def denied_here(scene: Scene, node: NodeFacts) -> Found | None:
    """A policy of the bucket or of the way to it refuses this node what the role may do."""
    refused = signing.refusals(scene.survey, node)
    if not refused or not signing.by_place(scene.survey, node, refused):
        return None
    return _denied(
        scene, node, refused, "{nodes}: a policy of the bucket or its endpoint denies %s the bucket of %s here"
    )


def _denied(scene: Scene, node: NodeFacts, refused: tuple[signing.Refusal, ...], title: str) -> Found:
    buckets = members.listed([refusal.repository.name for refusal in refused])
    return Found(
        title=title % (role.named(node), buckets),
        evidence=(
            *(
                f"{node.name}: a {refusal.what} signed with the role: {role.answered(refusal.answer)}"
                for refusal in refused
            ),
            *scene.sentences(node, "denied"),
            *(f"{node.name}: {line}" for line in signing.beside(scene.survey, node, refused)),
        ),
        confidence="possible" if all(refusal.doubted for refusal in refused) else "certain",
        explains=(("ROLE-2", node.name), ("ROLE-3", node.name), *scene.repository_pairs(node, "denied")),
        remedy=remedy.allow_role(scene.survey, node),
    )
