"""The causes that lie in a keystore or in what the next start would read: rows of the table in causes.py."""

from __future__ import annotations

from collections.abc import Sequence

from .. import remedy
from ..facts import PROTECTED, CouldNotCheck, NodeFacts, Unknown, known
from ..judgement import NotApplicable, Remedy
from ..rules import keystore, keystores, members, refusals, restart, rotation, sources
from .found import Found
from .scene import Scene


def keys_differ(scene: Scene, node: NodeFacts) -> Found | None:
    """Another key than the peers have under the same name; where S3 refuses it, the cause of that too."""
    finding = rotation.same_keys(scene.survey, node)
    if finding is None:
        return None
    found = rotation.different(scene.survey, node)
    refused = any(one.use == "refused" for one in found)
    by_client = {keys.client: keys for keys in keystore.amiss(scene.survey, node)}
    kinds = ("key refused",) if refused else ()
    return Found(
        title="{nodes}: another static key than the other nodes have for the same S3 client"
        + (", and S3 refuses it: a rotation that did not reach every node" if refused else ": a half-done rotation"),
        evidence=(
            f"{node.name}: {finding.observed}",
            *finding.details,
            *(scene.sentences(node, "key refused") if refused else ()),
        ),
        confidence="certain" if any(one.reference for one in found) else "likely",
        explains=(
            ("KEY-6", node.name),
            *((("KEY-1", node.name),) if refused and by_client else ()),
            *scene.repository_pairs(node, *kinds),
        ),
        remedy=remedy.match_keys(scene.survey, node),
    )


def _differing(scene: Scene, node: NodeFacts) -> set[str]:
    """The clients that keys_differ speaks of."""
    try:
        return {one.client for one in rotation.different(scene.survey, node)}
    except (CouldNotCheck, NotApplicable):
        return set()


def temporary_key(scene: Scene, node: NodeFacts) -> Found | None:
    """A temporary key without the token that it is valid with alone."""
    found = keystores.temporary_alone(scene.survey, node)
    if not found:
        return None
    return Found(
        title="{nodes}: a temporary key (ASIA) without its session token in the keystore; S3 refuses it whenever used",
        evidence=(f"{node.name}: {members.listed(found)}", *scene.sentences(node, "key refused")),
        confidence="certain",
        explains=(("KEY-3", node.name), ("KEY-1", node.name), *scene.repository_pairs(node, "key refused")),
        remedy=remedy.mend_keys(scene.survey, node),
    )


def stale_keys(scene: Scene, node: NodeFacts) -> Found | None:
    """Keys in the keystore that S3 refuses, where no row above says more of them."""
    told = _differing(scene, node)
    refused = [keys for keys in keystore.client_keys(scene.survey, node) if keys.refusal and keys.client not in told]
    if not refused or keystores.temporary_alone(scene.survey, node):
        return None
    meaning = refusals.meaning(refused[0].refusal or "")
    names = [name for keys in refused for name in keys.settings]
    return Found(
        title="{nodes}: stale static keys in the keystore win over the instance role, and S3 refuses them",
        evidence=(
            f"{node.name}: {members.listed(names)} in {known(node.keystore).path}",
            f"_verify on {refused[0].refused_on or node.name}: {refused[0].refusal}",
            *((f"{node.name}: the key of {refused[0].refused_on}",) if refused[0].refused_on else ()),
            *((meaning.words,) if meaning else ()),
            _proof(node, refused),
        ),
        confidence="likely" if refused[0].changed else "certain",
        explains=(("KEY-1", node.name), *scene.repository_pairs(node, "key refused")),
        remedy=remedy.mend_keys(scene.survey, node),
    )


def _proof(node: NodeFacts, found: Sequence[keystore.ClientKeys]) -> str:
    why = next((w for w in (keystore.needed_still(node, keys) for keys in found) if w), None)
    if why is not None:
        return why
    if not any(keys.repositories for keys in found):
        return f"{node.name}: nothing on this node signs with them"
    return f"{node.name}: S3 accepts a list signed with this node's role, so the keys are not needed"


def loaded_keys(scene: Scene, node: NodeFacts) -> Found | None:
    """S3 refuses a key although neither keystore nor environment holds one: the process has it from before."""
    said = scene.sentences(node, "key refused", keystore.without_keys(scene.survey, node))
    if not said:
        return None
    if sources.in_use(scene.survey, node) or any(k.loaded is None for k in sources.waiting(scene.survey, node)):
        return None  # that key signs, or may (outside.environment_keys, waiting_keys)
    changed = keystore.changed_since_start(node)
    when = "the file changed after the process started" if changed else "the file is older than the process"
    return Found(
        title="{nodes}: the process still signs with a key that is no longer in the keystore, and S3 refuses it",
        evidence=(*said, f"{node.name}: the keystore holds no key of that S3 client ({when})"),
        confidence="likely",
        explains=scene.repository_pairs(node, "key refused"),
        remedy=remedy.forget_loaded_keys(scene.survey, node),
    )


def waiting_keys(scene: Scene, node: NodeFacts) -> Found | None:
    """Keys on disk that the process has not loaded."""
    found = _others_than_halves(node, keystore.amiss(scene.survey, node), "waiting", "unknown")
    waiting = [keys for keys in found if keys.may_wait]
    if not waiting:
        return None
    names = [name for keys in waiting for name in keys.settings]
    sure = any(keys.use == "waiting" for keys in waiting)
    return Found(
        title="{nodes}: static keys in the keystore that the process "
        + ("has not loaded; " if sure else "may not have loaded yet; ")
        + "the next restart or reload puts them in use",
        evidence=(f"{node.name}: {members.listed(names)}: {keystore.state(waiting[0])}", _proof(node, waiting)),
        confidence="likely" if sure else "possible",
        explains=(("KEY-1", node.name), ("RESTART-1", node.name)),
        remedy=remedy.remove_static_keys(scene.survey, node),
    )


def _others_than_halves(
    node: NodeFacts, found: tuple[keystore.ClientKeys, ...], *uses: str
) -> tuple[keystore.ClientKeys, ...]:
    """The clients' keys in one of these uses; half a pair has a cause of its own."""
    broken = {half.client for half in keystores.halves(known(node.keystore).settings)}
    return tuple(keys for keys in found if keys.use in uses and keys.client not in broken)


def half_pair(scene: Scene, node: NodeFacts) -> Found | None:
    """Half a pair or a token alone: the cause of its KEY-1 too, where nothing else is."""
    halves = keystores.halves(known(node.keystore).settings)
    if not halves:
        return None
    return Found(
        title="{nodes}: half a pair of keys in the keystore; a reload is refused and the next start ends",
        evidence=tuple(f"{node.name}: {keystores.described(half)} ({half.says!r})" for half in halves),
        confidence="certain",
        explains=(
            ("KEY-3", node.name),
            ("KEY-4", node.name),
            ("RESTART-1", node.name),
            *((("KEY-1", node.name),) if _only_halves(scene, node) else ()),
        ),
        remedy=remedy.complete_pair(scene.survey, node),
    )


def _only_halves(scene: Scene, node: NodeFacts) -> bool:
    """Every static key of a client that goes to AWS is part of half a pair."""
    try:
        found = keystore.amiss(scene.survey, node)
    except CouldNotCheck:
        return False
    return not _others_than_halves(node, found, *keystore.WORST)


def protected(scene: Scene, node: NodeFacts) -> Found | None:
    """A keystore with a password that the run does not have: nothing in it could be checked."""
    if not isinstance(node.keystore, Unknown) or PROTECTED not in node.keystore.reason:
        return None
    closed = any(reason.kind == "password" for reason in restart.judge(scene.survey, node).reasons)
    start = remedy.come_back(scene.survey, node) if closed else Remedy()
    beside = [
        (o.check, o.node)
        for o in scene.outcomes
        if o.check in ("KEY-4", "KEY-6") and o.outcome == "could not check" and f"see {node.name}'s" in o.reason
    ]
    return Found(
        title="{nodes}: the keystore is password-protected: this run cannot open it"
        + (", nor could the service's next start" if closed else ""),
        evidence=(f"{node.name}: {node.keystore.reason}",),
        confidence="certain",
        explains=(
            *(pair for pair in scene.unchecked(node.name) if pair[0].startswith("KEY-")),
            ("RESTART-1", node.name),
            *beside,
        ),
        remedy=Remedy(
            caution=f"what the keystore holds is not known: remove, reload and restart nothing on {node.name} yet",
            commands=start.commands,
            advice=(f"run again with {node.keystore.remedy}", *start.advice),
        ),
    )


def keystore_file(scene: Scene, node: NodeFacts) -> Found | None:
    """The file is gone, closed to Elasticsearch's user, or not as its package makes it."""
    finding = keystores.file_in_order(node)
    if finding is None:
        return None
    file = known(node.keystore)
    gone = not file.exists
    closed = file.readable_by_service is False
    titles = {
        (True, False): "{nodes}: the keystore is gone",
        (False, True): "{nodes}: Elasticsearch's user may not read the keystore; a reload and the next start fail",
    }
    return Found(
        title=titles.get((gone, closed), "{nodes}: the keystore's owner or mode is not its package's"),
        evidence=(f"{node.name}: {finding.observed}",),
        confidence="certain",
        explains=(
            ("KEY-5", node.name),
            *((("RESTART-1", node.name),) if keystores.out_of_reach(node) else ()),
            *((("KEY-4", node.name),) if gone else ()),
        ),
        remedy=remedy.mend_file(scene.survey, node),
    )


def keystore_differs(scene: Scene, node: NodeFacts) -> Found | None:
    """A client that the peers have otherwise; not where the file is gone or half a pair says so already."""
    finding = keystores.same_clients(scene.survey, node)
    if finding is None or keystores.halves(known(node.keystore).settings) or not known(node.keystore).exists:
        return None
    using = keystores.without_their_keys(scene.survey, node)
    # The role signs instead, whose key such a service has never heard of.
    kinds = ("key refused", "denied", "no credentials") if using else ()
    return Found(
        title="{nodes}: the keystore does not hold what the other nodes' keystores hold for the same S3 client",
        evidence=(
            f"{node.name}: {finding.observed}",
            *finding.details,
            *(line for kind in kinds for line in scene.sentences(node, kind, using)),
        ),
        confidence="certain",
        explains=(("KEY-4", node.name), *scene.repository_pairs(node, *kinds, only=using)),
        remedy=remedy.match_clients(scene.survey, node),
    )


def would_not_start(scene: Scene, node: NodeFacts) -> Found | None:
    """What ends the next start and has no row of its own."""
    own = ["secure setting", "removed setting"]
    if not isinstance(node.keystore, Unknown):
        own.append("password")  # else the row protected says so
    reasons = [reason for reason in restart.judge(scene.survey, node).reasons if reason.kind in own]
    if not reasons:
        return None
    removed = any(reason.kind == "removed setting" for reason in reasons)
    secure = any(reason.kind == "secure setting" for reason in reasons)
    return Found(
        title="{nodes}: would not start again",
        evidence=tuple(f"{node.name}: {reason.text}" for reason in reasons),
        confidence="certain",
        explains=(
            ("RESTART-1", node.name),
            *((("REGION-3", node.name),) if removed else ()),
            *((("SRC-1", node.name),) if secure else ()),
        ),
        remedy=remedy.come_back(scene.survey, node),
    )


def changed(scene: Scene, node: NodeFacts) -> Found | None:
    """Nothing but a change that no start has read."""
    judged = restart.judge(scene.survey, node)
    if judged.reasons or not judged.changes:
        return None
    return Found(
        title="{nodes}: configuration changed since Elasticsearch started and has not been through a start",
        evidence=tuple(f"{node.name}: {change}" for change in judged.changes),
        confidence="certain",
        explains=(("RESTART-1", node.name),),
        remedy=remedy.come_back(scene.survey, node),
    )


def keys_present(scene: Scene, node: NodeFacts) -> Found | None:
    """Keys that nobody refused, or whose use nobody can tell."""
    found = _others_than_halves(node, keystore.amiss(scene.survey, node), "accepted", "unknown", "unused")
    present = [keys for keys in found if not keys.may_wait]
    if not present:
        return None
    names = [name for keys in present for name in keys.settings]
    uses = {keys.use for keys in present}
    title = "{nodes}: static keys in the keystore that nothing signs with today"
    if uses & {"accepted", "unknown"}:
        title = "{nodes}: static keys in the keystore; they win over the instance role until the day they are rotated"
    return Found(
        title=title,
        evidence=(
            f"{node.name}: {members.listed(names)}: {keystore.state(present[0])}",
            _proof(node, present),
        ),
        confidence="certain",
        explains=(("KEY-1", node.name),),
        remedy=remedy.mend_keys(scene.survey, node),
    )
