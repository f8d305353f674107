"""What AWS's control plane explains of a role: the policies on the way, an empty profile, metadata options, DNS."""

from __future__ import annotations

from .. import remedy
from ..facts import CouldNotCheck, NodeFacts
from ..judgement import NotApplicable
from ..rules.aws import entry, metadata, names, roles
from ..rules.aws.metadata import Option
from .found import Found
from .scene import Pair, Scene


def on_the_way(scene: Scene, node: NodeFacts) -> Found | None:
    """A policy of the bucket or of the endpoint that denies what comes from where this node is."""
    finding = entry.lets_in(scene.survey, node)
    if finding is None:
        return None
    shut, _ = entry.judged(scene.survey, node)
    which = " and ".join(dict.fromkeys(f"{one.whose} {one.id}" for one in shut))
    pairs: tuple[Pair, ...] = scene.repository_pairs(node, "denied")
    return Found(
        title=f"{{nodes}}: the policy of {which} lets in nothing that comes from there",
        evidence=(finding.observed, *finding.details, *scene.sentences(node, "denied")),
        confidence="certain" if pairs else "likely",
        explains=(("AWS-4", node.name), ("ROLE-3", node.name), *pairs),
        remedy=remedy.let_in(scene.survey, node),
    )


def empty_profile(scene: Scene, node: NodeFacts) -> Found | None:
    """An instance profile without a role: the metadata service has nothing to hand out, and says so as if there were
    no profile at all."""
    empty = _empty(scene, node)
    if empty is None:
        return None
    return Found(
        title="{nodes}: an instance profile without a role in it",
        evidence=(f"{node.name}: {empty}", *scene.sentences(node, "no credentials")),
        confidence="certain",
        explains=(
            *((id, node.name) for id in ("AWS-5", "ROLE-1", "ROLE-2", "ROLE-3")),
            *scene.repository_pairs(node, "no credentials"),
        ),
        remedy=remedy.give_actions(scene.survey, node),
    )


def unresolved(scene: Scene, node: NodeFacts) -> Found | None:
    """A VPC whose resolver answers nobody."""
    finding = names.resolve(scene.survey, node)
    if finding is None or finding.warning:
        return None
    return Found(
        title="{nodes}: no name resolves: DNS support of the VPC is switched off",
        evidence=(f"{node.name}: {finding.observed}", *scene.sentences(node, "connection")),
        confidence="likely",
        explains=(("AWS-7", node.name), ("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.let_resolve(scene.survey, node),
    )


def resolves_nothing(scene: Scene, node: NodeFacts) -> bool:
    """True where the VPC's resolver is what fails."""
    try:
        return unresolved(scene, node) is not None
    except (CouldNotCheck, NotApplicable):
        return False


def lets_in_nothing(scene: Scene, node: NodeFacts) -> bool:
    """True where a policy on the way has been named: what S3 refuses then needs no other cause."""
    try:
        return entry.lets_in(scene.survey, node) is not None
    except (CouldNotCheck, NotApplicable):
        return False


def has_empty_profile(scene: Scene, node: NodeFacts) -> bool:
    """True where the instance profile is what lacks a role."""
    try:
        return _empty(scene, node) is not None
    except (CouldNotCheck, NotApplicable):
        return False


def option(scene: Scene, node: NodeFacts) -> Option | None:
    """The metadata option that is in the way; None where none is known to be."""
    try:
        return metadata.in_the_way(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return None


def lacking(scene: Scene, node: NodeFacts) -> tuple[str, ...]:
    """What IAM says that the role may not do, as a line of evidence; none where that is not known."""
    try:
        finding = roles.may_take_snapshots(scene.survey, node)
    except (CouldNotCheck, NotApplicable):
        return ()
    return (f"AWS: {finding.observed}",) if finding else ()


def _empty(scene: Scene, node: NodeFacts) -> str | None:
    finding = roles.may_take_snapshots(scene.survey, node)
    return finding.observed if finding and finding.observed == roles.profile_without_role(scene.survey, node) else None
