"""Policies as AWS keeps them, and what IAM's simulation makes of a role's, read by the operator (--aws)."""

from __future__ import annotations

from typing import Literal

from .base import Fact, Unknown


class Condition(Fact, frozen=True, kw_only=True):
    """One condition of a statement. operator: as written ("StringNotEqualsIfExists"); key: in lower case."""

    operator: str
    key: str
    values: tuple[str, ...]


class Statement(Fact, frozen=True, kw_only=True):
    """One statement of a policy; a part that it lacks is None.

    principals, not_principals: "*", ARNs and account ids; "service:NAME" for what is no account's
    """

    effect: Literal["Allow", "Deny"]
    sid: str = ""
    principals: tuple[str, ...] | None = None
    not_principals: tuple[str, ...] | None = None
    actions: tuple[str, ...] | None = None
    not_actions: tuple[str, ...] | None = None
    resources: tuple[str, ...] | None = None
    not_resources: tuple[str, ...] | None = None
    conditions: tuple[Condition, ...] = ()


Policy = tuple[Statement, ...]
"""A policy's statements; none where there is no policy."""


class BucketPolicy(Fact, frozen=True, kw_only=True):
    """The policy of one bucket. source: GetBucketPolicy."""

    bucket: str
    policy: Policy | Unknown


class Profile(Fact, frozen=True, kw_only=True):
    """One instance profile. arn: its own; roles: ARNs, at most one, none in a profile without a role.

    source: GetInstanceProfile
    """

    arn: str
    roles: tuple[str, ...] | Unknown


class Decision(Fact, frozen=True, kw_only=True):
    """What IAM's simulation says of one action. missing: condition keys that decide and were not given.

    organization, boundary: whether the organization's policies and the role's permissions boundary allow it, None
    where there are none
    """

    action: str
    decision: Literal["allowed", "explicitDeny", "implicitDeny"]
    missing: tuple[str, ...] = ()
    organization: bool | None = None
    boundary: bool | None = None


class Simulation(Fact, frozen=True, kw_only=True):
    """A role's policies tried on one bucket. role: ARN; bucket, base_path: as the repository has them

    source: SimulatePrincipalPolicy, which knows no policy of a bucket or of an endpoint
    """

    role: str
    bucket: str
    base_path: str
    decisions: tuple[Decision, ...] | Unknown


class MetadataOptions(Fact, frozen=True, kw_only=True):
    """An instance's metadata options. endpoint: enabled | disabled; tokens: required | optional (IMDSv1 answers too)

    hop_limit: of the answer to the token request; state: applied | pending. source: DescribeInstances
    """

    endpoint: str
    tokens: str
    hop_limit: int | None
    state: str = "applied"


class Vpc(Fact, frozen=True, kw_only=True):
    """One VPC's DNS attributes. source: DescribeVpcAttribute."""

    id: str
    dns_support: bool
    dns_hostnames: bool


class Policies(Fact, frozen=True, kw_only=True):
    """What was read of policies, each part Unknown by itself, for the nodes' profiles and the repositories' buckets."""

    buckets: tuple[BucketPolicy, ...] = ()
    profiles: tuple[Profile, ...] = ()
    simulations: tuple[Simulation, ...] = ()
