"""RESTART: would this node come back as it is now? From files alone; what a start reads, not what the process holds.

The time of a change decides no failure: it is a warning of its own, or `_verify` decides beside it.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ..facts import PROTECTED, CouldNotCheck, NodeFacts, Process, Sources, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import keystore, keystores, members, region, repository, sources

SECURE = re.compile(
    keystores.SECURE.pattern + r"|discovery\.ec2\.(?:access_key|secret_key|session_token|proxy\.(?:username|password))"
)
"""Secure settings: in elasticsearch.yml each of them ends the start ("must be stored inside the keystore")."""

PASSPHRASE_FILE = "ES_KEYSTORE_PASSPHRASE_FILE"  # noqa: S105 - a variable's name
"""What the packages' service reads the keystore's password from (systemd-entrypoint, since 7.7)."""

WRITING = 5.0
"""Seconds after its start until which a change of a file may still have been read by it."""

Kind = Literal["half", "file", "password", "secure setting", "removed setting", "waiting keys", "waiting outside keys"]


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that makes the next start end, or end otherwise than this one did. text: with its consequence."""

    kind: Kind
    text: str


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """What the next start meets.

    changes: files it reads for the first time; mounted: shards that need a repository which fails on this node
    doubt: the first thing not seen
    """

    reasons: tuple[Reason, ...]
    changes: tuple[str, ...]
    mounted: tuple[str, ...]
    doubt: CouldNotCheck | None


def comes_back(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where nothing on this node's disk keeps the next start from being as the last; a warning for mere changes.

    Raises CouldNotCheck where something could not be seen and nothing is known to be wrong.
    """
    found = judge(survey, node)
    if found.reasons:
        return Finding(
            observed="; ".join(reason.text for reason in found.reasons),
            expected="the next start finds what the running process has",
            details=(*found.changes, *found.mounted),
        )
    if found.doubt is not None:
        raise found.doubt
    if not found.changes and not found.mounted:
        return None
    return Finding(
        observed="; ".join((*found.changes, *found.mounted)),
        expected="configuration that has been through a start" if found.changes else "repositories that work here",
        warning=True,
    )


def judge(survey: Survey, node: NodeFacts) -> Judgement:
    """Every reason that is known, beside the first doubt. Raises nothing."""
    reasons: list[Reason] = []
    doubts: list[CouldNotCheck] = []
    for ask in (_file, _password, _halves, _settings, _waiting, _waiting_outside):
        try:
            reasons += ask(survey, node)
        except CouldNotCheck as doubt:
            doubts.append(doubt)
    try:
        changes = _changes(node)
    except CouldNotCheck as doubt:
        changes = ()
        doubts.append(doubt)
    return Judgement(
        reasons=tuple(reasons), changes=changes, mounted=_mounted(survey, node), doubt=doubts[0] if doubts else None
    )


def _file(survey: Survey, node: NodeFacts) -> list[Reason]:
    if _is_protected(node) and isinstance(node.keystore, Unknown):
        return []
    problem = keystores.out_of_reach(node)
    return [Reason(kind="file", text=f"{problem} (KEY-5)")] if problem else []


def _is_protected(node: NodeFacts) -> bool:
    if isinstance(node.keystore, Unknown):
        return PROTECTED in node.keystore.reason
    return node.keystore.protected


def _password(survey: Survey, node: NodeFacts) -> list[Reason]:
    if not _is_protected(node):
        return []
    install, process, files = known(node.install), node.process, node.sources
    if install is None or install.layout not in keystores.PACKAGES:
        raise CouldNotCheck(
            "the keystore is password-protected, and how a start here is given its password is not known"
        )
    if isinstance(files, Sources) and any(line.name == PASSPHRASE_FILE for line in files.found):
        return []
    if isinstance(process, Process) and PASSPHRASE_FILE in process.environment:
        return []
    known(files)
    if known(process) is None:
        raise CouldNotCheck(f"the keystore is password-protected; whether a start has {PASSPHRASE_FILE} is not known")
    return [
        Reason(
            kind="password",
            text=f"the keystore is password-protected, and neither the process nor its unit has {PASSPHRASE_FILE}: "
            "the service's next start waits for a password and ends",
        )
    ]


def _halves(survey: Survey, node: NodeFacts) -> list[Reason]:
    return [
        Reason(kind="half", text=f"{keystores.described(half)}: the next start ends, {half.says!r} (KEY-3)")
        for half in keystores.halves(known(node.keystore).settings)
    ]


def _settings(survey: Survey, node: NodeFacts) -> list[Reason]:
    names = known(node.config).names
    found: list[Reason] = []
    secure = secure_settings(names)
    if secure:
        text = f"{members.listed(secure)} in elasticsearch.yml: the next start ends (belongs in the keystore)"
        found.append(Reason(kind="secure setting", text=text))
    removed = [name for name in names if region.REMOVED.fullmatch(name)]
    if removed:
        text = f"{members.listed(removed)} in elasticsearch.yml: the next start ends (unknown setting, REGION-3)"
        found.append(Reason(kind="removed setting", text=text))
    return found


def secure_settings(names: tuple[str, ...]) -> list[str]:
    """Those of elasticsearch.yml's names that may stand in the keystore only."""
    return [name for name in names if SECURE.fullmatch(name)]


def _waiting(survey: Survey, node: NodeFacts) -> list[Reason]:
    try:
        found = keystore.amiss(survey, node)
    except CouldNotCheck:
        return []  # KEY-1 says so; keystore and configuration are asked for above
    broken = {half.client for half in keystores.halves(known(node.keystore).settings)}
    perhaps = [keys for keys in found if keys.may_wait and keys.use == "unknown" and keys.client not in broken]
    if perhaps and not any(keys.use == "waiting" for keys in found):
        names = members.listed([name for keys in perhaps for name in keys.settings])
        raise CouldNotCheck(
            f"{names} in the keystore, which changed after the process started: whether the next start is the first to "
            "load them is not known",
            "_verify on this node tells (REPO-1)",
        )
    return [
        Reason(
            kind="waiting keys",
            text=f"{members.listed(keys.settings)} in the keystore, not loaded yet: "
            "from the next start on this node signs with them and no longer with its role (KEY-1)",
        )
        for keys in found
        if keys.use == "waiting" and keys.client not in broken
    ]


def _waiting_outside(survey: Survey, node: NodeFacts) -> list[Reason]:
    """Whole pairs that files hand to the next start alone, where the keystore holds none that would win over them."""
    known(node.sources)
    try:
        sources.on_aws(survey, node)
        found = sources.waiting(survey, node)
    except (CouldNotCheck, NotApplicable):
        return []  # SRC-1 says so
    if node.process is None or not sources.keystore_is_clean(survey, node):
        return []
    return [
        Reason(
            kind="waiting outside keys",
            text=f"{members.listed(keys.names)} on disk, not loaded yet: "
            "from the next start on this node signs with them and no longer with its role (SRC-1)",
        )
        for keys in found
        if keys.loaded is False
    ]


def _changes(node: NodeFacts) -> tuple[str, ...]:
    files = changed_files(node)
    if not files:
        return ()
    what = "it" if len(files) == 1 else "them"
    return (
        f"{members.listed(files)} changed since the process started: the next start reads {what} for the first time",
    )


def changed_files(node: NodeFacts) -> tuple[str, ...]:
    """Files that a start reads and that are younger than the process. Raises CouldNotCheck."""
    process, config, disk = known(node.process), known(node.config), known(node.sources)
    if not isinstance(process, Process):
        return ()
    times = {config.path: config.modified, **disk.modified}
    return tuple(path for path, modified in times.items() if modified > process.started + WRITING)


def _mounted(survey: Survey, node: NodeFacts) -> tuple[str, ...]:
    """Shards of mounted indices on this node whose repository fails here; none where that is not known."""
    try:
        found = known(members.cluster_of(survey, node).dependents.mounted)
        own = known(node.view).node_id
    except CouldNotCheck:
        return ()
    here: dict[str, list[str]] = {}
    for index in found:
        if own in index.nodes and repository.fails(survey, node, index.repository):
            here.setdefault(index.repository, []).append(index.name)
    return tuple(
        f"shards of {len(names)} mounted {'index' if len(names) == 1 else 'indices'} are read from {name}, "
        "which fails on this node: a restart leaves them unassigned"
        for name, names in here.items()
    )
