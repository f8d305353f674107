"""Steps of the runbook that more than one remedy takes: each command judges its own answer and ends badly on a bad one.

Elasticsearch answers a refused reload with HTTP 200, and curl ends well whatever it is told.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from urllib.parse import urlsplit

from ..facts import CouldNotCheck, Install, NodeFacts, Process, Repository, Survey, View
from ..judgement import Command, NotApplicable, Step
from ..rules import keystore, members, role
from ..rules import restart as rules
from . import asking
from .asking import about_curl, ask, beforehand, restart, unit_of, unlocking, verify_on

GREEN_SECONDS = 300
"""Until a restarted node's shards must be back. A node of many terabytes takes longer: the step is then typed again."""

SOURCES = (
    "take the keys out of what put them there: configuration management, the image, user data, a start script, ECK's "
    "secureSettings. Else the next run of it brings them back"
)


def expecting(command: Command, wanted: str, never: str) -> Command:
    """The same command, its answer shown and judged: awk's patterns for what it must hold and what it must not."""
    program = f"{{ print }} /{wanted}/ {{ ok = 1 }} /{never}/ {{ bad = 1 }} END {{ exit bad || !ok }}"
    return Command(where=command.where, text=f"{command.text} | awk {shlex.quote(program)}")


def can_ask(survey: Survey, node: NodeFacts) -> bool:
    """This run had a login for Elasticsearch, and the node's own answered."""
    return isinstance(node.view, View) and survey.options.elasticsearch_login is not None


def role_proven(node: NodeFacts, repositories: Sequence[Repository]) -> Step:
    """The step that has been done already: what the survey saw."""
    if not repositories:
        return Step(
            phase="prove",
            title="No role is needed",
            notes=(f"{node.name}: no S3 repository signs with them there",),
        )
    buckets = members.listed(sorted({r.bucket or r.name for r in repositories}))
    return Step(
        phase="prove",
        title="The role is proven",
        notes=(f"{node.name}: S3 accepted a list of {buckets} signed with {role.named(node)} and sent from there",),
    )


def reload(survey: Survey, node: NodeFacts, besides: Sequence[str] = ()) -> Step:
    """Reload one node by its id. HTTP 200 proves nothing: the node must be in the answer, and no reload_exception.

    besides: as for `spares`
    """
    waiting = spares(survey, node, besides)
    return Step(
        phase="apply",
        title="Reload the secure settings of that node alone",
        commands=(_reloaded(survey, node),),
        notes=(
            "HTTP 200 proves nothing: after reload_exception in the answer the old keys are still in use; stop there",
            *waiting,
            *(
                ()
                if waiting
                else ("by its id, never all nodes at once: that loads whatever waits on another node's disk",)
            ),
            *unlocking(node),
            *about_curl(node),
        ),
    )


def reload_advice(
    survey: Survey, node: NodeFacts, besides: Sequence[str] = (), otherwise: str | None = None
) -> tuple[str, ...]:
    """What stands under a reload that is typed. otherwise: what else does the same, a sentence; besides: as `spares`"""
    first = "HTTP 200 of the reload proves nothing: read reload_exception in its answer"
    return (
        f"{first}. {otherwise}" if otherwise else first,
        *spares(survey, node, besides),
        *unlocking(node),
        *about_curl(node),
    )


def _reloaded(survey: Survey, node: NodeFacts) -> Command:
    id = node.view.node_id if isinstance(node.view, View) else "_local"
    return expecting(asking.reload(survey, node), _pattern(f'"{id}"'), 'reload_exception|"error"')


def spares(survey: Survey, node: NodeFacts, besides: Sequence[str] = ()) -> tuple[str, ...]:
    """What a reload of every node would put in use elsewhere, as a reason to leave the node's id in the path.

    Also what the node's own reload puts in use besides. besides: settings that are gone, or new, by then
    """
    waiting: dict[str, list[str]] = {}
    for one in (node, *members.companions(survey, node)):
        try:
            found = keystore.client_keys(survey, one)
        except (CouldNotCheck, NotApplicable):
            continue
        waiting[one.name] = [name for keys in found if keys.may_wait for name in keys.settings]
    own = [name for name in waiting.pop(node.name, []) if name not in besides]
    others = [f"{members.listed(names)} on {name}'s disk" for name, names in waiting.items() if names]
    lines = []
    if own:
        lines.append(f"this reload also puts in use what waits on this node's disk: {members.listed(own)}")
    if others:
        lines.append(
            f"keep the node's id in the path: a reload of the whole cluster also puts in use {members.listed(others)}"
        )
    return tuple(lines)


def verify(survey: Survey, node: NodeFacts, repositories: Sequence[str]) -> tuple[Step, ...]:
    """`_verify` of each repository, judged for this node alone: another node may have a cause of its own."""
    if not repositories or not can_ask(survey, node) or not isinstance(node.view, View):
        return ()
    id = node.view.node_id
    commands = tuple(
        expecting(
            verify_on(survey, node, name),
            '"nodes":|repository_verification_exception',
            _pattern(f"[{id}, ") + "| on master node",
        )
        for name in repositories
    )
    return (
        Step(
            phase="verify",
            title="Have Elasticsearch verify the repository",
            commands=commands,
            notes=(
                *beforehand(node),
                'the answer is {"nodes":…}. An error that names other nodes alone is theirs; "not accessible on '
                "master node\" is the elected master's, and says nothing of the others until that one is mended",
            ),
        ),
    )


def _pattern(text: str) -> str:
    """awk's pattern for a literal text."""
    return "".join(f"\\{char}" if char in r"\/[].*+?(){}|^$" else char for char in text)


def restart_one(survey: Survey, node: NodeFacts, why: str) -> Step:
    """Restart one node: green and no snapshot running before it, green again after it.

    why: a reload cannot do, as a sentence
    """
    notes = [
        f"{why}. One node at a time, the elected master last",
        "green and no running snapshot first, and green again before the next node; where the cluster is never green, "
        "or a snapshot runs for hours, that is for you to judge",
        *(beforehand(node) if can_ask(survey, node) else ()),
    ]
    refuses = next((r.text for r in rules.judge(survey, node).reasons if r.kind != "waiting outside keys"), None)
    if refuses is not None:
        # A node that does not come back is worse than one whose snapshots fail.
        return Step(phase="apply", title=RESTART, notes=(f"do not restart {node.name} yet: {refuses}",))
    before = (green(survey, node), no_snapshot(survey, node)) if can_ask(survey, node) else ()
    after = (green(survey, node),) if can_ask(survey, node) else ()
    again = restarted(node)
    if again is None:
        notes.insert(
            0, f"{node.name}: {restart(node)}; `systemctl status` of its process id names a unit if it has one"
        )
        return Step(phase="apply", title=RESTART, notes=tuple(notes))
    return Step(phase="apply", title=RESTART, commands=(*before, again, *after), notes=tuple(notes))


RESTART = "Restart Elasticsearch there"


def green(survey: Survey, node: NodeFacts, more: int = 0) -> Command:
    """Wait for a green cluster of as many nodes as the survey saw. more: that many besides"""
    cluster = survey.cluster_of(node)
    count = f"&wait_for_nodes=ge({len(cluster.members) + more})" if cluster else ""
    path = f"_cluster/health?wait_for_status=green{count}&timeout={GREEN_SECONDS}s"
    return expecting(ask(survey, node, path, "GET"), '"status":"green"', '"timed_out":true')


def no_snapshot(survey: Survey, node: NodeFacts) -> Command:
    """No snapshot is running; cluster state only."""
    return expecting(ask(survey, node, "_snapshot/_status", "GET"), r'"snapshots":\[\]', '"error"')


def restarted(node: NodeFacts) -> Command | None:
    """The restart, done when the node's HTTP port is open again; None where nothing says how it is started."""
    contained = isinstance(node.install, Install) and node.install.layout == "docker"
    if unit_of(node) is None and not contained:
        return None
    text = restart(node)
    if contained:
        found = container_of(node)
        if found is None:
            return None
        text = f"sudo docker restart {found}"
    if isinstance(node.view, View) and node.view.carrier != "direct":
        split = urlsplit(node.view.url)
        address = f"/dev/tcp/{split.hostname}/{split.port or (443 if split.scheme == 'https' else 80)}"
        waiting = f"until (exec 3<>{shlex.quote(address)}) 2>/dev/null; do sleep 1; done"
        text += f" && timeout {GREEN_SECONDS} bash -c {shlex.quote(waiting)}"
    return Command(where=node.name, text=text)


def container_of(node: NodeFacts) -> str | None:
    """The id of the container that the surveyed process runs in, as a word of a command line."""
    if not isinstance(node.process, Process):
        return None
    return f'"$(sudo grep -m1 -oE "[0-9a-f]{{64}}" /proc/{node.process.pid}/cgroup | head -n 1)"'


def root(node: NodeFacts) -> str:
    """What stands before a command that changes a file as root: of the node's, or of its container's."""
    inside = container_of(node) if isinstance(node.install, Install) and node.install.layout == "docker" else None
    return f"sudo docker exec -u 0 {inside} " if inside else "sudo "


def sources() -> Step:
    """What no command on a node can do."""
    return Step(phase="prevent", title="Take the keys out of what put them there", notes=(SOURCES,))
