"""PORT: transport and HTTP of every member, dialled from this node at the addresses the cluster publishes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from ..addresses import host_of, stays_home
from ..facts import CouldNotCheck, Dial, Member, NodeFacts, Process, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, path_mtu

Port = Literal["transport", "http", "remote"]
DEFAULTS: dict[Port, int] = {"transport": 9300, "http": 9200}
"""First port of the hundred that Elasticsearch tries by itself."""

HOW = {
    "open": "open",
    "refused": "refused",
    "timeout": "timeout",
    "no-route": "no route",
    "dns": "name not resolved",
    "closed": "closed by peer",
}
"""How a dial ended, in the words that are printed."""


def transport(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where every other member's transport opens from this node."""
    if _assumed(survey, node):
        return _guessed(survey, node, "transport")
    member = survey.member_of(node)
    others = _others(survey, node)
    hidden = [m for m in ((member, *others) if member else others) if stays_home(m.transport)]
    bad = [
        f"{members.title(survey, m.id)} publishes its transport on {m.transport}: no other host can reach it"
        for m in hidden
    ]
    return _judge(survey, node, "transport", [m for m in others if m not in hidden], bad)


def http(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where HTTP of every other member that offers it beyond its own host opens from this node."""
    if _assumed(survey, node):
        return _guessed(survey, node, "http")
    others = _others(survey, node)
    offered = [m for m in others if m.http is not None and not stays_home(m.http)]
    if not offered:
        raise NotApplicable("no other member publishes HTTP on an address other hosts can reach")
    return _judge(survey, node, "http", offered, [])


def failing(survey: Survey, node: NodeFacts, port: Port) -> tuple[Dial, ...]:
    """This node's dials to other members' addresses that did not open. Raises CouldNotCheck."""
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    return tuple(
        d
        for d in known(node.dials)
        if d.port == port and d.member != own and d.outcome != "open" and not stays_home(d.target)
    )


def answered_by(survey: Survey, dial: Dial) -> Member | None:
    """The other member that answers at the HTTP address of the one that was dialled; None where that is not shown.

    Told by the certificate: each of the two shows its own to itself, at an address that its host has, and this dial was
    shown the other's. Behind a translated or shared address a node need not meet itself, so that tells nothing.
    """
    if dial.port != "http" or not dial.chain:
        return None
    meant = _own_certificate(survey, dial.member)
    if meant in (None, dial.chain[0]):
        return None
    found = [
        m
        for cluster in survey.clusters
        for m in cluster.members
        if m.id != dial.member and _own_certificate(survey, m.id) == dial.chain[0]
    ]
    return found[0] if len(found) == 1 else None


def _own_certificate(survey: Survey, id: str) -> str | None:
    """Fingerprint of what a given member's HTTP shows to its own host; None where unknown."""
    node = survey.given(id)
    if node is None or isinstance(node.dials, Unknown) or isinstance(node.routing, Unknown):
        return None
    own = {address.address for address in node.routing.addresses}
    return next(
        (
            d.chain[0]
            for d in node.dials
            if d.member == id and d.port == "http" and d.chain and host_of(d.target) in own
        ),
        None,
    )


def words(survey: Survey, dial: Dial) -> str:
    """One failing pair's target and how it failed: "es-3 198.18.0.13:9300: timeout after 3001 ms, tried twice"."""
    again = ", tried twice" if dial.tries > 1 else ""
    name = members.title(survey, dial.member)
    return f"{name} {dial.target}: {HOW[dial.outcome]} after {dial.milliseconds:.0f} ms{again}"


def _assumed(survey: Survey, node: NodeFacts) -> bool:
    """True where no cluster could be asked and the survey dialled the given nodes at assumed ports."""
    return not survey.clusters and not isinstance(node.dials, Unknown) and any(d.assumed for d in node.dials)


def _guessed(survey: Survey, node: NodeFacts, port: Port) -> Finding | None:
    """An assumed address that does not open is worth a look, no more: the member may publish another one."""
    bad = [d for d in failing(survey, node, port) if not _kept_local(survey.node(d.member), port)]
    if not bad:
        return None
    peers = members.listed([d.member for d in bad])
    return Finding(
        observed=f"{node.name} does not reach {port} of {peers} at the assumed address",
        expected=f"{port} of every given node opens from {node.name}",
        details=tuple(words(survey, d) for d in bad),
        warning=True,
    )


def _kept_local(peer: NodeFacts, port: Port) -> bool:
    """True where the peer listens, but for this port on loopback only."""
    if not isinstance(peer.process, Process) or not peer.process.listeners:
        return False
    first = DEFAULTS[port]
    ours = [x for x in peer.process.listeners if first <= int(x.rpartition(":")[2]) < first + 100]
    return bool(ours) and all(stays_home(x) for x in ours)


def _others(survey: Survey, node: NodeFacts) -> tuple[Member, ...]:
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    others = tuple(m for m in members.cluster_of(survey, node).members if m.id != own)
    if not others:
        raise NotApplicable("the cluster has no other member to reach")
    return others


def _judge(survey: Survey, node: NodeFacts, port: Port, targets: list[Member], bad: list[str]) -> Finding | None:
    dials = {d.member: d for d in known(node.dials) if d.port == port} if targets else {}
    lines = bad + [words(survey, dials[m.id]) for m in targets if m.id in dials and dials[m.id].outcome != "open"]
    if lines:
        return Finding(
            observed=f"{node.name} does not reach {port} of {members.listed(_names(survey, targets, dials))}"
            if not bad
            else bad[0],
            expected=f"{port} of every member opens from {node.name}",
            details=tuple(lines if not bad else lines[1:]),
        )
    strangers = {m: who for m in targets if m.id in dials and (who := answered_by(survey, dials[m.id])) is not None}
    if strangers:
        said = [
            f"{members.title(survey, who.id)} answers at {m.http}, the address of {members.title(survey, m.id)}"
            for m, who in strangers.items()
        ]
        return Finding(
            observed=f"seen from {node.name}, {said[0]}",
            expected="the member that publishes the address",
            details=tuple(said[1:]),
        )
    silent = [m for m in targets if m.id in dials and dials[m.id].tls == "timeout"]
    lost = [m for m in silent if path_mtu.between(dials[m.id])]
    if lost:
        return Finding(
            observed=f"{node.name} opens {port} of {members.listed(_titles(survey, lost))}, whose TLS handshake comes "
            "through in short packets alone",
            expected="a handshake in packets as long as the path MTU",
            details=tuple(f"{m.http}: path MTU {dials[m.id].path_mtu or 'unknown'}" for m in lost),
        )
    if silent:
        names = members.listed(_titles(survey, silent))
        return Finding(
            observed=f"{node.name} opens {port} of {names} and gets no answer to a TLS handshake",
            expected="a server's hello, which is longer than what opens a connection",
            details=tuple(f"{m.http}: path MTU {dials[m.id].path_mtu or 'unknown'}" for m in silent),
            warning=True,
        )
    missing = _titles(survey, [m for m in targets if m.id not in dials])
    if missing:
        raise CouldNotCheck(f"{port} of {members.listed(missing)} was not dialled from {node.name}")
    return None


def _names(survey: Survey, targets: list[Member], dials: dict[str, Dial]) -> list[str]:
    return _titles(survey, [m for m in targets if m.id in dials and dials[m.id].outcome != "open"])


def _titles(survey: Survey, found: Iterable[Member]) -> list[str]:
    return [members.title(survey, member.id) for member in found]
