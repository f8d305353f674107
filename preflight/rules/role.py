"""ROLE: the instance role this node gets from the EC2 metadata service, and whether S3 accepts it."""

from __future__ import annotations

from .. import s3
from ..facts import (
    BucketPath,
    CouldNotCheck,
    Imds,
    Member,
    NodeFacts,
    Process,
    Repository,
    SignedList,
    Survey,
    Unknown,
    known,
)
from ..judgement import Finding, NotApplicable
from . import members

NAMED = "IMDSv2 names an instance role and hands out current credentials"


def needed(survey: Survey, node: NodeFacts) -> None:
    """Raises NotApplicable where the facts show that nothing on this node signs with a role.

    Where Elasticsearch could not be asked, the role counts as needed.
    """
    try:
        repositories(survey, node)
    except CouldNotCheck:
        return


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


def instance_role(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the node is an EC2 instance whose IMDSv2 names a role with current credentials."""
    needed(survey, node)
    imds = known(node.imds)
    observed = _token(node, imds) or _role(imds)
    if observed is None:
        observed = _credentials(node, imds)
    return Finding(observed=observed, expected=NAMED) if observed else None


def _token(node: NodeFacts, imds: Imds) -> str | None:
    if imds.outcome != "answered":
        how = {"refused": "connection refused", "timeout": "timeout", "no-route": "no route"}[imds.outcome]
        text = f"not an EC2 instance, or its metadata service is out of reach: {how} after {imds.milliseconds:.0f} ms"
        if imds.outcome == "timeout" and isinstance(node.process, Process) and node.process.own_network_namespace:
            text += "; Elasticsearch has a network namespace of its own, which a hop limit of 1 keeps from IMDSv2"
        return text
    if imds.token_status == 403:
        return "the metadata service is switched off for this instance (HTTP 403)"
    if imds.token_status != 200:
        return f"the metadata service refuses a session token (HTTP {imds.token_status}): IMDSv2 is not available"
    if imds.instance_id is None:
        return "what answers at the metadata address names no instance id: not an EC2 instance"
    return None


def _role(imds: Imds) -> str | None:
    if imds.role_status == 404:
        return f"no instance profile is attached to {imds.instance_id}: IMDS names no role (HTTP 404)"
    if imds.role_status != 200 or imds.role is None:
        return f"IMDS names no role (HTTP {imds.role_status})"
    return None


def _credentials(node: NodeFacts, imds: Imds) -> str | None:
    found = imds.credentials
    if found is None:
        raise CouldNotCheck(f"IMDS names role {imds.role}, but its credentials could not be read")
    if found.code != "Success":
        return f"IMDS has no credentials for role {imds.role}: {found.code}"
    if found.expires is None:
        raise CouldNotCheck(f"IMDS gave credentials for role {imds.role} without an expiry")
    late = known(node.system).clock - found.expires
    if late >= 0:
        return f"the credentials of role {imds.role} expired {late / 60:.0f} minutes ago by this node's clock"
    return None


def same_role(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the nodes of this node's kind all name the same role; a role per node type is healthy."""
    needed(survey, node)
    own = known(node.imds).role
    if own is None:
        raise NotApplicable("IMDS names no role on this node (ROLE-1)")
    kind = _kind(survey.member_of(node))
    roles = {node.name: own}
    for other in members.companions(survey, node):
        if isinstance(other.imds, Imds) and other.imds.role and _kind(survey.member_of(other)) == kind:
            roles[other.name] = other.imds.role
    usual = members.majority(roles)
    different = {name: role for name, role in roles.items() if role != own}
    if not different or (usual is not None and roles[usual] == own):
        return None
    return Finding(
        observed=f"role {own}; " + members.listed([f"{name} has {role}" for name, role in sorted(different.items())]),
        expected="one role for all nodes with the same node roles",
        warning=True,
    )


def _kind(member: Member | None) -> frozenset[str] | None:
    return frozenset(member.roles) if member else None


def unproven(node: NodeFacts, repositories: tuple[Repository, ...] | None) -> str | None:
    """Why it is not proven that this node's role can reach the repositories' buckets; None where it is proven.

    Proven: S3 accepted a list signed with the role's own credentials, sent from this node, for each of them; and every
    step of a marker object where one was tried.
    """
    if repositories is None:
        return "which repositories use the client is unknown"
    for repository in repositories:
        if isinstance(node.buckets, Unknown):
            return node.buckets.reason
        path = next((b for b in node.buckets if b.repository == repository.name), None)
        if path is None:
            return f"the bucket of {repository.name} was not tried"
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
    """ "role es-node" as the node's metadata service names it, else "this node's role"."""
    name = node.imds.role if isinstance(node.imds, Imds) else None
    return f"role {name}" if name else "this node's role"
