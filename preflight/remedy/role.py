"""The role itself: what it may do, and which of several is meant."""

from __future__ import annotations

import shlex

from ..facts import Imds, NodeFacts, Survey
from ..judgement import Command, Remedy
from ..rules import members, role, signing
from ..s3 import BUCKET_ACTIONS, OBJECT_ACTIONS
from .asking import AFTERWARDS, CONTROLLER

FORBIDS = (
    ("no identity-based policy allows", "the role's own policies lack the action"),
    ("explicit deny in an identity-based policy", "a policy of the role's own denies it"),
    ("in a resource-based policy", "the bucket's policy denies it"),
    ("in a service control policy", "a service control policy of the organization denies it"),
    ("service control policy allows", "no service control policy of the organization allows it"),
    ("in a VPC endpoint policy", "the policy of the VPC's S3 endpoint denies it"),
    ("VPC endpoint policy allows", "the policy of the VPC's S3 endpoint does not allow it"),
    ("permissions boundary", "the role's permissions boundary does not allow it"),
)
"""Part of the reason that AWS may add to its AccessDenied, and its meaning (IAM user guide, access denied errors)."""


def allow_role(survey: Survey, node: NodeFacts) -> Remedy:
    """Show which policy keeps the role from the bucket, and name the actions that a repository needs.

    No policy is written by a printed command: which one forbids it, only AWS's own words prove.
    """
    refused = signing.refusals(survey, node)
    said = " ".join(refusal.answer.message or "" for refusal in refused)
    why = next((words for part, words in FORBIDS if part in said), None)
    name = node.imds.role if isinstance(node.imds, Imds) else None
    commands = []
    if name:
        for verb in ("list-role-policies", "list-attached-role-policies"):
            commands.append(Command(where=CONTROLLER, text=f"aws iam {verb} --role-name {shlex.quote(name)}"))
    buckets = sorted({refusal.repository.bucket or "" for refusal in refused})
    commands += [
        Command(where=CONTROLLER, text=f"aws s3api get-bucket-policy --bucket {shlex.quote(bucket)} --output text")
        for bucket in buckets
    ]
    place = f"arn:{_partition(node)}:s3:::"
    on_bucket, on_objects = members.listed(list(BUCKET_ACTIONS)), members.listed(list(OBJECT_ACTIONS))
    advice = [
        f"{role.named(node)} needs on {members.listed([f'{place}{bucket}' for bucket in buckets])}: {on_bucket}",
        f"and on {members.listed([f'{place}{bucket}/*' for bucket in buckets])}: {on_objects}",
        *_others_say(survey, node, refused),
        "static keys in this node's keystore stay until S3 accepts the role",
        AFTERWARDS,
    ]
    first = (
        f"AWS says why: {why}; these show where" if why else "which policy forbids it is not proven; these show them"
    )
    return Remedy(
        caution=f"do not remove any key of this node: {first}", commands=tuple(commands), advice=tuple(advice)
    )


def _partition(node: NodeFacts) -> str:
    """First part of an ARN in the node's region."""
    region = (node.imds.region if isinstance(node.imds, Imds) else None) or ""
    return {"cn": "aws-cn", "us-gov": "aws-us-gov"}.get(region.rpartition("-")[0].rpartition("-")[0], "aws")


def _others_say(survey: Survey, node: NodeFacts, refused: tuple[signing.Refusal, ...]) -> list[str]:
    """What the other nodes that reach the bucket say of the policy to look for: one line a role."""
    reached = sorted({o for refusal in refused for o in signing.reaching(survey, node, refusal.repository.name)})
    others: dict[str, list[str]] = {}
    for name in reached:
        others.setdefault(role.named(survey.node(name)), []).append(name)
    return [
        f"{theirs} of {members.listed(names)} reaches the bucket: "
        + (
            "this node's place decides (aws:SourceVpce, aws:SourceIp in the bucket's policy; the S3 endpoint's policy)"
            if theirs == role.named(node)
            else "is that the role this node should have?"
        )
        for theirs, names in others.items()
    ]


def one_role(survey: Survey, node: NodeFacts) -> Remedy:
    """Two roles may both be right: say how to compare them."""
    mine = {node.imds.role} if isinstance(node.imds, Imds) and node.imds.role else set()
    roles = mine | {n.imds.role for n in members.companions(survey, node) if isinstance(n.imds, Imds) and n.imds.role}
    return Remedy(
        caution="which of the roles is meant is not known; these show what each may do",
        commands=tuple(
            Command(where=CONTROLLER, text=f"aws iam list-attached-role-policies --role-name {shlex.quote(name)}")
            for name in sorted(roles)
        ),
    )
