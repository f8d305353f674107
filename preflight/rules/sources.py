"""SRC: static AWS keys that reach Elasticsearch from elsewhere than its keystore. Names only.

The running process decides first: what its environment and command line hold is in use now. What only a file holds
bites at the next start. Which of it counts is the version's own rule (versions.LINES).
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .. import s3, versions
from ..facts import (
    Config,
    CouldNotCheck,
    NodeFacts,
    Process,
    Repository,
    Source,
    Sources,
    Survey,
    Unknown,
    known,
)
from ..judgement import Finding, NotApplicable
from . import keystore, members, refusals, repository

SECURE_IN_YML = re.compile(r"s3\.client\.[^.]+\.(?:access_key|secret_key|session_token)")
"""Secure settings: Elasticsearch does not start with one in elasticsearch.yml (SecureSetting.get)."""

BARE_IN_YML = ("access_key", "secret_key")
"""Registered for repositories: accepted in elasticsearch.yml, and read from there by nothing (PR 46147)."""

INSECURE = "es.allow_insecure_settings"

WHERE = {"environment": "the environment", "properties": "the command line"}


class Keys(msgspec.Struct, frozen=True, kw_only=True):
    """Static keys of one kind outside the keystore of one node.

    names: of the variables or options; source: None for names that no version uses
    loaded: the running process has them, None where that could not be seen; lines: where files give them
    whole: both halves of a pair are there; honoured: this version uses them where the keystore holds no key
    """

    source: versions.Source | None
    names: tuple[str, ...]
    loaded: bool | None
    lines: tuple[Source, ...]
    whole: bool
    honoured: bool


def outside_keys(survey: Survey, node: NodeFacts) -> tuple[Keys, ...]:
    """What the process has and what the files give, one entry a source and state, the process's first.

    Where the files could not be seen, the process's own alone. Raises CouldNotCheck for an unknown version.
    """
    honoured = versions.line(members.version_of(survey, node)).credentials
    process, disk = node.process, node.sources
    running = {*process.environment, *process.properties} if isinstance(process, Process) else set()
    lines = disk.found if isinstance(disk, Sources) else ()
    found: list[Keys] = []
    for source in dict.fromkeys(versions.STATIC_KEYS.values()):
        names = [name for name, of in versions.STATIC_KEYS.items() if of == source]
        loaded = tuple(name for name in names if name in running)
        written = tuple(name for name in names if any(line.name == name for line in lines))
        pair = set(versions.PAIRS[source]) if source else set()
        for state, held in ((True, loaded), (None if isinstance(process, Unknown) else False, written)):
            if not held or (state is not True and set(written) <= set(loaded)):
                continue
            found.append(
                Keys(
                    source=source,
                    names=held,
                    loaded=state,
                    lines=tuple(line for line in lines if line.name in held),
                    whole=bool(pair) and pair <= set(held),
                    honoured=source in honoured,
                )
            )
    return tuple(found)


def in_use(survey: Survey, node: NodeFacts) -> tuple[Keys, ...]:
    """Whole pairs that the running process has and its version honours."""
    return tuple(keys for keys in outside_keys(survey, node) if keys.loaded and keys.whole and keys.honoured)


def waiting(survey: Survey, node: NodeFacts) -> tuple[Keys, ...]:
    """Whole pairs that only the next start will load, and that its version then honours."""
    return tuple(keys for keys in outside_keys(survey, node) if not keys.loaded and keys.whole and keys.honoured)


def idle(survey: Survey, node: NodeFacts) -> tuple[Keys, ...]:
    """Names that this version ignores, and halves of a pair, which the SDK passes over."""
    return tuple(keys for keys in outside_keys(survey, node) if not (keys.whole and keys.honoured))


def secure_in_yml(node: NodeFacts) -> tuple[str, ...]:
    """Secure settings in elasticsearch.yml; none where it could not be read."""
    return tuple(n for n in node.config.names if SECURE_IN_YML.fullmatch(n)) if isinstance(node.config, Config) else ()


def bare_in_yml(node: NodeFacts) -> tuple[str, ...]:
    """Bare access_key and secret_key in elasticsearch.yml; none where it could not be read."""
    return tuple(n for n in node.config.names if n in BARE_IN_YML) if isinstance(node.config, Config) else ()


def insecure_allowed(node: NodeFacts) -> bool:
    """Repositories may carry keys of their own: the process was started so, or a file says so for the next start."""
    running = isinstance(node.process, Process) and INSECURE in node.process.properties
    return running or (isinstance(node.sources, Sources) and any(line.name == INSECURE for line in node.sources.found))


def on_aws(survey: Survey, node: NodeFacts) -> tuple[Repository, ...] | None:
    """The S3 repositories that go to AWS; None where they are unknown.

    Raises NotApplicable where it is known that there are none: such keys may be meant for where the others go.
    """
    try:
        repositories = members.repositories(survey, node)
    except CouldNotCheck:
        return None
    member = survey.member_of(node)
    if member is None and not isinstance(node.config, Config):
        return None
    found = tuple(r for r in repositories if s3.endpoint(node, member, r).aws)
    if not found:
        raise NotApplicable("no S3 repository of this cluster goes to AWS")
    return found


def elsewhere(survey: Survey, node: NodeFacts) -> tuple[str, ...]:
    """Repositories that do not go to AWS and whose client has no key in the keystore: outside keys sign there."""
    try:
        repositories = members.repositories(survey, node)
    except (CouldNotCheck, NotApplicable):
        return ()
    member = survey.member_of(node)
    held = () if isinstance(node.keystore, Unknown) else node.keystore.settings
    return tuple(
        r.name
        for r in repositories
        if not s3.endpoint(node, member, r).aws and f"s3.client.{r.client}.access_key" not in held
    )


def refusal(survey: Survey, node: NodeFacts) -> tuple[str, str] | None:
    """(repository, S3's sentence) where `_verify` shows that S3 refuses the key this node signs with."""
    try:
        repositories = on_aws(survey, node) or ()
    except NotApplicable:
        return None
    for candidate in repositories:
        try:
            failure = repository.failure_of(survey, node, candidate.name)
        except CouldNotCheck:
            continue
        meaning = refusals.of(failure) if failure else None
        if failure is not None and meaning is not None and meaning.kind == "key refused":
            return candidate.name, failure.sentence
    return None


def keystore_is_clean(survey: Survey, node: NodeFacts) -> bool:
    """The keystore was seen and holds no key of a client that goes to AWS, so that what is outside it signs."""
    try:
        return not keystore.client_keys(survey, node)
    except CouldNotCheck:
        return False


def no_static_keys(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no static key that this version honours reaches the process, now or at its next start.

    A key seen is a finding whatever else could not be seen. Raises CouldNotCheck, NotApplicable.
    """
    secure = secure_in_yml(node)
    if secure:
        return Finding(
            observed=f"{members.listed(secure)} in elasticsearch.yml: this node will not start again (secure setting)",
            expected="secure settings in the keystore alone",
        )
    on_aws(survey, node)
    version = members.version_of(survey, node)
    found: list[str] = []
    details: list[str] = []
    for keys in in_use(survey, node):
        found.append(f"{members.listed(keys.names)} in {WHERE[keys.source or '']} of the running process")
        details += places(keys)
    refused = refusal(survey, node) if found else None
    if refused and keystore_is_clean(survey, node):
        found[-1] += f"; refused by S3 ({refused[0]}): {refused[1]}"
    for keys in waiting(survey, node):
        found.append(f"{members.listed(keys.names)} on disk, {when(node, keys.loaded)}")
        details += places(keys)
    if found:
        return Finding(
            observed=found[0],
            expected=f"the instance role signs: Elasticsearch {version} uses such keys where the keystore holds none",
            details=(*found[1:], *dict.fromkeys(details)),
        )
    known(node.process)
    known(node.sources)
    known(node.config)
    return None


def nothing_stands_by(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no static key lies about that this version ignores, and nothing lets a repository carry its own."""
    on_aws(survey, node)
    version = members.version_of(survey, node)
    found: list[str] = []
    details: list[str] = []
    for keys in idle(survey, node):
        found.append(f"{members.listed(keys.names)} {_holder(node, keys)}: {_why_idle(keys, version)}")
        details += places(keys)
    bare = bare_in_yml(node)
    if bare:
        found.append(
            f"{members.listed(bare)} in elasticsearch.yml: accepted, and used by no version since 6.0; a secret that "
            "everybody who reads the file has"
        )
    if insecure_allowed(node):
        found.append(
            f"-D{INSECURE}: repositories may carry access_key and secret_key of their own, which win over the "
            "keystore, and no API shows them"
        )
    if found:
        return Finding(
            observed=found[0],
            expected="no static key anywhere on a node whose instance role signs",
            details=(*found[1:], *dict.fromkeys(details)),
            warning=True,
        )
    known(node.process)
    known(node.sources)
    known(node.config)
    return None


def when(node: NodeFacts, loaded: Literal[False] | bool | None) -> str:
    """When what only a file holds is loaded."""
    if loaded is None:
        return "and whether the running process has them could not be seen"
    if node.process is None:
        return "and the next start loads them"
    return "not loaded yet: they bite at the next restart"


def places(keys: Keys) -> list[str]:
    """Where files give the keys, one line a file and line."""
    found = []
    for line in keys.lines:
        through = f" in {line.through}" if line.through else ""
        kind = f" ({line.key_prefix}…)" if line.key_prefix else ""
        found.append(f"{line.path} line {line.line}{through}: {line.name}{kind}")
    return found


def _holder(node: NodeFacts, keys: Keys) -> str:
    if not keys.loaded:
        return "on disk"
    where = "environment" if any(name.isupper() for name in keys.names) else "properties"
    return f"in {WHERE[where]} of the running process"


def _why_idle(keys: Keys, version: str) -> str:
    if keys.source is None:
        return "used by no version since 6.0"
    if keys.honoured:
        return f"not a whole pair, so that Elasticsearch {version} passes it over until the other half comes"
    since = members.listed(list(versions.honours_next(keys.source, version)))
    return f"ignored by Elasticsearch {version}; honoured from {since} on"
