"""KEY: static AWS keys in the keystore. Names only; no rule here ever sees a value."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .. import s3
from ..facts import Config, CouldNotCheck, Keystore, NodeFacts, Process, Repository, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, refusals, repository, role

STATIC = re.compile(r"s3\.client\.([^.]+)\.(?:access_key|secret_key|session_token)")
"""Secure settings of repository-s3 that hold a key, for any client name (S3ClientSettings, since 6.0)."""

DISCOVERY = re.compile(r"discovery\.ec2\.(?:access_key|secret_key|session_token)")


CLOCK = 2.0
"""Seconds by which a process may seem to have started too early: the kernel tells its boot in whole seconds."""

OWN_WRITING = 120.0
"""Seconds after its start within which Elasticsearch may have written the keystore itself (format, missing seed)."""

"""Variables and properties that give AWS SDK v2 a key."""


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The static keys of one S3 client whose requests go to AWS, on one node.

    settings: their names; repositories: S3 repositories on AWS that this node signs for with them, None where unknown
    elsewhere: repositories of the client that do not go to AWS and need the same keys
    refusal: S3's sentence where `_verify` shows that S3 refuses this node's key; refused_for: that repository
    use: refused | accepted: in use now; waiting: on disk and not loaded yet; unknown: nothing tells
    """

    client: str
    settings: tuple[str, ...]
    repositories: tuple[Repository, ...] | None
    elsewhere: tuple[str, ...]
    refusal: str | None
    refused_for: str | None
    use: Literal["refused", "accepted", "waiting", "unknown"]


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
    refusal, refused_for, seen = _seen_by_verify(survey, node, using or ())
    return ClientKeys(
        client=client,
        settings=settings,
        repositories=using,
        elsewhere=elsewhere,
        refusal=refusal,
        refused_for=refused_for,
        use=_use(seen, changed_since_start(node)),
    )


Seen = Literal["key refused", "good", "no credentials", "nothing"]


def _use(seen: Seen, changed: bool | None) -> Literal["refused", "accepted", "waiting", "unknown"]:
    if seen == "key refused":
        return "refused"
    if seen == "good" and changed is not None:
        return "waiting" if changed else "accepted"
    if seen == "no credentials" and changed:
        return "waiting"  # with a key loaded, however wrong, the request would have been signed
    return "unknown"


def changed_since_start(node: NodeFacts) -> bool | None:
    """Whether somebody changed the keystore after the process started; None where that cannot be told.

    Within two minutes of its start Elasticsearch may have done it itself, where it may write the folder.
    """
    process, file = node.process, node.keystore
    if not isinstance(process, Process) or not isinstance(file, Keystore) or file.modified is None:
        return None
    late = file.modified - process.started
    if late <= CLOCK:
        return False
    itself = late <= OWN_WRITING and file.owner == process.user and file.creatable_by_service is not False
    return None if itself else True


def _seen_by_verify(
    survey: Survey, node: NodeFacts, using: tuple[Repository, ...]
) -> tuple[str | None, str | None, Seen]:
    """S3's refusal with its repository, and what `_verify` of these repositories shows of the key in use."""
    seen: Seen = "nothing"
    for candidate in using:
        try:
            failure = repository.failure_of(survey, node, candidate.name)
            answer = repository.verification_of(survey, node, candidate.name)
        except CouldNotCheck:
            continue
        if failure is not None:
            meaning = refusals.of(failure)
            if meaning is not None and meaning.kind == "key refused":
                return failure.sentence, candidate.name, "key refused"
            if meaning is not None and meaning.kind == "no credentials":
                seen = "no credentials"
        elif not isinstance(node.view, Unknown) and node.view.node_id in answer.verified and seen == "nothing":
            seen = "good"
    return None, None, seen


def only_in_memory(survey: Survey, node: NodeFacts) -> str | None:
    """S3's refusal of a key that this node's keystore no longer holds; None where there is no such thing.

    Raises CouldNotCheck, NotApplicable.
    """
    if client_keys(survey, node):
        return None
    member = survey.member_of(node)
    using = tuple(r for r in members.repositories(survey, node) if s3.endpoint(node, member, r).aws)
    return _seen_by_verify(survey, node, using)[0]


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
    if keys.use == "refused":
        return f"in use now, refused by S3 ({keys.refused_for}): {keys.refusal}"
    if keys.use == "accepted":
        return "in use now, accepted by S3 today"
    if keys.use == "waiting":
        return (
            "on disk and not loaded yet: the file changed after the process started, and the next restart or reload "
            "puts them in use (unless one has reloaded it since)"
        )
    if keys.repositories == ():
        return "cannot tell whether in use: no repository uses the client"
    return "cannot tell whether in use: _verify on this node does not show it"


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
