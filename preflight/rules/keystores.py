"""KEY-3 to KEY-5: the keystore as a whole: its pairs, its file, and the other nodes' keystores. Names only."""

from __future__ import annotations

import re

import msgspec

from .. import s3
from ..facts import Config, CouldNotCheck, Install, Keystore, NodeFacts, Process, Repository, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import keystore, members

SECURE = re.compile(r"s3\.client\.([^.]+)\.(access_key|secret_key|session_token|proxy\.username|proxy\.password)")
"""The secure settings of repository-s3 (S3ClientSettings, since 6.0)."""

PACKAGES = ("deb", "rpm")
PACKAGED = "root:elasticsearch 0660"
"""How the packages of these layouts make the keystore."""


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """One S3 client whose keys do not make a pair. present, missing: setting names; says: Elasticsearch's own words."""

    client: str
    present: tuple[str, ...]
    missing: tuple[str, ...]
    says: str


def halves(settings: tuple[str, ...]) -> tuple[Half, ...]:
    """The clients that S3ClientSettings.loadCredentials refuses, by client name; used by a repository or not."""
    by_client: dict[str, set[str]] = {}
    for name in settings:
        match = SECURE.fullmatch(name)
        if match and not match[2].startswith("proxy."):
            by_client.setdefault(match[1], set()).add(match[2])
    found = []
    for client, parts in sorted(by_client.items()):
        missing = [part for part in ("access_key", "secret_key") if part not in parts]
        if missing:
            words = " and ".join(part.replace("_", " ") for part in missing)
            found.append(
                Half(
                    client=client,
                    present=tuple(f"s3.client.{client}.{part}" for part in sorted(parts)),
                    missing=tuple(f"s3.client.{client}.{part}" for part in missing),
                    says=f"Missing {words} for s3 client [{client}]",
                )
            )
    return tuple(found)


def whole_pairs(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no client has half a pair, a session token alone, or a temporary key without its token."""
    found = halves(known(node.keystore).settings)
    alone = temporary_alone(survey, node)
    if not found and not alone:
        return None
    return Finding(
        observed="; ".join(
            [f"{described(half)}: a reload is refused and the next start ends" for half in found]
            + [f"{name} is a temporary key (ASIA) without its session_token: S3 refuses it" for name in alone]
        ),
        expected="access_key and secret_key of a client together, or neither; with a temporary key its session_token",
        details=tuple(half.says for half in found),
    )


def temporary_alone(survey: Survey, node: NodeFacts) -> tuple[str, ...]:
    """The access keys of whole pairs that STS gave (ASIA) and that lack the session token they are valid with alone.

    Of clients that go to AWS: what another service's prefixes mean is its own affair. None where values were not seen
    or where the client goes is not known. Source: IAM, "Understanding unique ID prefixes"; AWS's answer is the one for
    an unknown key.
    """
    file = known(node.keystore)
    keys = {name: key for name, key in (file.access_keys or {}).items() if key.prefix == "ASIA"}
    if not keys:
        return ()
    try:
        to_aws = {found.client: set(found.settings) for found in keystore.client_keys(survey, node)}
    except CouldNotCheck:
        return ()
    broken = {half.client for half in halves(file.settings)}
    return tuple(
        name
        for name in sorted(keys)
        if (match := SECURE.fullmatch(name)) is not None
        and match[1] in to_aws
        and match[1] not in broken
        and f"s3.client.{match[1]}.session_token" not in to_aws[match[1]]
    )


def described(half: Half) -> str:
    """ "s3.client.x.access_key without s3.client.x.secret_key"."""
    return f"{members.listed(half.present)} without {members.listed(half.missing)}"


def same_clients(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where this node's keystore names the same settings as the others' for the clients that repositories use.

    Keys of a client that goes to AWS are left out unless the inventory declares them: they are KEY-1's on whichever
    node they are.
    Raises CouldNotCheck; NotApplicable where there is nothing to compare.
    """
    names, repositories = _compared(survey, node)
    mine = names[node.name]
    differing = {name: theirs for name, theirs in names.items() if theirs != mine}
    usual = members.majority(names)
    if not differing or (usual is not None and names[usual] == mine):
        return None
    if usual is not None:
        alike = {name: theirs for name, theirs in differing.items() if theirs == names[usual]}
        observed = _difference(mine, names[usual], members.listed(sorted(alike)))
    else:
        observed = "; ".join(_difference(mine, theirs, name) for name, theirs in sorted(differing.items()))
    return Finding(
        observed=observed,
        expected="the clients that repositories use have the same secure settings on every node",
        details=tuple(_users(repositories, client) for client in sorted(_clients(mine.union(*differing.values())))),
    )


def lacking(survey: Survey, node: NodeFacts) -> dict[str, tuple[str, ...]]:
    """Compared settings that this node's keystore lacks -> the nodes that have them. Raises as same_clients does."""
    names, _ = _compared(survey, node)
    missing = sorted(frozenset[str]().union(*names.values()) - names[node.name])
    return {setting: tuple(name for name, theirs in names.items() if setting in theirs) for setting in missing}


def without_their_keys(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The repositories whose client has keys on other nodes and none on this one. Raises as same_clients does."""
    keyless = {m[1] for m in map(keystore.STATIC.fullmatch, lacking(survey, node)) if m}
    held = {m[1] for m in map(keystore.STATIC.fullmatch, known(node.keystore).settings) if m}
    return tuple(r for r in members.repositories(survey, node) if r.client in keyless - held)


def _compared(survey: Survey, node: NodeFacts) -> tuple[dict[str, frozenset[str]], tuple[Repository, ...]]:
    """Node -> the settings in its keystore that all nodes must share, this node's first; and the S3 repositories."""
    repositories = members.repositories(survey, node)
    members.require_user(survey.member_of(node))
    own = known(node.keystore)
    others = [n for n in members.companions(survey, node) if _is_user(survey, n)]
    if not others:
        raise NotApplicable("no other data or master-eligible node of its cluster was given to compare with")
    files = {n.name: n.keystore for n in others if isinstance(n.keystore, Keystore) and n.keystore.exists}
    if not files:
        unread = next((n for n in others if isinstance(n.keystore, Unknown) and not n.keystore.blocked), None)
        if unread is None:
            raise NotApplicable("no other node that was surveyed has a keystore to compare with")
        raise CouldNotCheck(f"no other node's keystore could be read to compare with: see {unread.name}'s")
    clients = {r.client for r in repositories}
    full = {
        c
        for c in clients
        if any(_goes_elsewhere(survey, n, c, repositories) or members.intended(n, c) for n in (node, *others))
    }
    return {name: _names(file, clients, full) for name, file in {node.name: own, **files}.items()}, repositories


def _clients(names: frozenset[str]) -> set[str]:
    return {match[1] for match in map(SECURE.fullmatch, names) if match}


def _is_user(survey: Survey, node: NodeFacts) -> bool:
    member = survey.member_of(node)
    return member is None or members.uses_repositories(member)


def _goes_elsewhere(survey: Survey, node: NodeFacts, client: str, repositories: tuple[Repository, ...]) -> bool:
    member = survey.member_of(node)
    if member is None and not isinstance(node.config, Config):
        return False  # where it goes is not known; its peers decide
    return not any(s3.endpoint(node, member, r).aws for r in repositories if r.client == client)


def _names(file: Keystore, clients: set[str], full: set[str]) -> frozenset[str]:
    found = ((name, SECURE.fullmatch(name)) for name in file.settings)
    return frozenset(name for name, m in found if m and m[1] in clients and (m[1] in full or m[2].startswith("proxy.")))


def _difference(mine: frozenset[str], theirs: frozenset[str], who: str) -> str:
    parts = []
    if theirs - mine:
        parts.append(f"lacks {members.listed(sorted(theirs - mine))} of {who}")
    if mine - theirs:
        parts.append(f"has {members.listed(sorted(mine - theirs))}, unlike {who}")
    return ", ".join(parts)


def _users(repositories: tuple[Repository, ...], client: str) -> str:
    used = members.listed([r.name for r in repositories if r.client == client])
    return f"client {client} is used by {used}: every node needs what it signs and connects with"


def file_in_order(node: NodeFacts) -> Finding | None:
    """None where the keystore is there, Elasticsearch's user may read it, and its owner and mode are the layout's.

    An absent one is made at a start where Elasticsearch may write the folder; the packages' folder it may not
    (root:elasticsearch 2750). A running process has read or made one, so an absent file was taken away since.
    """
    file, install = known(node.keystore), known(node.install)
    problem = out_of_reach(node)
    if problem:
        return Finding(observed=problem, expected=_expected(file, install))
    if not file.exists:
        if not isinstance(node.process, Process):
            return None
        return Finding(
            observed=f"{file.path} is gone since Elasticsearch started: a reload is refused (Keystore is missing), "
            "and the next start makes an empty one",
            expected=_expected(file, install),
        )
    if install is None:
        return None
    unusual = _unusual(file, install)
    return Finding(observed=unusual, expected=_expected(file, install), warning=True) if unusual else None


def out_of_reach(node: NodeFacts) -> str | None:
    """Why the next start ends over the keystore's file, in words; None where it does not. Raises CouldNotCheck."""
    file = known(node.keystore)
    user = service_user(node)
    if not file.exists:
        if file.creatable_by_service is None:
            raise CouldNotCheck(
                f"{file.path} does not exist, and whether {user} may make one is not known",
                "a run with --sudo tells where folders may not be looked at",
            )
        if file.creatable_by_service:
            return None
        return (
            f"{file.path} does not exist and {user} may not write its folder: the next start ends "
            "(unable to create temporary keystore)"
        )
    if file.readable_by_service is None:
        raise CouldNotCheck(
            f"whether {user} may read {file.path} ({ownership(file)}) is not known", f"try: sudo -u {user} test -r FILE"
        )
    if file.readable_by_service:
        return None
    where = "a folder above it keeps that user out" if _looks_right(node) else "that user may not read it"
    return (
        f"{file.path} is {ownership(file)} and Elasticsearch runs as {user}: {where}, a reload and the next start fail"
    )


def service_user(node: NodeFacts) -> str:
    """Who Elasticsearch runs as, else the packages' user."""
    if isinstance(node.process, Process):
        return node.process.user
    install = node.install
    return (install.service_user if isinstance(install, Install) else None) or "elasticsearch"


def _looks_right(node: NodeFacts) -> bool:
    file, install = node.keystore, node.install
    return (
        isinstance(file, Keystore)
        and isinstance(install, Install)
        and install.layout in PACKAGES
        and ownership(file) == PACKAGED
    )


def ownership(file: Keystore) -> str:
    """ "root:elasticsearch 0660"."""
    return f"{file.owner}:{file.group} {file.mode}"


def _unusual(file: Keystore, install: Install) -> str | None:
    """What differs from the layout and yet lets Elasticsearch work. A stricter mode is nobody's business."""
    if file.mode and int(file.mode, 8) & ~0o660:
        return f"{file.path} is {ownership(file)}: open to more than its owner and group, who reads it has its keys"
    packaged = install.layout in PACKAGES and install.service_user == "elasticsearch"
    if packaged and (file.owner, file.group) != ("root", "elasticsearch"):
        return f"{file.path} is {ownership(file)}: the tool refuses to save it as root, or leaves it to another owner"
    if install.layout == "tar" and install.service_user not in (None, file.owner):
        return f"{file.path} is {ownership(file)}, not {install.service_user}'s own: its tool refuses to save it"
    return None


def _expected(file: Keystore, install: Install | None) -> str:
    if install is not None and install.layout in PACKAGES:
        return f"{PACKAGED}, as the package makes it"
    return "the file is there, Elasticsearch's own user's, 0660"
