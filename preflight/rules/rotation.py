"""KEY-6: one client's key is the same on every node that has it. Fingerprints are compared; no value is ever seen here.

The reference is the one key that S3 accepts, else the only one that it does not refuse, else a strict majority's.
"""

from __future__ import annotations

import re

import msgspec

from ..facts import AccessKey, CouldNotCheck, Keystore, Login, NodeFacts, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import keystore, members

ACCESS_KEY = re.compile(r"s3\.client\.([^.]+)\.access_key")
"""The setting that says which key a client signs with (S3ClientSettings, since 6.0)."""


class Different(msgspec.Struct, frozen=True, kw_only=True):
    """One setting whose key on this node is not the reference.

    reference: nodes that hold the reference, none where it is not known which key that is
    others: (key, nodes that hold it) for each other key; use, reference_use: keystore.Use of this node's and of the
    reference's key, None where that is not known
    """

    client: str
    setting: str
    key: AccessKey
    reference: tuple[str, ...]
    others: tuple[tuple[AccessKey, tuple[str, ...]], ...]
    use: keystore.Use | None
    reference_use: keystore.Use | None


def same_keys(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where every S3 client's access key in this node's keystore is the one that its peers hold.

    Raises CouldNotCheck where a peer has the setting and neither key could be compared; NotApplicable on a node that
    never touches a snapshot.
    """
    found = different(survey, node)
    if not found:
        return None
    return Finding(
        observed="; ".join(_words(one) for one in found),
        expected="the same static key on every node that has it",
        details=tuple(
            f"{members.listed(names)}: another {masked(key)}" for one in found for key, names in one.others if names
        ),
    )


def _words(one: Different) -> str:
    names = one.reference or tuple(name for _, holders in one.others for name in holders)
    said = [
        words
        for words, true in (
            ("refuses it", one.use == "refused"),
            ("accepts theirs", one.reference_use == "accepted"),
        )
        if true
    ]
    answers = f"; S3 {' and '.join(said)}" if said else ""
    return f"{one.setting} is another {masked(one.key)} than that of {members.listed(names)}{answers}"


def masked(key: AccessKey) -> str:
    """What may be shown of a key: "AKIA**** key"."""
    return f"{key.prefix}**** key" if key.prefix else "key"


def different(survey: Survey, node: NodeFacts) -> tuple[Different, ...]:
    """The settings whose key here is not the reference, by name. Raises as same_keys does."""
    members.require_user(survey.member_of(node))
    found: list[Different] = []
    doubt: CouldNotCheck | None = None
    for setting in sorted(_settings(survey, node)):
        try:
            one = _judge(survey, node, setting)
        except CouldNotCheck as error:
            doubt = doubt or error
        else:
            found.extend([one] if one else [])
    if doubt is not None and not found:
        raise doubt
    return tuple(found)


def _settings(survey: Survey, node: NodeFacts) -> list[str]:
    """The access keys in this node's keystore of clients that repositories use, of all where those are unknown."""
    held = [name for name in known(node.keystore).settings if ACCESS_KEY.fullmatch(name)]
    try:
        used = {repository.client for repository in members.repositories(survey, node)}
    except NotApplicable:
        return []  # nothing signs with them (KEY-1)
    except CouldNotCheck:
        return held
    return [name for name in held if _client(name) in used]


def _client(setting: str) -> str:
    match = ACCESS_KEY.fullmatch(setting)
    return match[1] if match else ""


def _judge(survey: Survey, node: NodeFacts, setting: str) -> Different | None:
    beside = [n for n in members.companions(survey, node) if _is_user(survey, n)]
    peers = [n for n in beside if isinstance(n.keystore, Keystore) and setting in n.keystore.settings]
    if not peers:
        _require_seen(beside)
        return None
    keys: dict[str, AccessKey] = {}
    for one in (node, *peers):
        key = keystore.access_key(one, setting)
        if key is not None:
            keys[one.name] = key
    if node.name not in keys or len(keys) == 1:
        unread = node if node.name not in keys else peers[0]
        if isinstance(unread.login, Login) and unread.login.carrier == "ssm":
            raise CouldNotCheck(
                f"{setting} of {unread.name} was not compared with its peers': nodes compare keys under a key of the "
                "run, which is not sent over ssm:// since AWS would keep it",
                "survey these nodes over SSH",
            )
        raise CouldNotCheck(
            f"{setting} of {unread.name} could not be compared with its peers': "
            "Elasticsearch's own tool read that keystore, and it gives names alone"
        )
    mine = keys[node.name]
    if all(key.fingerprint == mine.fingerprint for key in keys.values()):
        return None
    uses = {name: _use(survey, survey.node(name), _client(setting)) for name in keys}
    prints = {name: key.fingerprint for name, key in keys.items()}
    reference = _reference(prints, uses)
    if reference == mine.fingerprint:
        return None
    holders = tuple(name for name, fingerprint in prints.items() if fingerprint == reference)
    others: dict[str, list[str]] = {}
    for name, fingerprint in prints.items():
        if fingerprint not in (mine.fingerprint, reference):
            others.setdefault(fingerprint, []).append(name)
    return Different(
        client=_client(setting),
        setting=setting,
        key=mine,
        reference=holders,
        others=tuple((keys[names[0]], tuple(names)) for names in others.values()),
        use=uses[node.name],
        reference_use="accepted" if "accepted" in {uses[name] for name in holders} else None,
    )


def _is_user(survey: Survey, node: NodeFacts) -> bool:
    member = survey.member_of(node)
    return member is None or members.uses_repositories(member)


def _require_seen(beside: list[NodeFacts]) -> None:
    """Raises where no peer's keystore was seen: that nobody else has the setting is then not known."""
    if any(isinstance(n.keystore, Keystore) for n in beside):
        return
    unread = next((n for n in beside if isinstance(n.keystore, Unknown) and not n.keystore.blocked), None)
    if unread is not None:
        raise CouldNotCheck(f"no other node's keystore could be read to compare with: see {unread.name}'s")
    raise NotApplicable("no other node that was surveyed has a keystore to compare with")


def _use(survey: Survey, node: NodeFacts, client: str) -> keystore.Use | None:
    try:
        to_aws = next((keys.use for keys in keystore.client_keys(survey, node) if keys.client == client), None)
        return to_aws or keystore.use_elsewhere(survey, node, client)
    except (CouldNotCheck, NotApplicable):
        return None


def _reference(prints: dict[str, str], uses: dict[str, keystore.Use | None]) -> str | None:
    """The fingerprint that the others are held against; None where nothing says which that is."""
    refused = {prints[name] for name, use in uses.items() if use == "refused"}
    accepted = {prints[name] for name, use in uses.items() if use == "accepted"} - refused
    left = set(prints.values()) - refused
    for candidates in (accepted, left):
        if len(candidates) == 1:
            return next(iter(candidates))
    usual = members.majority(prints)
    return prints[usual] if usual is not None and prints[usual] not in refused else None
