"""Ports that do not open, told as one node, source, target, pair, direction or port instead of a list of pairs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from .. import remedy
from ..addresses import host_of
from ..facts import CouldNotCheck, Dial, NodeFacts, Unknown
from ..judgement import Cause, NotApplicable
from ..rules import filters, joining, members, ports
from ..rules.aws import pairs
from .scene import Pair, Scene

CHECKS: dict[ports.Port, str] = {"transport": "PORT-1", "http": "PORT-2"}


class Cut(msgspec.Struct, frozen=True):
    """One dial that failed: who dialled, and whom. target: as the member is called"""

    source: str
    target: str
    dial: Dial


Stopping = dict[Cut, tuple[filters.Blocker, ...]]
"""What of the hosts' own packet filters explains each cut."""


class Group(NamedTuple):
    """Cuts that have one cause. nodes: the ends it lies between, one where all point at it"""

    cuts: list[Cut]
    title: str
    nodes: tuple[str, ...]


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
        failing = ports.failing(scene.survey, node, port)
    except (CouldNotCheck, NotApplicable):
        return []
    return [Cut(node.name, members.title(scene.survey, dial.member), dial) for dial in failing]


def _is_at(node: NodeFacts, dial: Dial) -> bool:
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    return dial.member in (own, node.name) or host_of(dial.target) == node.host


def blocked(scene: Scene, explained: set[Pair]) -> list[Cause]:
    """One cause for each node, source, target, pair or port that is shut, instead of every dial that failed.

    explained: outcomes that a node which is down already accounts for
    """
    causes = []
    cuts = [
        cut
        for node in scene.survey.nodes
        for port, check in CHECKS.items()
        if (check, node.name) not in explained
        for cut in _cuts(scene, node, port)
    ]
    stopping = {cut: filters.of_dial(scene.survey, scene.survey.node(cut.source), cut.dial) for cut in cuts}
    for group, title, ends in _grouped(scene, cuts, stopping):
        explains = scene.troubled((c, cut.source) for cut in group for c in (CHECKS[cut.dial.port], "AWS-1"))
        kept_out = [node for node in scene.survey.nodes if node.name in ends and keeps_out(scene, node)]
        if explains:
            explains += scene.troubled(
                pair for node in kept_out for pair in (("CLUSTER-1", node.name), *scene.unchecked(node.name))
            )
            closed, said = _by_aws(scene, group, stopping)
            proven = _by_hosts(group, stopping)
            said = (*said, *_hosts_say(scene, group, stopping, by_aws=bool(closed)))
            causes.append(
                Cause(
                    id="port-blocked",
                    title=title,
                    nodes=ends,
                    evidence=(
                        *(f"{cut.source} to {ports.words(scene.survey, cut.dial)}" for cut in group),
                        *said,
                        *(
                            f"{node.name} sees no elected master: nobody lets it in without transport"
                            for node in kept_out
                        ),
                    ),
                    confidence="certain" if closed or proven else "likely",
                    explains=explains,
                    remedy=remedy.open_pairs(scene.survey, closed)
                    if closed
                    else remedy.pass_filters(proven)
                    if proven
                    else remedy.look_at(scene.survey, _kinds(group), group[0].source),
                )
            )
    return causes


def keeps_out(scene: Scene, node: NodeFacts) -> bool:
    """The node runs outside the others' cluster, and its transport opens to none of them, or theirs to none of it.

    Not where its settings lead it elsewhere: it would stay outside with every port open.
    """
    home = joining.outside(scene.survey, node)
    if home is None or joining.misled(node, home, scene.survey):
        return False
    dials = [
        (other, dial)
        for other in scene.survey.nodes
        for dial in (() if isinstance(other.dials, Unknown) else other.dials)
        if dial.port == "transport" and _is_at(node, dial) != (other is node)
    ]
    sides = ([dial for other, dial in dials if (other is node) == own] for own in (True, False))
    return any(side and all(dial.outcome != "open" for dial in side) for side in sides)


def _by_aws(scene: Scene, group: list[Cut], stopping: Stopping) -> tuple[tuple[pairs.Closed, ...], tuple[str, ...]]:
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
                source = scene.survey.node(cut.source)
                told = stopping[cut] or filters.lets_through(scene.survey, source, cut.dial)
                look = "" if told else ": look at the hosts' own firewalls"
                said.append(f"AWS would let {cut.source} through to {cut.dial.target}{look}")
    except (CouldNotCheck, NotApplicable):
        return (), ()
    return tuple(closed), tuple(said)


def _by_hosts(group: list[Cut], stopping: Stopping) -> tuple[filters.Blocker, ...]:
    """The rules that stop these pairs; nothing where one of them is not explained by a rule, for certain."""
    return filters.proven([stopping[cut] for cut in group])


def _hosts_say(scene: Scene, group: list[Cut], stopping: Stopping, *, by_aws: bool) -> tuple[str, ...]:
    """The rules that stop the pairs or may; else, where AWS does not, that none does or why that is not known."""
    found = [blocker.words for cut in group for blocker in stopping[cut]]
    open_, unread = [], []
    for cut in (cut for cut in group if not by_aws and not stopping[cut] and cut.dial.outcome == "timeout"):
        source = scene.survey.node(cut.source)
        if filters.lets_through(scene.survey, source, cut.dial):
            open_ += [cut.source, cut.target]
        unread += [
            f"{node.name}'s own firewall was not read: {reason}"
            for node in scene.survey.nodes
            if node.name in (cut.source, cut.target)
            for reason in filters.unread(node)
        ]
    if open_:
        ends = members.listed(list(dict.fromkeys(open_)))
        found.append(
            f"nftables and iptables of {ends} let it through: look outside of the hosts (security group, network ACL)"
        )
    return tuple(dict.fromkeys((*found, *unread)))


def _kinds(group: list[Cut]) -> tuple[Dial, ...]:
    """One dial for each way of failing: more of them would ask for the same commands again."""
    return tuple({cut.dial.outcome: cut.dial for cut in reversed(group)}.values())


class _Tried:
    """Every dial of the survey by who dialled whom at which port, and which of them are cut."""

    def __init__(self, scene: Scene, cuts: list[Cut]) -> None:
        self.dials = {
            (node.name, members.title(scene.survey, dial.member), dial.port): dial
            for node in scene.survey.nodes
            if not isinstance(node.dials, Unknown)
            for dial in node.dials
            if isinstance(node.view, Unknown) or node.view.node_id != dial.member
        }
        self.cut = {(cut.source, cut.target, cut.dial.port) for cut in cuts}

    def shut(self, port: ports.Port, source: str | None = None, target: str | None = None) -> bool:
        """Several dials from or to one node were made at this port, and all are cut."""
        made = [key for key in self.dials if key[2] == port and source in (None, key[0]) and target in (None, key[1])]
        return len(made) > 1 and all(key in self.cut for key in made)

    def opens(self, keys: Iterable[tuple[str, str, ports.Port]]) -> bool:
        """Some of these dials were made, and all of those opened."""
        made = [self.dials[key] for key in keys if key in self.dials]
        return bool(made) and all(dial.outcome == "open" for dial in made)

    def contrast(self, cuts: list[Cut]) -> str:
        """What opens beside these cuts: what tells a port, a direction or a pair from a host."""
        shut: set[ports.Port] = {cut.dial.port for cut in cuts}
        pairs = {(cut.source, cut.target) for cut in cuts}
        told = [f"{port} opens" for port in CHECKS if port not in shut and self.opens((s, t, port) for s, t in pairs)]
        if self.opens((t, s, port) for s, t in pairs for port in shut):
            told.append("the other way opens")
        return f" ({'; '.join(told)})" if told else ""


def _grouped(scene: Scene, cuts: list[Cut], stopping: Stopping) -> list[Group]:
    """The cuts in the fewest words: a node both ways, a source, a target, a pair, then what is left by its target."""
    tried, left, groups = _Tried(scene, cuts), list(cuts), []

    def take(title: str, nodes: tuple[str, ...], group: list[Cut], said: str = "") -> None:
        how = said or members.listed(sorted({ports.HOW[cut.dial.outcome] for cut in group}))
        whose = members.listed(list(dict.fromkeys(blocker.node.name for blocker in _by_hosts(group, stopping))))
        by = f", by {whose}'s own firewall" if whose else ""
        groups.append(Group(group, f"{title}: {how}{by}{tried.contrast(group)}", nodes))
        left[:] = [cut for cut in left if cut not in group]

    names = list(dict.fromkeys(name for cut in cuts for name in (cut.source, cut.target)))
    for name in names:
        shut = [p for p in CHECKS if tried.shut(p, source=name) and tried.shut(p, target=name)]
        group = [cut for cut in left if name in (cut.source, cut.target) and cut.dial.port in shut]
        if group:
            take(f"{name} and the other members do not open each other's {members.listed(shut)}", (name,), group)
    for name in names:
        shut = [p for p in CHECKS if tried.shut(p, source=name)]
        group = [cut for cut in left if cut.source == name and cut.dial.port in shut]
        if group:
            what = members.listed(_ports(group))
            take(f"{name} opens no other member's {what}", (name,), group, "its own outgoing traffic is cut off")
    for name in names:
        shut = [p for p in CHECKS if tried.shut(p, target=name)]
        group = [cut for cut in left if cut.target == name and cut.dial.port in shut]
        if group:
            take(f"no node opens {_what(group)} of {name}", (name,), group)
    for cut in cuts:
        ends = {cut.source, cut.target}
        group = [other for other in left if {other.source, other.target} == ends]
        if len({other.source for other in group}) > 1:
            what = members.listed(_ports(group))
            take(f"{cut.source} and {cut.target} do not open each other's {what}", (cut.source, cut.target), group)
    for name in names:
        for shut_ports in dict.fromkeys(_ports([c for c in left if c.target == name and c.source == s]) for s in names):
            group = [
                cut
                for cut in left
                if cut.target == name
                and _ports([c for c in left if (c.target, c.source) == (name, cut.source)]) == shut_ports
            ]
            if group:
                sources = list(dict.fromkeys(cut.source for cut in group))
                take(f"{members.listed(sources)} cannot open {_what(group)} of {name}", (*sources, name), group)
    return groups


def _ports(cuts: list[Cut]) -> tuple[ports.Port, ...]:
    return tuple(port for port in CHECKS if any(cut.dial.port == port for cut in cuts))


def _what(cuts: list[Cut]) -> str:
    """ "transport 10.0.0.1:9300" where that is all; of several ports their names."""
    targets = list(dict.fromkeys(cut.dial.target for cut in cuts))
    shut = members.listed(_ports(cuts))
    return f"{shut} {targets[0]}" if len(targets) == 1 else shut
