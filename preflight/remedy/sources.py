"""Taking static keys out of the files that feed Elasticsearch's start; only a restart makes the process forget them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from ..facts import Config, Install, NodeFacts, Process, Source, Sources, Survey
from ..judgement import Command, Remedy, Step
from ..rules import members, sources
from . import steps
from .asking import AFTERWARDS, beforehand, restarting, stamp, verify_on, waits
from .refusal import not_yet, role_not_proven
from .region import drop_removed_settings

UNTOUCHED = "the running process does not use them: nothing has to be restarted for this"


def remove_outside_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """Comment out what hands the process a static key that this version uses, and restart where it has it already.

    The commands are the fix only where S3 accepted this node's role for every repository on AWS. Keys that a running
    process was seen not to have are none that it needs.
    """
    secure = sources.secure_in_yml(node)
    if secure:
        after = _after(survey, node, (_yml(node),))
        return Remedy(commands=_from_yml(survey, node, secure), advice=(UNTOUCHED, *_nested(node), *after))
    used, waiting = sources.in_use(survey, node), sources.waiting(survey, node)
    lines = [line for keys in (*used, *waiting) for line in keys.lines]
    if not isinstance(node.process, Process):
        used += waiting  # whether it lives on them is not known
    files = _files(lines)
    edits = _edits(survey, node, lines)
    if not used:
        return Remedy(commands=edits, advice=(UNTOUCHED, *_after(survey, node, files)))
    repositories = sources.on_aws(survey, node)
    elsewhere = sources.elsewhere(survey, node)
    if elsewhere:
        return Remedy(
            caution=f"do not remove yet: {members.listed(elsewhere)} is not on AWS and has no key in the keystore: "
            "these sign for it too, and a role opens nothing there"
        )
    why = role_not_proven(node, repositories)
    if why is not None:
        return not_yet(survey, node, why)
    refuses = waits(node)
    if refuses is not None:
        return Remedy(caution=refuses, commands=drop_removed_settings(survey, node).commands)
    names = [name for keys in used for name in keys.names]
    nowhere = [name for name in names if not any(line.name == name for line in lines)]
    if nowhere:
        return Remedy(
            caution=f"remove {members.listed(nowhere)} where the process gets it first: no file that was read "
            "gives it, and a restart alone may bring it back",
            commands=edits,
            advice=(
                f"read: {_read(node)}",
                "look at the start script, the container's own settings, the unit's ExecStart",
            ),
        )
    typed, told = restarting(node)
    again = tuple(verify_on(survey, node, r.name) for r in repositories or () if steps.can_ask(survey, node))
    return Remedy(
        commands=(*edits, *typed, *again),
        advice=(
            *told,
            RELOAD_CANNOT,
            "restart one node at a time, the elected master last; green and no snapshot running before each",
            *(beforehand(node) if again else ()),
            *_after(survey, node, files),
        ),
        steps=_steps(survey, node, edits, files, used),
    )


RELOAD_CANNOT = "a reload cannot do it: variables and -D options are read when the process starts"


def _steps(
    survey: Survey, node: NodeFacts, edits: Sequence[Command], files: Sequence[str], used: Sequence[sources.Keys]
) -> tuple[Step, ...]:
    repositories = sources.on_aws(survey, node) or ()
    units = any(line.kind == "unit" for keys in used for line in keys.lines)
    back = [
        Command(where=node.name, text=f"{steps.root(node)}cp -p {shlex.quote(_copy(survey, path))} {shlex.quote(path)}")
        for path in files
    ]
    back += [Command(where=node.name, text="sudo systemctl daemon-reload")] if units else []
    again = steps.restart_one(survey, node, RELOAD_CANNOT)
    copies = " ".join(shlex.quote(_copy(survey, path)) for path in files)
    return (
        steps.role_proven(node, repositories),
        Step(
            phase="change",
            title="Copy each file aside and comment the keys out",
            commands=tuple(edits),
            notes=("a secret key cannot be read back from IAM: the copies are the only way back",),
        ),
        again,
        *steps.verify(survey, node, [r.name for r in repositories]),
        steps.sources(),
        Step(
            phase="undo",
            title="Only where something went wrong: put the copies back",
            commands=(*back, *again.commands),
            notes=("that puts the old keys in use again",),
        ),
        Step(
            phase="cleanup",
            title="Last of all, delete the copies, which hold the keys",
            commands=(Command(where=node.name, text=f"{steps.root(node)}rm {copies}"),),
            notes=("not before a snapshot has succeeded: after this nothing can be undone",),
        ),
    )


def remove_idle_keys(survey: Survey, node: NodeFacts) -> Remedy:
    """Comment out keys that nothing uses, before an upgrade or the other half of a pair makes them count."""
    idle, bare = sources.idle(survey, node), sources.bare_in_yml(node)
    lines = [line for keys in idle for line in keys.lines]
    commands = _edits(survey, node, lines) + (_from_yml(survey, node, bare) if bare else ())
    advice: tuple[str, ...] = ()
    if commands:
        files = _files(lines) + ((_yml(node),) if bare else ())
        advice = (UNTOUCHED, *(_nested(node) if bare else ()), *_after(survey, node, files))
    elif idle:
        advice = (
            f"none of the files that were read gives them ({_read(node)}): look at the start script and the unit",
        )
    if not sources.insecure_allowed(node):
        return Remedy(commands=commands, advice=advice)
    first = (
        "do not take -Des.allow_insecure_settings away yet: a repository that carries keys of its own then fails: "
        "register each one again without access_key and secret_key first"
    )
    return Remedy(commands=commands, advice=(*advice, first)) if commands else Remedy(caution=first, advice=advice)


def _edits(survey: Survey, node: NodeFacts, lines: Iterable[Source]) -> tuple[Command, ...]:
    """A copy aside and one sed a file; systemd is told where a unit changed."""
    by_file: dict[str, list[Source]] = {}
    for line in lines:
        by_file.setdefault(line.path, []).append(line)
    commands: list[Command] = []
    for path, inside in by_file.items():
        script = "; ".join(dict.fromkeys(part for kind in _kinds(inside) for part in _script(kind, inside)))
        commands += _edit(survey, node, path, script)
    if any(line.kind == "unit" for inside in by_file.values() for line in inside):
        commands.append(Command(where=node.name, text="sudo systemctl daemon-reload"))
    return tuple(commands)


def _kinds(lines: list[Source]) -> list[str]:
    return list(dict.fromkeys(line.kind for line in lines))


def _script(kind: str, lines: list[Source]) -> list[str]:
    """sed -E for one kind of file. What stands beside a key on its line stays."""
    own = _either(line.name for line in lines if line.kind == kind and line.through is None)
    options = _either(line.name for line in lines if line.kind == kind and line.through)
    drop = rf's/-D({options})(=[^[:space:]"\x27]*)?//g'
    if kind == "jvm-options":
        return [rf"s/^([0-9]+(-[0-9]*)?:)?-D({own})(=|$)/#&/"]
    if kind == "variables":
        start = r"^[[:space:]]*(export[[:space:]]+)?"
        return [f"s/{start}({own})=/#&/"] * bool(own) + [f"/{start}ES_JAVA_OPTS=/{drop}"] * bool(options)
    parts = [
        rf's/"({own})=[^"]*"//g',
        rf"s/\x27({own})=[^\x27]*\x27//g",
        rf"s/([=[:space:]])({own})=[^[:space:]]*/\1/g",
    ] * bool(own) + [drop] * bool(options)
    # An Environment= without a value would take back every variable given before it.
    parts.append(r"s/^[[:space:]]*Environment=[[:space:]]*$/#&/")
    # Lines that a backslash continues become one first, so that none is left half empty.
    return [r":a; /\\$/{N; s/\\\n/ /; ba;}", "/^[[:space:]]*Environment=/{" + "; ".join(parts) + "}"]


def _from_yml(survey: Survey, node: NodeFacts, names: tuple[str, ...]) -> tuple[Command, ...]:
    script = rf's/^[[:space:]]*["\x27]?({_either(names)})["\x27]?[[:space:]]*:/#&/'
    return tuple(_edit(survey, node, _yml(node), script))


def _edit(survey: Survey, node: NodeFacts, path: str, script: str) -> list[Command]:
    file, copy = shlex.quote(path), shlex.quote(_copy(survey, path))
    return [
        Command(where=node.name, text=f"{steps.root(node)}cp -p {file} {copy}"),
        Command(where=node.name, text=f"{steps.root(node)}sed -i -E {shlex.quote(script)} {file}"),
    ]


def _copy(survey: Survey, path: str) -> str:
    return f"{path}.before-preflight-{stamp(survey)}"


def _either(names: Iterable[str]) -> str:
    return "|".join(name.replace(".", r"\.") for name in dict.fromkeys(names))


def _files(lines: Iterable[Source]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(line.path for line in lines))


def _read(node: NodeFacts) -> str:
    return members.listed(node.sources.files) if isinstance(node.sources, Sources) else "none"


def _nested(node: NodeFacts) -> tuple[str, ...]:
    return (f"settings written as nested keys (s3: client: …) are for an editor: {_yml(node)}",)


def _yml(node: NodeFacts) -> str:
    return node.config.path if isinstance(node.config, Config) else "/etc/elasticsearch/elasticsearch.yml"


def _after(survey: Survey, node: NodeFacts, files: tuple[str, ...]) -> tuple[str, ...]:
    found = [
        "also remove them from what put them there (configuration management, image, user data), or they come back"
    ]
    for path in files:
        found.append(f"to undo: {steps.root(node)}cp -p {shlex.quote(_copy(survey, path))} {shlex.quote(path)}")
    if files:
        copies = " ".join(shlex.quote(_copy(survey, path)) for path in files)
        found.append(f"at the very end, delete what still holds the keys: {steps.root(node)}rm {copies}")
    if isinstance(node.install, Install) and node.install.layout == "docker":
        found.append(
            "Elasticsearch runs in a container here: a file of its image or volume is changed where it comes from"
        )
    return (*found, AFTERWARDS)
