"""ROLE: the role that signs where no key of the node's own does, from where Elasticsearch itself would get it."""

from __future__ import annotations

import time

import msgspec

from ..facts import BucketPath, CouldNotCheck, NodeFacts, Repository, SignedList, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import keystore, members, path, role, sources
from . import repository as repository_rules

REACHES = "S3 accepts a list of every repository's bucket signed with this node's role"

WRONG_PLACE = (
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
    "PermanentRedirect",
    "NoSuchBucket",
)
"""S3's codes for a request that a right role could have sent as well: another region's bucket, or none."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """S3's refusal of a request signed with the node's role. what: "list", or put, get or delete of a marker object

    doubted: `_verify` of the repository passes on this node, so that the role is not all that decides
    """

    repository: Repository
    answer: SignedList
    doubted: bool
    what: str = "list"


NAMED = "IMDS answers Elasticsearch, names a role and hands out current credentials"

LASTS = 6 * 3600
"""Seconds that credentials of an instance role are good for at most (EC2 user guide, IAM roles for Amazon EC2)."""


def instance_role(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where this node's Elasticsearch gets current credentials of a role; nothing is held against static keys."""
    found = role.trouble(survey, node)
    if found is None:
        return None
    try:
        repositories = role.repositories(survey, node)
    except CouldNotCheck:
        repositories = ()
    keys = [own_keys(survey, node, repository) for repository in repositories]
    if keys and all(keys):
        raise NotApplicable(f"{keys[0]}; besides, {found.observed}")
    held: tuple[str, ...] = ()
    if not found.warning and not any(keys) and role.verified(survey, node):
        held = (f"_verify still passes: Elasticsearch holds credentials from before, until {_latest(survey)} at most",)
    return Finding(observed=found.observed, expected=NAMED, details=held, warning=found.warning)


def _latest(survey: Survey) -> str:
    return time.strftime("%H:%M UTC", time.gmtime(survey.started + LASTS))


def refusals(survey: Survey, node: NodeFacts) -> tuple[Refusal, ...]:
    """What S3 refuses the node's role, one entry a repository. Raises CouldNotCheck, NotApplicable."""
    role.needed(survey, node)
    if role.expired(survey, node):
        return ()
    paths = {b.repository: b for b in known(node.buckets)}
    found = []
    for repository in role.repositories(survey, node):
        what, answer = _refused(paths.get(repository.name))
        if answer is None or answer.status in (0, 200) or answer.code in WRONG_PLACE:
            continue
        if own_keys(survey, node, repository) is None:
            doubted = repository_rules.good(survey, node, repository.name) is True
            found.append(Refusal(repository=repository, answer=answer, doubted=doubted, what=what))
    return tuple(found)


def reaches(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where S3 accepts the node's role for the bucket of every repository that it signs for."""
    refused = refusals(survey, node)
    if refused:
        first, *more = (_words(node, refusal) for refusal in refused)
        return Finding(
            observed=first, expected=REACHES, details=tuple(more), warning=all(refusal.doubted for refusal in refused)
        )
    paths = {b.repository: b for b in known(node.buckets)}
    trouble = _trouble(survey, node)
    for repository in role.repositories(survey, node):
        answer, tried = _answer(paths, repository), paths.get(repository.name)
        if trouble is not None and (not isinstance(answer, SignedList) or answer.status != 200):
            raise NotApplicable("there is no role to sign with (ROLE-1)")
        if tried is not None and path.problem(tried):
            raise NotApplicable(f"the bucket of {repository.name} is not reached (PATH-1)")
        if isinstance(answer, SignedList):
            step = role.failing_step(tried) if tried else None
            if step is not None and step[1].status in (0, 200):
                words = f"the role's {step[0]} of a marker object: {role.answered(step[1])}"
                raise CouldNotCheck(f"{repository.name}: {words}")
            if answer.status != 200 or step is not None:
                keys = own_keys(survey, node, repository)
                raise NotApplicable(keys or f"S3 asks for {repository.name} elsewhere: {role.answered(answer)}")
        elif not repository_rules.good(survey, node, repository.name) or own_keys(survey, node, repository):
            # Where `_verify` passes and no static key signs, Elasticsearch has proven it itself.
            if answer is not None:
                known(answer)
            raise CouldNotCheck("the bucket was not tried with the role")
    return None


def _trouble(survey: Survey, node: NodeFacts) -> str | None:
    """The kind of what keeps credentials from Elasticsearch (ROLE-1); None where nothing is known to."""
    try:
        found = role.trouble(survey, node)
    except (CouldNotCheck, NotApplicable):
        return None
    return None if found is None or found.warning else found.kind


def own_keys(survey: Survey, node: NodeFacts, repository: Repository) -> str | None:
    """Which static keys sign for the repository on this node today; None where none does or S3 refuses them.

    Keys that the process has from a file older than itself sign, unless `_verify` shows otherwise.
    """
    try:
        held = [k for k in keystore.client_keys(survey, node) if k.client == repository.client]
        used = sources.in_use(survey, node) if not held else ()
    except CouldNotCheck:
        return None
    if any(k.use == "accepted" or (k.use == "unknown" and _loaded(node)) for k in held):
        return f"static keys in the keystore sign for {repository.name} (KEY-1)"
    if used and sources.refusal(survey, node) is None:
        return f"static keys in {sources.WHERE[used[0].source or '']} sign for {repository.name} (SRC-1)"
    return None


def beside(survey: Survey, node: NodeFacts, refused: tuple[Refusal, ...]) -> tuple[str, ...]:
    """How the other nodes' roles fare with the refused buckets: what tells a role's policy from this node's place."""
    found = []
    for refusal in refused:
        name = refusal.repository.name
        reached = reaching(survey, node, name)
        found += [f"{other} reaches the bucket of {name} with {role.named(survey.node(other))}" for other in reached]
    return tuple(found)


PLACES = ("in a resource-based policy", "VPC endpoint policy")
"""In AWS's own reason: a policy that the role does not carry with it, of the bucket or of the way to it."""


def by_place(survey: Survey, node: NodeFacts, refused: tuple[Refusal, ...]) -> bool:
    """True where the place decides and not the role: AWS says so, or the same role is accepted elsewhere."""
    return all(
        any(words in (refusal.answer.message or "") for words in PLACES)
        or any(
            role.named(survey.node(other)) == role.named(node)
            for other in reaching(survey, node, refusal.repository.name)
        )
        for refusal in refused
    )


def reaching(survey: Survey, node: NodeFacts, repository: str) -> tuple[str, ...]:
    """The other given nodes whose role S3 accepts for the repository. Raises CouldNotCheck."""
    return tuple(
        other.name
        for other in members.companions(survey, node)
        for bucket in (() if isinstance(other.buckets, Unknown) else other.buckets)
        if bucket.repository == repository
        and isinstance(bucket.signed_list, SignedList)
        and bucket.signed_list.status == 200
    )


def _loaded(node: NodeFacts) -> bool:
    return keystore.changed_since_start(node) is False


def _words(node: NodeFacts, refusal: Refusal) -> str:
    name = role.named(node)
    what = "" if refusal.what == "list" else f" the {refusal.what} of a marker object"
    text = f"{refusal.repository.name}: S3 refuses {name}{what}: {role.answered(refusal.answer)}"
    return f"{text}; _verify passes on this node" if refusal.doubted else text


def _refused(tried: BucketPath | None) -> tuple[str, SignedList | None]:
    """The list where it was refused, else the step of the marker that was."""
    if tried is None or not isinstance(tried.signed_list, SignedList):
        return "list", None
    step = role.failing_step(tried) if tried.signed_list.status == 200 else None
    return step or ("list", tried.signed_list)


def _answer(paths: dict[str, BucketPath], repository: Repository) -> SignedList | Unknown | None:
    return paths[repository.name].signed_list if repository.name in paths else None
