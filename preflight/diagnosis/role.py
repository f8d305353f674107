"""The causes that lie in a node's role and in what hands it out: rows of the table in causes.py."""

from __future__ import annotations

import msgspec

from .. import remedy
from ..facts import NodeFacts
from ..rules import members, role, signing
from . import policies
from .found import Found
from .scene import Scene


class Source(msgspec.Struct, frozen=True):
    """One cause of what ROLE-1 says. kinds: role.Trouble.kind it stands for; title: of the cause

    certain: the facts leave no other reading; sentences: kinds of `_verify`'s sentences that follow from it
    """

    kinds: tuple[str, ...]
    title: str
    certain: bool = True
    sentences: tuple[str, ...] = ("no credentials",)

    def ask(self, scene: Scene, node: NodeFacts) -> Found | None:
        """The row of the table."""
        trouble = role.trouble(scene.survey, node)
        if trouble is None or trouble.kind not in self.kinds:
            return None
        if trouble.kind == "no role" and policies.has_empty_profile(scene, node):
            return None
        option = policies.option(scene, node) if trouble.kind in BY_OPTION else None
        finding = signing.instance_role(scene.survey, node)
        details = finding.details if finding else ()
        return Found(
            title="{nodes}: " + self.title,
            evidence=(
                *(f"{node.name}: {line}" for line in (trouble.observed, *details)),
                *((f"AWS: {option.observed}",) if option else ()),
                *(line for kind in self.sentences for line in scene.sentences(node, kind)),
            ),
            confidence="certain" if self.certain or option else "likely",
            explains=(
                *((id, node.name) for id in ("ROLE-1", "ROLE-2", "ROLE-3")),
                *((("AWS-5", node.name),) if trouble.kind == "no role" else ()),
                *((("AWS-6", node.name),) if option else ()),
                *(() if trouble.warning else scene.repository_pairs(node, *self.sentences)),
            ),
            remedy=remedy.let_ask(scene.survey, node) if option else remedy.give_role(scene.survey, node),
        )


BY_OPTION = ("out of reach", "switched off", "protocol", "namespace")
"""Kinds of trouble that an instance's metadata options may be the reason for."""

CONTAINER = Source(("container",), "the endpoint that the process asks for container credentials gives none")
USER_REFUSED = Source(("user refused",), "the metadata service answers others here, and not the user of Elasticsearch")
OUT_OF_REACH = Source(("out of reach", "switched off"), "no metadata service to ask for a role", certain=False)
PROTOCOL = Source(("protocol",), "the metadata service does not speak as this version of Elasticsearch does")
NAMESPACE = Source(("namespace",), "the metadata service answers the host, and not the container on it", certain=False)
SLOW = Source(("slow",), "the metadata service answers later than Elasticsearch waits")
NO_ROLE = Source(("no role",), "no instance role to sign with")
EXPIRED = Source(
    ("expired",),
    "the metadata service hands out credentials that have expired",
    # SDK v2 sends them and S3 refuses; SDK v1 sends nothing.
    sentences=("key refused", "denied", "no credentials"),
)


def other_role(scene: Scene, node: NodeFacts) -> Found | None:
    """A role that its peers do not have; where S3 denies it too, that is the cause."""
    finding = role.same_role(scene.survey, node)
    if finding is None or signing.refusals(scene.survey, node):
        return None
    proven = role.unproven(node, role.repositories(scene.survey, node)) is None
    return Found(
        title="{nodes}: another role than the other nodes of its kind have",
        evidence=(
            f"{node.name}: {finding.observed}",
            *((f"{node.name}: S3 accepts it for every repository's bucket",) if proven else ()),
        ),
        confidence="certain",
        explains=(("ROLE-2", node.name),),
        remedy=remedy.one_role(scene.survey, node),
    )


def denied(scene: Scene, node: NodeFacts) -> Found | None:
    """S3 knows the role and refuses it the bucket; `_verify` fails for the same reason, or keys in use hide it."""
    refused = signing.refusals(scene.survey, node)
    if not refused or signing.by_place(scene.survey, node, refused) or policies.lets_in_nothing(scene, node):
        return None
    return _denied(scene, node, refused, "{nodes}: S3 denies %s the bucket of %s")


def denied_here(scene: Scene, node: NodeFacts) -> Found | None:
    """A policy of the bucket or of the way to it refuses this node what the role may do."""
    refused = signing.refusals(scene.survey, node)
    if not refused or not signing.by_place(scene.survey, node, refused) or policies.lets_in_nothing(scene, node):
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
            *policies.lacking(scene, node),
        ),
        confidence="possible" if all(refusal.doubted for refusal in refused) else "certain",
        explains=(
            ("ROLE-2", node.name),
            ("ROLE-3", node.name),
            ("AWS-5", node.name),
            *scene.repository_pairs(node, "denied"),
        ),
        remedy=remedy.allow_role(scene.survey, node),
    )
