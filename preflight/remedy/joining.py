"""How a node that runs comes back into the others' cluster; its data is put aside at most, never removed."""

from __future__ import annotations

import re
import shlex

from ..facts import NO_CLUSTER, Cluster, Config, Install, NodeFacts, Survey, Unknown, View
from ..judgement import Command, Remedy, Step
from ..rules import joining, restart
from . import steps
from .asking import AFTERWARDS, ask, restarting, stamp, unit_of
from .asking import restart as restart_words

HARMLESS = "it has no elected master and so holds no shard in use: the restart takes nothing from the cluster"
ELSEWHERE = "also change it in what writes elasticsearch.yml (configuration management, image, user data)"


def rejoin(survey: Survey, node: NodeFacts, cluster: Cluster) -> Remedy:
    """Put right what leads the node past its cluster, and restart it: without a master it holds no shard in use."""
    wrong = joining.misled(node, cluster, survey)
    view = node.view
    if isinstance(view, View) and view.cluster_uuid not in (NO_CLUSTER, cluster.uuid):
        return Remedy(
            caution=f"its data is of another cluster ({view.cluster_uuid}): {cluster.name} lets nobody in with that",
            commands=(log_of(node),),
            advice=(
                "find out whose data that is: a volume that was attached to the wrong node, or what is left of a "
                "cluster that lost its other members",
            ),
        )
    settings = {one.setting for one in wrong} - {joining.FOUNDERS}
    if not settings:
        return Remedy(
            caution="why it does not join is not proven: its log says",
            commands=(log_of(node),),
            advice=(
                "compare PORT-1 of both sides and the certificates of transport (TLS-1); a node of an older version "
                "than the cluster's oldest member is not let in either",
            ),
        )
    ending = [reason for reason in restart.judge(survey, node).reasons if reason.kind != "waiting keys"]
    if ending:
        return Remedy(caution=f"mend this first, or its restart ends: {ending[0].text}", commands=(log_of(node),))
    commands, advice = restarting(node)
    edits = change_settings(survey, node, cluster, settings)
    return Remedy(
        commands=(*edits, *commands),
        advice=(*advice, HARMLESS, ELSEWHERE, AFTERWARDS),
        steps=_steps(survey, node, cluster, edits) if edits else (),
    )


def _steps(survey: Survey, node: NodeFacts, cluster: Cluster, edits: tuple[Command, ...]) -> tuple[Step, ...]:
    file = node.config.path if isinstance(node.config, Config) else ""
    copy = shlex.quote(f"{file}.before-preflight-{stamp(survey)}")
    inside = next((n for n in survey.nodes if survey.cluster_of(n) is cluster and survey.member_of(n)), None)
    again = steps.restarted(node)
    look = (steps.green(survey, inside),) if inside is not None and steps.can_ask(survey, inside) else ()
    back = (steps.green(survey, inside, more=1),) if inside is not None and look else ()
    typed = (*look, again, *back) if again else ()
    told = () if again else (f"{node.name}: {restart_words(node)}",)
    return (
        Step(phase="change", title="Write whom it has to look for", commands=edits),
        Step(
            phase="apply",
            title=steps.RESTART,
            commands=typed,
            notes=(*told, HARMLESS, "the last answer counts it among the members; it may take a minute"),
        ),
        Step(phase="prevent", title="Change it in what writes elasticsearch.yml", notes=(ELSEWHERE,)),
        Step(
            phase="undo",
            title="Only where something went wrong: put the copy back",
            commands=(Command(where=node.name, text=f"sudo cp -p {copy} {shlex.quote(file)}"),),
        ),
        Step(
            phase="cleanup",
            title="Last of all, delete the copy",
            commands=(Command(where=node.name, text=f"sudo rm {copy}"),),
        ),
    )


def merge(survey: Survey, node: NodeFacts) -> Remedy:
    """What the smaller cluster has taken in is not in the other: look before its data is put aside."""
    cluster = joining.home(survey)
    look = ask(survey, node, "_cat/indices?v&s=index&h=index,docs.count,creation.date.string", "GET")
    if cluster is None:
        return Remedy(
            caution="which of the two clusters is meant is not proven: these show what each holds",
            commands=(look,),
        )
    settings = {one.setting for one in joining.misled(node, cluster, survey)}
    edits = [command.text for command in change_settings(survey, node, cluster, settings)]
    return Remedy(
        caution=f"what clients have written into this cluster is not in {cluster.name}, and two clusters never become "
        "one: look what it holds before its data is put aside",
        commands=(look,),
        advice=(
            "where the node's own data is still there (a volume that was not mounted, another path.data), give it that "
            "back and put nothing aside",
            *(f"else, on {node.name}: {text}" for text in _put_aside(survey, node, edits)),
            f"the folder put aside keeps all of it; delete it when {cluster.name} is green and nobody misses anything",
            *((ELSEWHERE,) if edits else ()),
            AFTERWARDS,
        ),
    )


def log_of(node: NodeFacts) -> Command:
    """What the node's log says of finding a master."""
    home = node.install.home if isinstance(node.install, Install) and node.install.layout == "tar" else None
    logs = shlex.quote(f"{home}/logs" if home else "/var/log/elasticsearch")
    script = f'grep -hiE "master|discovery|join" {logs}/*.log | tail -n 30'
    return Command(where=node.name, text=f"sudo sh -c {shlex.quote(script)}")


def lead_back(survey: Survey, node: NodeFacts, target: str, source: str) -> Remedy:
    """What may translate the address, or have it too."""
    host, _, _ = target.rpartition(":")
    address = shlex.quote(host.strip("[]"))
    return Remedy(
        caution="what leads the address elsewhere is not proven: these show it",
        commands=(
            Command(where=node.name, text="sudo nft list ruleset || sudo iptables -t nat -S"),
            Command(where=source, text=f"ip route get {address}; ip neigh show {address}"),
        ),
        advice=(
            "a rule that translates the address (a container engine's, a proxy's, a floating address that has moved), "
            "or two hosts with one address: then ip neigh shows another MAC than the node's own",
            AFTERWARDS,
        ),
    )


def change_settings(survey: Survey, node: NodeFacts, cluster: Cluster, settings: set[str]) -> tuple[Command, ...]:
    """Comment out what leads astray and append what the cluster's members have, a copy of the file kept.

    Lists may stand in one line or in several; a setting that is written as nested keys is found by no pattern, and then
    nothing is changed.
    """
    if not settings or not isinstance(node.config, Config):
        return ()
    lines = {
        "cluster.name": f"cluster.name: {cluster.name}",
        joining.SEEDS: f"{joining.SEEDS}: [{', '.join(map(_quoted, joining.guide(survey, cluster)))}]",
    }
    present = [name for name in sorted(settings) if name in node.config.names]
    added = [lines[name] for name in sorted(settings) if name in lines]
    file = shlex.quote(node.config.path)
    texts = [f"sudo grep -qE {shlex.quote(f'^{re.escape(name)}:')} {file}" for name in present]
    if present:
        scripts = " ".join(f"-e {shlex.quote(_comment_out(name))}" for name in present)
        texts.append(f"sudo sed -i.before-preflight-{stamp(survey)} -E {scripts} {file}")
    else:
        texts.append(f"sudo cp -p -n {file} {shlex.quote(f'{node.config.path}.before-preflight-{stamp(survey)}')}")
    if added:
        # The file's last line may lack its newline.
        written = " ".join(shlex.quote(line) for line in added)
        texts.append(f"printf '\\n%s' {written} '' | sudo tee -a {file}")
    return (Command(where=node.name, text=" && ".join(texts)),)


def _comment_out(name: str) -> str:
    """sed -E: the setting's own line and the lines of its list, up to the next setting."""
    key = re.escape(name)
    return f"/^{key}:/,/^[^]#[:space:]-]/{{/^({key}:|[][:space:]-])/s/^/# /}}"


def _quoted(entry: str) -> str:
    return f'"{entry}"'


def _put_aside(survey: Survey, node: NodeFacts, edits: list[str]) -> tuple[str, ...]:
    """Stop, move the data path, change the settings, start: one line to type each; words where the path is not one."""
    config, unit = node.config, unit_of(node)
    path = config.settings.get("path.data", "") if isinstance(config, Config) else ""
    user = node.install.service_user if isinstance(node.install, Install) else None
    if unit is None or not path.startswith("/") or "," in path or user is None or isinstance(node.view, Unknown):
        moved = "stop Elasticsearch, move its data path aside, give it an empty one of the same owner and mode"
        return (moved, *edits, "start it again")
    data, aside = shlex.quote(path), shlex.quote(f"{path.rstrip('/')}.before-preflight-{stamp(survey)}")
    made = f"sudo install -d -m 2750 -o {shlex.quote(user)} -g {shlex.quote(user)} {data}"
    return (
        f"sudo systemctl stop {unit} && sudo mv -T {data} {aside} && {made}",
        *edits,
        f"sudo systemctl start {unit}",
    )
