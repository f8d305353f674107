"""KEY: static AWS keys in the keystore. Names only; no rule here ever sees a value."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .. import s3
from ..facts import AccessKey, Config, CouldNotCheck, Keystore, NodeFacts, Process, Repository, Survey, known
from ..judgement import Finding, NotApplicable
from . import members, refusals, repository, role

STATIC = re.compile(r"s3\.client\.([^.]+)\.(?:access_key|secret_key|session_token)")
"""Secure settings of repository-s3 that hold a key, for any client name (S3ClientSettings, since 6.0)."""

DISCOVERY = re.compile(r"discovery\.ec2\.(?:access_key|secret_key|session_token)")

CLOCK = 2.0
"""Seconds by which a process may seem to have started too early: the kernel tells its boot in whole seconds."""

OWN_WRITING = 120.0
"""Seconds after its start within which Elasticsearch may have written the keystore itself (format, missing seed)."""

Use = Literal["refused", "waiting", "unknown", "accepted", "unused"]
"""What becomes of a client's keys, the worst first.

refused | accepted: in use now; waiting: on disk and not loaded yet; unused: nothing on this node signs with them
unknown: nothing tells
"""

WORST = ("refused", "waiting", "unknown", "accepted", "unused")
HARMLESS = ("accepted", "unused")
"""Uses that are worth a look and no more."""


class ClientKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The static keys of one S3 client whose requests go to AWS, on one node.

    settings: their names; repositories: S3 repositories on AWS that this node signs for with them, None where unknown
    elsewhere: repositories of the client that do not go to AWS and need the same keys
    refusal: S3's sentence where `_verify` shows that S3 refuses this node's key; refused_for: that repository
    refused_on: the peer whose `_verify` showed it of the same key, None where this node's did
    changed: the file changed after the process started, None where that cannot be told
    idle: why nothing on this node signs with them, None where something may
    intended: the inventory declares that the client is meant to have static keys
    """

    client: str
    settings: tuple[str, ...]
    repositories: tuple[Repository, ...] | None
    elsewhere: tuple[str, ...]
    refusal: str | None
    refused_for: str | None
    refused_on: str | None
    use: Use
    changed: bool | None
    idle: str | None
    intended: bool

    @property
    def may_wait(self) -> bool:
        """On disk and not loaded yet, or nothing tells whether it is."""
        return self.use == "waiting" or (self.use == "unknown" and self.changed is True)


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
    idle: str | None = None
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
            using, elsewhere, idle = (), (), "this node never reads or writes snapshots"
    elif not s3.endpoint(node, member, Repository(name="", type="s3", bucket="bucket", client=client)).aws:
        return None
    elif using is not None:
        idle = "no repository uses the client"
    refusal, refused_for, seen = _seen_by_verify(survey, node, using or ())
    changed = changed_since_start(node)
    use: Use = "unused" if idle else _use(seen, changed)
    refused_on = None
    if use == "unknown" and changed is False and using:
        refusal, refused_for, refused_on = _refused_elsewhere(survey, node, client, using)
        use = "refused" if refusal else use
    return ClientKeys(
        client=client,
        settings=settings,
        repositories=using,
        elsewhere=elsewhere,
        refusal=refusal,
        refused_for=refused_for,
        refused_on=refused_on,
        use=use,
        changed=changed,
        idle=idle,
        intended=members.intended(node, client),
    )


def amiss(survey: Survey, node: NodeFacts) -> tuple[ClientKeys, ...]:
    """Those of client_keys that are a finding: all but declared ones that S3 does not refuse. Raises CouldNotCheck."""
    return tuple(keys for keys in client_keys(survey, node) if keys.use == "refused" or not keys.intended)


Seen = Literal["key refused", "good", "no credentials", "nothing"]


def _use(seen: Seen, changed: bool | None) -> Use:
    if seen == "key refused":
        return "refused"
    if seen == "good" and changed is not None:
        return "waiting" if changed else "accepted"
    if seen == "no credentials" and changed:
        return "waiting"  # with a key loaded, however wrong, the request would have been signed
    return "unknown"


def _refused_elsewhere(
    survey: Survey, node: NodeFacts, client: str, using: tuple[Repository, ...]
) -> tuple[str | None, str | None, str | None]:
    """S3's refusal, its repository and a peer's name, where the peer loaded the same key id and S3 does not know it.

    IAM knows a key id or does not, whoever signs with it: this is what is left to say of nodes that `_verify` never
    tested because the elected master failed first.
    """
    setting = f"s3.client.{client}.access_key"
    mine = access_key(node, setting)
    for peer in members.companions(survey, node) if mine else ():
        if access_key(peer, setting) != mine or changed_since_start(peer) is not False:
            continue
        refusal, refused_for, _ = _seen_by_verify(survey, peer, using)
        if refusal is not None and refusals.unknown_key(refusal):
            return refusal, refused_for, peer.name
    return None, None, None


def access_key(node: NodeFacts, setting: str) -> AccessKey | None:
    """What may be known of the access key id under this setting in the node's keystore; None where it was not seen."""
    file = node.keystore
    return file.access_keys.get(setting) if isinstance(file, Keystore) and file.access_keys is not None else None


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
        except CouldNotCheck:
            continue
        if failure is not None:
            meaning = refusals.of(failure)
            if meaning is not None and meaning.kind == "key refused":
                return failure.sentence, candidate.name, "key refused"
            if meaning is not None and meaning.kind == "no credentials":
                seen = "no credentials"
        elif seen == "nothing" and repository.good(survey, node, candidate.name):
            seen = "good"
    return None, None, seen


def use_elsewhere(survey: Survey, node: NodeFacts, client: str) -> Use:
    """What becomes of the keys of a client that does not go to AWS, as `_verify` of its repositories shows it.

    Raises CouldNotCheck, NotApplicable.
    """
    using = tuple(r for r in members.repositories(survey, node) if r.client == client)
    return _use(_seen_by_verify(survey, node, using)[2], changed_since_start(node))


def only_in_memory(survey: Survey, node: NodeFacts) -> str | None:
    """S3's refusal of a key that this node's keystore no longer holds; None where there is no such thing.

    Raises CouldNotCheck, NotApplicable.
    """
    return _seen_by_verify(survey, node, without_keys(survey, node))[0]


def without_keys(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The S3 repositories on AWS whose client has no static key in this node's keystore.

    None where the role's own credentials have expired: that is the key which S3 then refuses. Raises CouldNotCheck,
    NotApplicable.
    """
    if role.expired(survey, node):
        return ()
    held = {keys.client for keys in client_keys(survey, node)}
    member = survey.member_of(node)
    every = members.repositories(survey, node)
    return tuple(r for r in every if r.client not in held and s3.endpoint(node, member, r).aws)


def static_s3_keys(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no S3 client that goes to AWS has a static key in this node's keystore, or none but intended ones.

    A warning where S3 accepts them today or nothing signs with them. A key that S3 refuses is a failure, declared or
    not.
    """
    found = sorted(amiss(survey, node), key=lambda keys: WORST.index(keys.use))
    if not found:
        return None
    states: dict[str, list[str]] = {}
    for keys in found:
        states.setdefault(state(keys), []).extend(keys.settings)
    return Finding(
        observed="; ".join(f"{members.listed(names)} in the keystore; {words}" for words, names in states.items()),
        expected="no static key for a client that goes to AWS: the instance role signs",
        details=tuple(_detail(keys) for keys in found),
        warning=found[0].use in HARMLESS,
    )


def state(keys: ClientKeys) -> str:
    """What is known of the keys' use, in words."""
    if keys.use == "refused":
        older = " (the file changed after the process started: the key that S3 refuses may be an older one)"
        if keys.refused_on is not None:
            return f"in use now, the same key that S3 refuses on {keys.refused_on} ({keys.refused_for}): {keys.refusal}"
        return f"in use now, refused by S3 ({keys.refused_for}): {keys.refusal}" + (older if keys.changed else "")
    if keys.use == "accepted":
        return "in use now, accepted by S3 today"
    if keys.use == "waiting":
        return (
            "on disk and not loaded yet: the file changed after the process started, and the next restart or reload "
            "puts them in use (unless one has reloaded it since)"
        )
    if keys.idle is not None:
        return f"not in use: {keys.idle}"
    return "cannot tell whether in use: _verify on this node does not show it" + (
        ", and the file changed after the process started" if keys.changed else ""
    )


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
    declared = ", declared in the inventory" if keys.intended else ""
    return f"client {keys.client} ({use}{declared}): {members.listed(keys.settings)}; {state(keys)}"


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
