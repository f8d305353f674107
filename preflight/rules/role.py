"""ROLE: what hands this node's Elasticsearch the credentials of a role, and whether S3 accepts them."""

from __future__ import annotations

from typing import Literal

import msgspec

from .. import fallback, s3, versions
from ..facts import (
    BucketPath,
    CouldNotCheck,
    Identity,
    Imds,
    Member,
    NodeFacts,
    Process,
    Repository,
    RoleCredentials,
    SignedList,
    Survey,
    System,
    Unknown,
    known,
)
from ..judgement import Finding, NotApplicable
from . import members, refusals, repository

_UNHEARD = "IMDS answers this host, and not the network namespace that Elasticsearch has of its own"
OTHER_NAMESPACE = "Elasticsearch has a network namespace of its own, and IMDS may answer it otherwise than this host"


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """What keeps credentials from Elasticsearch. observed: in words; warning: it gets them all the same, or may.

    kind: container: of the endpoint that its environment names, which is asked before IMDS or instead
    user refused: IMDS answers others on the host; protocol: not with the token that the version sends, or lacks
    namespace: IMDS answers the host and not the container; no role: also a role without credentials
    """

    kind: Literal[
        "container",
        "user refused",
        "out of reach",
        "switched off",
        "protocol",
        "slow",
        "no role",
        "expired",
        "namespace",
    ]
    observed: str
    warning: bool = False


def needed(survey: Survey, node: NodeFacts) -> None:
    """Raises NotApplicable where the facts show that nothing on this node signs with a role from IMDS or a container.

    Where Elasticsearch could not be asked, the role counts as needed.
    """
    try:
        repositories(survey, node)
    except CouldNotCheck:
        return
    if "web identity" in fallback.sources(node, fallback.line(node, survey.member_of(node))):
        raise NotApplicable("web identity (IRSA) signs: Elasticsearch asks STS for credentials, not IMDS")


def repositories(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The S3 repositories that this node signs for with its role where the keystore holds no key: those on AWS.

    Clients that the inventory declares as meant to sign with static keys are left out. Raises CouldNotCheck;
    NotApplicable where there is none, and on a node that never touches a snapshot.
    """
    member = survey.member_of(node)
    every = members.repositories(survey, node)
    members.require_user(member)
    on_aws = tuple(r for r in every if s3.endpoint(node, member, r).aws)
    if not on_aws:
        raise NotApplicable("no S3 repository of this cluster goes to AWS")
    found = tuple(r for r in on_aws if not members.intended(node, r.client))
    if not found:
        raise NotApplicable("every S3 client that goes to AWS is declared to sign with static keys")
    return found


def trouble(survey: Survey, node: NodeFacts) -> Trouble | None:
    """What keeps current credentials from this node's Elasticsearch; None where it gets them.

    Raises CouldNotCheck; NotApplicable where no role is asked for, or where a container's endpoint hands them out.
    """
    needed(survey, node)
    row = fallback.line(node, survey.member_of(node))
    asked = fallback.sources(node, row)
    if "container" not in asked:
        return _instance(survey, node, row)
    found = _container(node)
    if found is None:
        raise NotApplicable("the endpoint of AWS_CONTAINER_CREDENTIALS_* hands out the credentials, not the instance")
    if "instance" not in asked:
        return Trouble(kind="container", observed=f"{found}; this version asks nothing else")
    behind = _instance(survey, node, row)
    if behind is None:
        return Trouble(kind="container", observed=f"{found}; Elasticsearch goes on to the instance role", warning=True)
    return Trouble(kind="container", observed=f"{found}; and then: {behind.observed}", warning=behind.warning)


def _container(node: NodeFacts) -> str | None:
    found = known(node.container)
    if found is None:
        raise CouldNotCheck("the endpoint that the process's environment names for credentials was not asked")
    where = f"{found.variable} names {found.host}, which"
    if found.outcome != "answered":
        return f"{where} cannot be asked ({found.outcome} after {found.milliseconds:.0f} ms)"
    if found.credentials is None or found.credentials.code != "Success":
        return f"{where} gives no credentials (HTTP {found.status})"
    late = _late(node, found.credentials)
    return f"{where} gives credentials that expired {late / 60:.0f} minutes ago" if late and late >= 0 else None


def _late(node: NodeFacts, credentials: RoleCredentials) -> float | None:
    """Seconds since the credentials expired by the node's own clock, negative before; None without an expiry."""
    return None if credentials.expires is None else known(node.system).clock - credentials.expires


def _instance(survey: Survey, node: NodeFacts, row: versions.Line | None) -> Trouble | None:
    imds = known(node.imds)
    return (
        _unanswered(node, imds, row)
        or _slow(survey, node, imds)
        or _no_role(imds)
        or _no_credentials(node, imds)
        or _other_namespace(survey, node)
    )


def _unanswered(node: NodeFacts, imds: Imds, row: versions.Line | None) -> Trouble | None:
    if fallback.reached(imds, row):
        return None
    if imds.outcome != "answered":
        how = {"refused": "connection refused", "timeout": "timeout", "no-route": "no route"}[imds.outcome]
        how = f"{how} after {imds.milliseconds:.0f} ms"
        if imds.own_outcome == "answered" and imds.in_namespace:
            hops = ": a hop limit of 1 keeps the answers from a container" if imds.outcome == "timeout" else ""
            return Trouble(kind="namespace", observed=f"{_UNHEARD}: {how}{hops}")
        if imds.own_outcome == "answered":
            own = node.system.user if isinstance(node.system, System) else "the probe's own user"
            return Trouble(
                kind="user refused",
                observed=f"the metadata service is out of reach of user {imds.asked_as}: {how}; {own} is answered",
            )
        text = f"not an EC2 instance, or its metadata service is out of reach: {how}"
        if imds.outcome == "timeout" and isinstance(node.process, Process) and node.process.own_network_namespace:
            text += "; Elasticsearch has a network namespace of its own, which a hop limit of 1 keeps from IMDSv2"
        return Trouble(kind="out of reach", observed=text)
    if imds.token_status == 403:
        return Trouble(
            kind="switched off", observed="the metadata service is switched off for this instance (HTTP 403)"
        )
    if row is not None and row.imds == "IMDSv1":
        if imds.tokenless_status is None:
            raise CouldNotCheck("whether IMDS answers without a session token, as this version asks, was not seen")
        return Trouble(
            kind="protocol",
            observed="this version of Elasticsearch asks IMDS without a session token (IMDSv1), and the instance "
            f"demands one (HTTP {imds.tokenless_status})",
        )
    return Trouble(
        kind="protocol",
        observed=f"the metadata service refuses a session token (HTTP {imds.token_status}): IMDSv2 is not available",
    )


def _slow(survey: Survey, node: NodeFacts, imds: Imds) -> Trouble | None:
    if imds.slowest is None or imds.slowest <= versions.IMDS_PATIENCE:
        return None
    limit = fallback.patience(node)
    waits = "AWS_METADATA_SERVICE_TIMEOUT says" if limit is None else f"{limit:.0f} ms"
    return Trouble(
        kind="slow",
        observed=f"the metadata service takes {imds.slowest:.0f} ms for one answer; Elasticsearch waits {waits}",
        warning=limit is None or verified(survey, node),
    )


def _no_role(imds: Imds) -> Trouble | None:
    quick = imds.slowest is None or imds.slowest <= versions.IMDS_PATIENCE
    if imds.instance_id is None and quick:
        return Trouble(
            kind="no role", observed="what answers at the metadata address names no instance id: not an EC2 instance"
        )
    if imds.role_status == 404:
        return Trouble(
            kind="no role",
            observed=f"no instance profile is attached to {imds.instance_id}: IMDS names no role (HTTP 404)",
        )
    if imds.role_status != 200 or imds.role is None:
        return Trouble(kind="no role", observed=f"IMDS names no role (HTTP {imds.role_status})")
    return None


def _no_credentials(node: NodeFacts, imds: Imds) -> Trouble | None:
    found = imds.credentials
    if found is None:
        raise CouldNotCheck(f"IMDS names role {imds.role}, but its credentials could not be read")
    if found.code != "Success":
        return Trouble(kind="no role", observed=f"IMDS has no credentials for role {imds.role}: {found.code}")
    late = _late(node, found)
    if late is None:
        raise CouldNotCheck(f"IMDS gave credentials for role {imds.role} without an expiry")
    if late < 0:
        return None
    return Trouble(
        kind="expired",
        observed=f"the credentials of role {imds.role} expired {late / 60:.0f} minutes ago by this node's clock",
    )


def _other_namespace(survey: Survey, node: NodeFacts) -> Trouble | None:
    """A host that IMDS answers says nothing about a container on it: there only Elasticsearch itself proves it."""
    if not isinstance(node.process, Process) or not node.process.own_network_namespace or verified(survey, node):
        return None
    if isinstance(node.imds, Imds) and node.imds.in_namespace:
        return None
    if any(meant is not None and meant.kind == "no credentials" for meant in _meanings(survey, node)):
        return Trouble(
            kind="namespace",
            observed="IMDS answers this host, and Elasticsearch, which has a network namespace of its own, gets no "
            "credentials from it: a hop limit of 1 keeps the answers from a container",
        )
    raise CouldNotCheck(OTHER_NAMESPACE, "log in to the container itself, or see _verify pass from it")


def _meanings(survey: Survey, node: NodeFacts) -> list[refusals.Meaning | None]:
    found = []
    for candidate in repositories(survey, node):
        try:
            failure = repository.failure_of(survey, node, candidate.name)
        except CouldNotCheck:
            continue
        found += [refusals.of(failure)] if failure else []
    return found


def expired(survey: Survey, node: NodeFacts) -> bool:
    """The credentials that Elasticsearch is handed are no longer current: what S3 refuses is the role's own key."""
    try:
        found = trouble(survey, node)
    except (CouldNotCheck, NotApplicable):
        return False
    return found is not None and found.kind == "expired"


def verified(survey: Survey, node: NodeFacts) -> bool:
    """`_verify` of every repository that goes to AWS passes on this node, whatever signed it."""
    try:
        return all(repository.good(survey, node, r.name) is True for r in repositories(survey, node))
    except (CouldNotCheck, NotApplicable):
        return False


def same_role(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the nodes of this node's kind all have the same role; a role per node type is healthy.

    By ARN where STS told every one of them, else by the name that IMDS gives.
    """
    needed(survey, node)
    own = _role_name(node)
    if own is None:
        known(node.imds)
        raise NotApplicable("there is no role on this node (ROLE-1)")
    kind = _kind(survey.member_of(node))
    beside = [node, *(n for n in members.companions(survey, node) if _kind(survey.member_of(n)) == kind)]
    compared = [n for n in beside if _role_name(n)]
    by_arn = all(isinstance(n.identity, Identity) for n in compared)
    roles = {n.name: _arn(n) if by_arn else _role_name(n) for n in compared}
    usual = members.majority(roles)
    different = {name: other for name, other in roles.items() if other != roles[node.name]}
    if not different or (usual is not None and roles[usual] == roles[node.name]):
        return None
    return Finding(
        observed=f"role {roles[node.name]}; "
        + members.listed([f"{name} has {other}" for name, other in sorted(different.items())]),
        expected="one role for all nodes with the same node roles",
        warning=True,
    )


def _role_name(node: NodeFacts) -> str | None:
    if isinstance(node.identity, Identity):
        return node.identity.role_arn.rpartition("/")[2]
    return node.imds.role if isinstance(node.imds, Imds) else None


def _arn(node: NodeFacts) -> str | None:
    return node.identity.role_arn if isinstance(node.identity, Identity) else None


def _kind(member: Member | None) -> frozenset[str] | None:
    return frozenset(member.roles) if member else None


def unproven(node: NodeFacts, repositories: tuple[Repository, ...] | None) -> str | None:
    """Why it is not proven that this node's role can reach the repositories' buckets; None where it is proven.

    Proven: S3 accepted a list signed with the role's own credentials, sent from this node, for each of them; and every
    step of a marker object where one was tried.
    """
    if repositories is None:
        return "which repositories use the client is unknown"
    for wanted in repositories:
        if isinstance(node.buckets, Unknown):
            return node.buckets.reason
        path = next((b for b in node.buckets if b.repository == wanted.name), None)
        if path is None:
            return f"the bucket of {wanted.name} was not tried"
        answer = path.signed_list
        if not isinstance(answer, SignedList):
            return answer.reason
        if answer.status != 200:
            return f"S3 answers a list signed with the role with {answered(answer)}"
        failing = failing_step(path)
        if failing is not None:
            return f"S3 answers the role's {failing[0]} of a marker object with {answered(failing[1])}"
    return None


def failing_step(path: BucketPath) -> tuple[str, SignedList] | None:
    """The first step of the marker that S3 did not do, as (put | get | delete, its answer); None where none failed."""
    if path.marker is None:
        return None
    steps = (("put", path.marker.put), ("get", path.marker.get), ("delete", path.marker.delete))
    return next(((what, said) for what, said in steps if said and (said.status not in (200, 204) or said.code)), None)


def answered(answer: SignedList) -> str:
    """S3's answer in its own words: "HTTP 403 AccessDenied: Access Denied"."""
    words = ": ".join(text for text in (answer.code, answer.message) if text)
    return f"HTTP {answer.status} {words}".rstrip()


def named(node: NodeFacts) -> str:
    """ "role es-node" as STS or the node's metadata service names it, else "this node's role"."""
    name = _role_name(node)
    return f"role {name}" if name else "this node's role"
