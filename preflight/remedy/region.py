"""The region in a node's own settings."""

from __future__ import annotations

import shlex

from ..facts import Config, CouldNotCheck, NodeFacts, Repository, Survey
from ..judgement import Command, Remedy, Step
from ..rules import cluster, region
from . import steps
from .asking import AFTERWARDS, CONTROLLER, restarting, stamp, waits


def set_region(survey: Survey, node: NodeFacts) -> Remedy:
    """Write the bucket's region for every client that lacks it or contradicts it, and restart."""
    why = waits(node)
    if why is not None:
        return Remedy(caution=why, commands=drop_removed_settings(survey, node).commands)
    absent = [plugin for plugin in cluster.lacking_plugins(survey, node) if "repository-s3" in plugin]
    if absent:
        return Remedy(caution=f"without {absent[0]} the setting is unknown, and no start gets past it")
    commands: list[Command] = []
    advice: list[str] = []
    for repository in region.judged(survey, node):
        wanted = region.bucket_region(survey, node, repository.name)
        value, source = _used(survey, node, repository)
        if source == "bucket" or (wanted and value == wanted and source != "IMDS"):
            continue
        if wanted is None:
            return Remedy(
                caution=f"which region is right is not proven: S3 named none for the bucket of {repository.name}",
                commands=(
                    Command(
                        where=CONTROLLER, text=f"aws s3api head-bucket --bucket {shlex.quote(repository.bucket or '')}"
                    ),
                ),
            )
        if source == "repository":
            advice.append(
                f"{repository.name} itself names {value}: register it again (PUT _snapshot/{repository.name}) "
                f"with all of its settings and region {wanted}"
            )
            continue
        if source == "endpoint":
            name = f"s3.client.{repository.client}.endpoint"
            return Remedy(
                caution=f"{repository.name} goes to an endpoint of {value}, and a region of {wanted} beside it is not "
                "proven to work: the endpoint itself has to go, or to name the bucket's region",
                commands=(Command(where=node.name, text=_shown(node, "endpoint")),),
                advice=(
                    f"{name} in elasticsearch.yml, or endpoint among the repository's own settings",
                    AFTERWARDS,
                ),
            )
        command = Command(where=node.name, text=_setting(node, f"s3.client.{repository.client}.region", wanted))
        if command not in commands:
            commands.append(command)
    edits = tuple(commands)
    if commands:
        typed, told = restarting(node)
        commands += typed
        advice += told
        advice.append(
            "settings in elasticsearch.yml are read at start only; restart one node at a time and wait for green"
        )
    if any(command.text.startswith("sudo sed") for command in commands):
        advice.append("a setting written as nested keys (s3: client: …) stays as it is: that one is for an editor")
    return Remedy(
        commands=tuple(commands), advice=(*advice, AFTERWARDS), steps=_steps(survey, node, edits) if edits else ()
    )


def _steps(survey: Survey, node: NodeFacts, edits: tuple[Command, ...]) -> tuple[Step, ...]:
    file, copy = shlex.quote(_path(node)), shlex.quote(f"{_path(node)}.before-preflight-{stamp(survey)}")
    again = steps.restart_one(survey, node, "settings in elasticsearch.yml are read at start only")
    return (
        Step(
            phase="prepare",
            title="Copy elasticsearch.yml aside",
            commands=(Command(where=node.name, text=f"sudo cp -p -n {file} {copy}"),),
        ),
        Step(
            phase="change",
            title="Write the bucket's region",
            commands=edits,
            notes=("a setting written as nested keys (s3: client: …) stays as it is: that one is for an editor",),
        ),
        again,
        *steps.verify(survey, node, [r.name for r in region.judged(survey, node)]),
        Step(
            phase="prevent",
            title="Change it in what writes elasticsearch.yml",
            notes=("configuration management, the image, user data: else the next run of it takes it back",),
        ),
        Step(
            phase="undo",
            title="Only where something went wrong: put the copy back",
            commands=(Command(where=node.name, text=f"sudo cp -p {copy} {file}"), *again.commands),
        ),
        Step(
            phase="cleanup",
            title="Last of all, delete the copy",
            commands=(Command(where=node.name, text=f"sudo rm {copy}"),),
        ),
    )


def _used(survey: Survey, node: NodeFacts, repository: Repository) -> tuple[str | None, str | None]:
    try:
        return region.used(survey, node, repository)
    except CouldNotCheck:
        return None, None


def _shown(node: NodeFacts, word: str) -> str:
    return f"sudo grep -nE {shlex.quote(word)} {shlex.quote(_path(node))}"


def _path(node: NodeFacts) -> str:
    return node.config.path if isinstance(node.config, Config) else "/etc/elasticsearch/elasticsearch.yml"


def _setting(node: NodeFacts, name: str, value: str) -> str:
    file = shlex.quote(_path(node))
    if isinstance(node.config, Config) and name in node.config.names:
        pattern = name.replace(".", r"\.")
        return f"sudo sed -i {shlex.quote(f's|^{pattern}:.*|{name}: {value}|')} {file}"
    # The file's last line may lack its newline.
    return f"printf '\\n%s\\n' {shlex.quote(f'{name}: {value}')} | sudo tee -a {file}"


def drop_removed_settings(survey: Survey, node: NodeFacts) -> Remedy:
    """Comment the settings out, a copy of the file kept."""
    if not isinstance(node.config, Config):
        return Remedy()
    file = shlex.quote(node.config.path)
    found = [name for name in node.config.names if region.REMOVED.fullmatch(name)]
    pattern = "|".join(name.replace(".", r"\.") for name in found)
    suffix = shlex.quote(f".before-preflight-{stamp(survey)}")
    return Remedy(
        commands=(
            Command(where=node.name, text=f"sudo sed -i{suffix} -E {shlex.quote(f's/^({pattern}):/#&/')} {file}"),
            Command(where=node.name, text=_shown(node, "cloud|repositories")),
        ),
        advice=(
            "the running process does not mind; the next start refuses the file",
            "settings written as nested keys (cloud: aws: region:) are for an editor: the second command shows them",
        ),
    )
