"""Which rule of a host's own packet filter stops a connection; silence where its rules do not decide it for certain.

Everything is asked of the first packet of a TCP connection. Where a rule that may let it through or may drop it stands
before the one that does, the answer is "may"; a rule that only may drop it is named where it asks for the connection's
own address or port, and else not at all.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from ..attempts import Attempt, asked_of_bucket, dialled, is_target
from ..facts import (
    BucketPath,
    Dial,
    FilterChain,
    FilterRule,
    Filters,
    FilterTable,
    NodeFacts,
    Process,
    Routing,
    Survey,
    Unknown,
)
from .filter_rules import Packet, Verdict, Way, readings

HOOKS: dict[Way, tuple[str, ...]] = {
    "in": ("ingress", "prerouting", "input"),
    "out": ("output", "postrouting", "egress"),
    "forward": ("ingress", "prerouting", "forward", "postrouting", "egress"),
}
FAMILIES = {4: ("ip", "inet", "netdev"), 6: ("ip6", "inet", "netdev")}
DEEPEST = 16
"""Jumps within jumps that the kernel follows."""


class Blocker(NamedTuple):
    """What stops a connection. kind: drop | reject; certain: False where a rule before it is not understood

    rule: None where it is the chain's policy; way: of the connection, as the node sees it
    """

    node: NodeFacts
    table: FilterTable
    chain: FilterChain
    rule: FilterRule | None
    kind: str
    certain: bool
    way: Way
    attempt: Attempt

    @property
    def words(self) -> str:
        """ "es-2's own firewall drops it: table inet fault, chain input: `tcp dport 9300 drop`"."""
        verb = {"drop": ("drops", "drop"), "reject": ("rejects", "reject")}[self.kind]
        does = verb[0] if self.certain else f"may {verb[1]}"
        where = f"table {self.table.family} {self.table.name}, chain {self.chain.name}"
        rule = f"`{self.rule.text}`" if self.rule else f"policy {self.chain.policy}, and no rule lets it through"
        inside = ", in Elasticsearch's own network namespace" if self.table.namespace == "process" else ""
        return f"{self.node.name}'s own firewall {does} it: {where}: {rule}{inside}"


class _Doubt(NamedTuple):
    """What a packet met on its way through a chain without being decided on."""

    accepts: list[FilterRule]
    drops: list[tuple[FilterChain, FilterRule, str]]
    unknown: list[FilterRule]


class _Walk:
    """One packet's way through a base chain and those it jumps to."""

    def __init__(self, table: FilterTable, packet: Packet) -> None:
        self.table, self.packet = table, packet
        self.chains = {chain.name: chain for chain in table.chains}
        self.doubt = _Doubt([], [], [])

    def through(self, chain: FilterChain | None, depth: int = 0) -> tuple[FilterChain, FilterRule, str] | None:
        """The rule that ends it, with what it says; None where the chain comes to its end."""
        if chain is None or depth > DEEPEST:
            return None
        for rule in chain.rules:
            for conditions, verdict in readings(rule.text, self.table.sets):
                answers = [condition.holds(self.packet) for condition in conditions]
                if False in answers:
                    continue
                sure = None not in answers
                narrow = any(c.narrow and a for c, a in zip(conditions, answers, strict=True))
                if verdict.kind == "return" and sure:
                    return None
                ended = self._verdict(chain, rule, verdict, depth)
                if ended is not None and sure:
                    return ended
                if ended is not None:
                    self._may(ended, narrow)
                elif verdict.kind == "goto" and sure:
                    return None
                elif verdict.kind in ("return", "goto"):
                    self.doubt.accepts.append(rule)
                if sure:
                    break
        return None

    def _verdict(
        self, chain: FilterChain, rule: FilterRule, verdict: Verdict, depth: int
    ) -> tuple[FilterChain, FilterRule, str] | None:
        if verdict.kind in ("jump", "goto"):
            return self.through(self.chains.get(verdict.chain), depth + 1)
        return None if verdict.kind == "return" else (chain, rule, verdict.kind)

    def _may(self, ended: tuple[FilterChain, FilterRule, str], narrow: bool) -> None:
        if ended[2] == "accept":
            self.doubt.accepts.append(ended[1])
        elif ended[2] in ("drop", "reject") and narrow:
            self.doubt.drops.append(ended)
        else:
            self.doubt.unknown.append(ended[1])


class _Decided(NamedTuple):
    """kind: drop | reject | accept | unknown."""

    kind: str
    certain: bool = True
    chain: FilterChain | None = None
    rule: FilterRule | None = None


def _decided(table: FilterTable, base: FilterChain, packet: Packet) -> _Decided:
    walk = _Walk(table, packet)
    ended = walk.through(base)
    doubt = walk.doubt
    chain, rule, kind = ended if ended is not None else (base, None, base.policy or "accept")
    if kind in ("drop", "reject"):
        return _Decided(kind, not (doubt.accepts or doubt.unknown), chain, rule)
    if doubt.drops and kind == "accept":
        chain, rule, kind = doubt.drops[0]
        return _Decided(kind, False, chain, rule)
    return _Decided("unknown" if doubt.unknown else kind)


def of_dial(survey: Survey, source: NodeFacts, dial: Dial) -> tuple[Blocker, ...]:
    """The rules of either end that explain how a dial ended, those that are certain alone where there are any."""
    attempt = dialled(source, dial)
    found = [*_blockers(source, attempt, "out")]
    for target in _targets(survey, dial):
        found += _blockers(target, attempt, "in")
    return _explaining(found, dial.outcome)


def of_bucket(node: NodeFacts, path: BucketPath) -> tuple[Blocker, ...]:
    """The node's own rules that explain why it does not reach a bucket."""
    return _explaining(_blockers(node, asked_of_bucket(node, path), "out"), path.tcp or "")


def proven(stopping: Iterable[tuple[Blocker, ...]]) -> tuple[Blocker, ...]:
    """What stops several connections; nothing where one of them is not explained by a rule, for certain."""
    each = list(stopping)
    if not all(found and all(blocker.certain for blocker in found) for found in each):
        return ()
    return tuple(blocker for found in each for blocker in found)


def lets_through(survey: Survey, source: NodeFacts, dial: Dial) -> bool:
    """Whether both ends' rules are known to let the dial through; False where that is not known."""
    attempt = dialled(source, dial)
    targets = _targets(survey, dial)
    return bool(targets) and _lets(source, attempt, "out") and all(_lets(node, attempt, "in") for node in targets)


def unread(node: NodeFacts) -> tuple[str, ...]:
    """Why the node's rules are not known, or not all of them."""
    if isinstance(node.filters, Unknown):
        mend = f" ({node.filters.remedy})" if node.filters.remedy else ""
        return (f"{node.filters.reason}{mend}",)
    return node.filters.unread if node.filters else ()


def lets_to_bucket(node: NodeFacts, path: BucketPath) -> bool:
    """The same of a node's way to a bucket."""
    return _lets(node, asked_of_bucket(node, path), "out")


def _targets(survey: Survey, dial: Dial) -> list[NodeFacts]:
    return [node for node in survey.nodes if is_target(node, dial)]


def _lets(node: NodeFacts, attempt: Attempt, way: Way) -> bool:
    if not isinstance(node.filters, Filters) or node.filters.unread:
        return False
    return all(decided.kind == "accept" for _, _, decided in _decisions(node, attempt, way))


def _blockers(node: NodeFacts, attempt: Attempt, way: Way) -> Iterable[Blocker]:
    for table, passes, decided in _decisions(node, attempt, way):
        if decided.kind in ("drop", "reject") and decided.chain is not None:
            yield Blocker(node, table, decided.chain, decided.rule, decided.kind, decided.certain, passes, attempt)


def _decisions(node: NodeFacts, attempt: Attempt, way: Way) -> Iterable[tuple[FilterTable, Way, _Decided]]:
    """What every base chain that the packet comes through says of it."""
    if not isinstance(node.filters, Filters):
        return
    # Behind a NAT of its host's it has another address, and nobody knows how the packet looks by then.
    apart = way == "in" and isinstance(node.process, Process) and bool(node.process.own_network_namespace)
    for table in node.filters.tables:
        passes: Way = "forward" if apart and table.namespace == "probe" else way
        if way == "out" and table.namespace == "process":
            continue
        packet = _packet(node, attempt, passes, unsure=apart)
        version = next((a.version for a in (packet.source, packet.target) if a is not None), 4)
        for chain in table.chains:
            if chain.hook in HOOKS[passes] and table.family in FAMILIES[version]:
                yield table, passes, _decided(table, chain, packet)


def _packet(node: NodeFacts, attempt: Attempt, way: Way, *, unsure: bool) -> Packet:
    source = ipaddress.ip_address(attempt.source) if attempt.source else None
    target = ipaddress.ip_address(attempt.target) if attempt.target else None
    if way == "out":
        return Packet(way, source, target, attempt.port, attempt.device)
    addresses = node.routing.addresses if isinstance(node.routing, Routing) else ()
    device = next((a.device for a in addresses if a.address == attempt.target), None)
    return Packet(way, source, None if unsure else target, attempt.port, None if unsure else device)


def _explaining(found: Iterable[Blocker], outcome: str) -> tuple[Blocker, ...]:
    """Those that end a connection like that: what is dropped times out, what is rejected is refused or has no route."""
    fitting = [blocker for blocker in found if _ends_as(blocker, outcome)]
    certain = [blocker for blocker in fitting if blocker.certain]
    return tuple(certain or fitting)


def _ends_as(blocker: Blocker, outcome: str) -> bool:
    if blocker.kind == "drop":
        return outcome == "timeout"
    text = re.sub(r'"[^"]*"', "", blocker.rule.text) if blocker.rule else ""
    unreachable = any(word in text for word in ("net-", "host-", "admin-prohib", "no-route", "addr-unreach"))
    return outcome == ("no-route" if unreachable else "refused")
