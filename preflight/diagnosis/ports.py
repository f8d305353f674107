"""Ports that do not open, told as one source, one target or one pair instead of a list of pairs."""

from __future__ import annotations

import msgspec

from .. import remedy
from ..addresses import host_of
from ..facts import CouldNotCheck, Dial, NodeFacts, Unknown
from ..judgement import Cause, NotApplicable
from ..rules import members, ports
from ..rules.aws import pairs
from .scene import Pair, Scene

CHECKS: dict[ports.Port, str] = {"transport": "PORT-1", "http": "PORT-2"}


class Cut(msgspec.Struct, frozen=True):
    """One dial that failed, and who dialled."""

    source: str
    dial: Dial


def towards(scene: Scene, node: NodeFacts) -> tuple[Pair, ...]:
    """The port checks of other nodes that fail towards this node and nobody else."""
    found = []
    for other in scene.survey.nodes:
        for port, check in CHECKS.items():
            cuts = _cuts(scene, other, port)
            if other.name != node.name and cuts and all(_is_at(node, cut.dial) for cut in cuts):
                found.append((check, other.name))
    return tuple(found)


def _cuts(scene: Scene, node: NodeFacts, port: ports.Port) -> list[Cut]:
    try:
        return [Cut(node.name, dial) for dial in ports.failing(scene.survey, node, port)]
    except (CouldNotCheck, NotApplicable):
        return []


def _is_at(node: NodeFacts, dial: Dial) -> bool:
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    return dial.member in (own, node.name) or host_of(dial.target) == node.host


def blocked(scene: Scene, explained: set[Pair]) -> list[Cause]:
    """One cause for each node that reaches nobody, each that nobody reaches, and each further target.

    explained: outcomes that a node which is down already accounts for
    """
    causes = []
    for port, check in CHECKS.items():
        cuts = [
            cut
            for node in scene.survey.nodes
            if (check, node.name) not in explained
            for cut in _cuts(scene, node, port)
        ]
        for group, title, ends in _grouped(scene, cuts, port):
            sources = list(dict.fromkeys(cut.source for cut in group))
            explains = scene.troubled((c, source) for source in sources for c in (check, "AWS-1"))
            if explains:
                closed, said = _by_aws(scene, group)
                causes.append(
                    Cause(
                        id="port-blocked",
                        title=title,
                        nodes=ends,
                        evidence=(*(f"{cut.source} to {ports.words(scene.survey, cut.dial)}" for cut in group), *said),
                        confidence="certain" if closed else "likely",
                        explains=explains,
                        remedy=remedy.open_pairs(scene.survey, closed)
                        if closed
                        else remedy.look_at(scene.survey, _kinds(group), group[0].source),
                    )
                )
    return causes


def _by_aws(scene: Scene, group: list[Cut]) -> tuple[tuple[pairs.Closed, ...], tuple[str, ...]]:
    """What AWS's control plane has against these pairs, and that as lines of evidence; nothing where it was not asked.

    A refusal is an answer, so AWS let it through.
    """
    closed, said = [], []
    try:
        for cut in (cut for cut in group if cut.dial.outcome == "timeout"):
            found = pairs.between(scene.survey, scene.survey.node(cut.source), cut.dial)
            if found:
                closed.append(found)
                said.append(f"AWS, {cut.source} to {cut.dial.target}: {found.why}")
            else:
                said.append(
                    f"AWS would let {cut.source} through to {cut.dial.target}: look at the hosts' own firewalls"
                )
    except (CouldNotCheck, NotApplicable):
        return (), ()
    return tuple(closed), tuple(said)


def _kinds(group: list[Cut]) -> tuple[Dial, ...]:
    """One dial for each way of failing: more of them would ask for the same commands again."""
    return tuple({cut.dial.outcome: cut.dial for cut in reversed(group)}.values())


def _grouped(scene: Scene, cuts: list[Cut], port: ports.Port) -> list[tuple[list[Cut], str, tuple[str, ...]]]:
    """Failed dials that have one cause, its title, and the nodes it lies between: one end where all point at it."""
    groups: list[tuple[list[Cut], str, tuple[str, ...]]] = []
    left = list(cuts)
    for source in dict.fromkeys(cut.source for cut in cuts):
        own = [cut for cut in left if cut.source == source]
        if len(own) > 1 and len(own) == _dialled(scene, source, port):
            title = f"{source} opens no other member's {port}: its own outgoing traffic is cut off"
            groups.append((own, title, (source,)))
            left = [cut for cut in left if cut.source != source]
    for target in dict.fromkeys(cut.dial.target for cut in left):
        group = [cut for cut in left if cut.dial.target == target]
        name = members.title(scene.survey, group[0].dial.member)
        sources = [cut.source for cut in group]
        how = members.listed(sorted({ports.HOW[cut.dial.outcome] for cut in group}))
        if len(group) > 1 and len(group) == _diallers(scene, target, port):
            groups.append((group, f"no node opens {port} {target} of {name}: {how}", (name,)))
        else:
            title = f"{members.listed(sources)} cannot open {port} {target} of {name}: {how}"
            groups.append((group, title, (*sources, name)))
    return groups


def _dialled(scene: Scene, source: str, port: ports.Port) -> int:
    dials = scene.survey.node(source).dials
    return 0 if isinstance(dials, Unknown) else sum(1 for d in dials if d.port == port and not _own(scene, source, d))


def _own(scene: Scene, source: str, dial: Dial) -> bool:
    view = scene.survey.node(source).view
    return not isinstance(view, Unknown) and view.node_id == dial.member


def _diallers(scene: Scene, target: str, port: ports.Port) -> int:
    return sum(
        1
        for node in scene.survey.nodes
        if not isinstance(node.dials, Unknown)
        and any(d.port == port and d.target == target and not _own(scene, node.name, d) for d in node.dials)
    )
