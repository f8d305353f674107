"""Taking static keys out of a keystore: only where the role that then signs is proven on that node."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePosixPath

from ..facts import Install, Keystore, NodeFacts, Survey
from ..judgement import Command, Remedy, Step
from ..rules import keystore, members, role
from . import steps
from .asking import reload, restart_does_too, restarting, stamp, tool_variables, unlocking, verify_on, waits
from .refusal import not_yet, role_not_proven
from .region import drop_removed_settings

ASKS = "the tool asks for each value; the keystore gives none back, so it must come from where the keys are kept"

DECLARE = (
    "a client that is meant to sign with keys of its own is declared in the inventory "
    "(preflight_static_key_clients: [{client}]); S3 refusing them is then still a failure"
)
"""What settles the question where the keys work and are wanted."""


def remove_static_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """Take the static keys of every client that goes to AWS out of this node's keystore.

    The commands are the fix only where S3 accepted this node's role for every repository that uses the clients. Keys
    of a declared client are never removed.
    """
    found = tuple(keys for keys in keystore.amiss(survey, node) if not keys.intended)
    shared = next((keys for keys in found if keys.elsewhere), None)
    if shared is not None:
        return Remedy(
            caution=f"do not remove yet: {keystore.needed_still(node, shared)}",
            advice=(
                f"give {members.listed(shared.elsewhere)} a client and keys of its own first (its client setting)",
                "the command that removes the keys is printed here once the client goes to AWS alone",
            ),
        )
    why = next((w for w in (keystore.needed_still(node, keys) for keys in found) if w), None)
    if why is not None:
        return not_yet(survey, node, why)
    settings = [name for keys in found for name in keys.settings]
    repositories = sorted({r.name for keys in found for r in keys.repositories or ()})
    commands = [*_remove(survey, node, settings)]
    advice = [
        "also remove them from what put them there (configuration management, image, start script), or they come back",
        f"to undo: {as_root(node)}cp -p {shlex.quote(backup(survey, node))} {shlex.quote(keystore_path(node))}, "
        "then reload again",
        "once _verify passes, delete the copy, which holds the keys: "
        f"{as_root(node)}rm {shlex.quote(backup(survey, node))}",
    ]
    harmless = [keys.client for keys in found if keys.use in keystore.HARMLESS]
    if harmless:
        advice.append(DECLARE.format(client=", ".join(harmless)))
    if not repositories:
        advice = [
            "nothing has to be reloaded: nothing on this node signs with them",
            advice[0],
            f"once that is settled, delete the copy, which holds the keys: {as_root(node)}rm "
            + shlex.quote(backup(survey, node)),
            *advice[3:],
        ]
    elif steps.can_ask(survey, node):
        commands.append(reload(survey, node))
        commands.extend(verify_on(survey, node, name) for name in repositories)
        advice[:0] = steps.reload_advice(survey, node, settings, restart_does_too(node))
    else:
        why = waits(node)
        typed, told = restarting(node)
        commands += [] if why else typed
        advice[:0] = () if why else told
        advice.insert(
            0,
            "the process keeps the keys it has loaded until it is restarted or told to reload"
            + (f". Do not restart it yet: {why}" if why else ""),
        )
    return Remedy(
        commands=tuple(commands), advice=(*advice, *container(node)), steps=_steps(survey, node, found, settings)
    )


def _steps(
    survey: Survey, node: NodeFacts, found: Sequence[keystore.ClientKeys], settings: Sequence[str]
) -> tuple[Step, ...]:
    """The incident's order, the copy's deletion last: until then everything can be undone."""
    signs = {r.name: r for keys in found for r in keys.repositories or ()}
    path, copy = shlex.quote(keystore_path(node)), shlex.quote(backup(survey, node))
    owned = f"{as_root(node)}stat -c '%a %U:%G' {path} {copy} | sort -u | awk '{{ print }} END {{ exit NR != 1 }}'"
    loaded: tuple[Step, ...] = ()
    if signs and steps.can_ask(survey, node):
        loaded = (steps.reload(survey, node, settings),)
    elif signs:
        loaded = (steps.restart_one(survey, node, "this run had no login for Elasticsearch, so a reload has none"),)
    # Keys that were not seen in use must not be put in use by the way back.
    used = any(keys.use in ("refused", "accepted") for keys in found)
    again = [command for step in loaded for command in step.commands] if used else []
    undo = Command(where=node.name, text=f"{as_root(node)}cp -p {copy} {path}")
    return (
        Step(
            phase="prepare",
            title="Copy the keystore aside, with its owner and mode",
            commands=(Command(where=node.name, text=f"{as_root(node)}cp -p -n {path} {copy}"),),
            notes=("a secret key cannot be read back from IAM: this copy is the only way back",),
        ),
        steps.role_proven(node, tuple(signs.values())),
        Step(
            phase="change",
            title="Remove every static setting of the client in one call",
            commands=(tool(node, "remove", settings), Command(where=node.name, text=owned)),
            notes=(
                "in one call: with half a pair left a reload is refused and the next start ends",
                *unlocking(node),
                "the second command compares owner and mode with the copy's, and one line is right. After two, give "
                "them back (chown and chmod with --reference=COPY), or the next start cannot read the keystore",
            ),
        ),
        *loaded,
        *steps.verify(survey, node, sorted(signs)),
        steps.sources(),
        Step(
            phase="undo",
            title="Only where something went wrong: put the copy back",
            commands=(undo, *again),
            notes=(
                "that puts the old keys in use again"
                if again
                else "the process goes on as it is; a reload or restart would then put the keys in use",
            ),
        ),
        Step(
            phase="cleanup",
            title="Last of all, delete the copy, which holds the keys",
            commands=(Command(where=node.name, text=f"{as_root(node)}rm {copy}"),),
            notes=("not before a snapshot has succeeded: after this nothing can be undone",),
        ),
    )


def _remove(survey: Survey, node: NodeFacts, settings: list[str]) -> tuple[Command, ...]:
    """Copy the keystore aside, then remove every name in one call of the tool: half a pair stops the client."""
    return (set_aside(survey, node), tool(node, "remove", settings))


def set_aside(survey: Survey, node: NodeFacts) -> Command:
    """Keep a copy of the keystore, with owner and mode."""
    path = shlex.quote(keystore_path(node))
    return Command(where=node.name, text=f"{as_root(node)}cp -p {path} {shlex.quote(backup(survey, node))}")


def tool(node: NodeFacts, verb: str, arguments: Sequence[str] = ()) -> Command:
    """One call of elasticsearch-keystore, as the file's owner and for this node's configuration folder."""
    install = node.install if isinstance(node.install, Install) else None
    home = install.home if install else "/usr/share/elasticsearch"
    conf = install.path_conf if install else str(PurePosixPath(keystore_path(node)).parent)
    words = " ".join(shlex.quote(word) for word in (f"{home}/bin/elasticsearch-keystore", verb, *arguments))
    env = "env " if _container(node) else ""
    return Command(where=node.name, text=f"{as_root(node)}{env}{tool_variables(install, conf)} {words}")


def _container(node: NodeFacts) -> str | None:
    contained = isinstance(node.install, Install) and node.install.layout == "docker"
    return steps.container_of(node) if contained else None


def as_root(node: NodeFacts) -> str:
    """sudo as the keystore's owner: the tool refuses to save a file whose owner would change (exit 78).

    In a container its own user is that, and a name of the host's would be another's there.
    """
    inside = _container(node)
    if inside:
        return f"sudo docker exec {inside} "
    owner = node.keystore.owner if isinstance(node.keystore, Keystore) else None
    return "sudo " if owner in (None, "root") else f"sudo -u {shlex.quote(owner)} "


def keystore_path(node: NodeFacts) -> str:
    """Where the file is, else where the packages have it."""
    return node.keystore.path if isinstance(node.keystore, Keystore) else "/etc/elasticsearch/elasticsearch.keystore"


def backup(survey: Survey, node: NodeFacts) -> str:
    """Name of the copy that a printed command makes."""
    return f"{keystore_path(node)}.before-preflight-{stamp(survey)}"


def container(node: NodeFacts) -> tuple[str, ...]:
    """What differs where Elasticsearch runs in a container."""
    if not isinstance(node.install, Install) or node.install.layout != "docker":
        return ()
    said = (
        "a keystore that is mounted as a file of its own, or made from a secret at each start (ECK), is changed there"
    )
    if _container(node) is None:
        return ("type the node's commands inside its container (docker exec), without sudo", said)
    return (f"the commands enter its container by docker exec; {said}",)


def forget_loaded_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """Make the process drop a key that its keystore no longer holds."""
    signs = role.repositories(survey, node)
    why = role_not_proven(node, signs)
    if why is not None:
        return not_yet(survey, node, why, what="reload or restart", later=None)
    if not steps.can_ask(survey, node):
        why = waits(node)
        if why is not None:
            return Remedy(caution=why, commands=drop_removed_settings(survey, node).commands)
        typed, told = restarting(node)
        return Remedy(
            commands=typed,
            advice=told,
            steps=(
                steps.role_proven(node, signs),
                steps.restart_one(survey, node, "this run had no login for Elasticsearch, so a reload has none"),
            ),
        )
    repositories = sorted(r.name for r in signs)
    return Remedy(
        commands=(
            reload(survey, node),
            *(verify_on(survey, node, name) for name in repositories),
        ),
        advice=(
            *steps.reload_advice(survey, node, otherwise=restart_does_too(node)),
            "registering the repository again does not: the process reads its keystore at start and reload only",
        ),
        steps=(
            steps.role_proven(node, signs),
            steps.reload(survey, node),
            *steps.verify(survey, node, repositories),
            steps.sources(),
        ),
    )


def discovery_keys(node: NodeFacts) -> Remedy:
    """Nothing in the survey proves that the role may describe instances, so this removes nothing."""
    return Remedy(
        caution="do not remove yet: whether the role may call ec2:DescribeInstances is not proven",
        advice=(
            "allow ec2:DescribeInstances to the role, remove discovery.ec2.* from one node's keystore, restart it and "
            "see it join before the next",
        ),
    )
