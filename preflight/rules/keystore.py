"""KEY: static AWS keys in the keystore. Names only; no rule here ever sees a value."""

from __future__ import annotations

import re

import msgspec

from .. import s3
from ..facts import Config, CouldNotCheck, Keystore, NodeFacts, Process, Repository, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, refusals, repository, role

STATIC = re.compile(r"s3\.client\.([^.]+)\.(?:access_key|secret_key|session_token)")
"""Secure settings of repository-s3 that hold a key, for any client name (S3ClientSettings, since 6.0)."""

DISCOVERY = re.compile(r"discovery\.ec2\.(?:access_key|secret_key|session_token)")


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The static keys of one S3 client whose requests go to AWS, on one node.

    settings: their names; repositories: S3 repositories on AWS that this node signs for with them, None where unknown
    elsewhere: repositories of the client that do not go to AWS and need the same keys
    refusal: S3's sentence where `_verify` shows that S3 refuses this node's key; refused_for: that repository
    used: True where `_verify` worked on this node with them loaded
    pending: the file is younger than the process, so that the process may not have loaded them yet
    """

    client: str
    settings: tuple[str, ...]
    repositories: tuple[Repository, ...] | None
    elsewhere: tuple[str, ...]
    refusal: str | None
    refused_for: str | None
    used: bool
    pending: bool | None


def client_keys(survey: Survey, node: NodeFacts) -> tuple[ClientKeys, ...]:
    """One entry a client that has static keys and goes to AWS, by client name. Raises CouldNotCheck."""
    by_client: dict[str, list[str]] = {}
    for name in known(node.keystore).settings:
        match = STATIC.fullmatch(name)
        if match:
            by_client.setdefault(match[1], []).append(name)
    found = (_judge_client(survey, node, client, tuple(names)) for client, names in sorted(by_client.items()))
    return tuple(keys for keys in found if keys is not None)


def _judge_client(survey: Survey, node: NodeFacts, client: str, settings: tuple[str, ...]) -> ClientKeys | None:
    member = survey.member_of(node)
    if member is None and not isinstance(node.config, Config):
        known(node.config)
    elsewhere: tuple[str, ...] = ()
    try:
        using: tuple[Repository, ...] | None = tuple(
            r for r in members.repositories(survey, node) if r.client == client
        )
    except NotApplicable:
        using = ()
    except CouldNotCheck:
        using = None
    if using:
        elsewhere = tuple(r.name for r in using if not s3.endpoint(node, member, r).aws)
        using = tuple(r for r in using if r.name not in elsewhere)
        if not using:
            return None
        if member is not None and not members.uses_repositories(member):
            using, elsewhere = (), ()
    elif not s3.endpoint(node, member, Repository(name="", type="s3", bucket="bucket", client=client)).aws:
        return None
    refusal, refused_for, used = _seen_by_verify(survey, node, using or ())
    process, keystore = node.process, node.keystore
    pending = None
    if isinstance(process, Process) and isinstance(keystore, Keystore) and keystore.modified is not None:
        pending = keystore.modified > process.started
    return ClientKeys(
        client=client,
        settings=settings,
        repositories=using,
        elsewhere=elsewhere,
        refusal=refusal,
        refused_for=refused_for,
        used=used and pending is False,
        pending=pending,
    )


def _seen_by_verify(
    survey: Survey, node: NodeFacts, using: tuple[Repository, ...]
) -> tuple[str | None, str | None, bool]:
    good = False
    for candidate in using:
        try:
            failure = repository.failure_of(survey, node, candidate.name)
            answer = repository.verification_of(survey, node, candidate.name)
        except CouldNotCheck:
            continue
        if failure is not None:
            meaning = refusals.of(failure)
            if meaning is not None and meaning.kind == "key refused":
                return failure.sentence, candidate.name, False
        elif not isinstance(node.view, Unknown):
            good = good or node.view.node_id in answer.verified
    return None, None, good


def static_s3_keys(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no S3 client that goes to AWS has a static key in this node's keystore."""
    found = client_keys(survey, node)
    if not found:
        return None
    settings = [name for keys in found for name in keys.settings]
    worst = next((keys for keys in found if keys.refusal), found[0])
    return Finding(
        observed=f"{members.listed(settings)} in the keystore; {state(worst)}",
        expected="no static key for a client that goes to AWS: the instance role signs",
        details=tuple(_detail(keys) for keys in found),
    )


def state(keys: ClientKeys) -> str:
    """What is known of the keys' use, in words."""
    if keys.refusal:
        return f"refused by S3 ({keys.refused_for}): {keys.refusal}"
    if keys.used:
        return "in use and accepted by S3 today"
    if keys.pending:
        return "not yet proven in use: the file changed after the process started"
    return "not yet proven in use"


def needed_still(node: NodeFacts, keys: ClientKeys) -> str | None:
    """Why taking the keys out is not proven safe; None where the role is proven to do, or where nothing uses them."""
    if keys.elsewhere:
        names = members.listed(keys.elsewhere)
        return f"client {keys.client} signs for {names} too, which is not on AWS: a role opens nothing there"
    why = role.unproven(node, keys.repositories)
    return f"role not proven on {node.name}: {why}" if why else None


def _detail(keys: ClientKeys) -> str:
    if keys.repositories is None:
        use = "its repositories are unknown"
    elif keys.repositories:
        use = "used by " + members.listed([r.name for r in keys.repositories])
    else:
        use = "nothing on this node signs with it"
    return f"client {keys.client} ({use}): {members.listed(keys.settings)}; {state(keys)}"


def discovery_ec2_keys(node: NodeFacts) -> Finding | None:
    """None where the keystore holds no static key for discovery by EC2 tags."""
    found = [name for name in known(node.keystore).settings if DISCOVERY.fullmatch(name)]
    if not found:
        return None
    return Finding(
        observed=f"{members.listed(found)} in the keystore",
        expected="discovery.ec2 uses the instance role as S3 does",
        warning=True,
    )
