"""What a node's packet filter has that could decide about the connections in question."""

from __future__ import annotations

from typing import Literal

from .base import Fact


class FilterRule(Fact, frozen=True, kw_only=True):
    """One rule as its own tool prints it. number: its place in the chain, from 1; handle: nftables', None elsewhere."""

    text: str
    number: int
    handle: int | None


class FilterChain(Fact, frozen=True, kw_only=True):
    """One chain, rules that surely do not concern the connections left out.

    hook: input, output, forward, prerouting ...: what the kernel calls it at; None where another chain does
    policy: accept or drop, what becomes of a packet that no rule decides on; None without a hook
    """

    name: str
    hook: str | None
    policy: str | None
    rules: tuple[FilterRule, ...]


class FilterTable(Fact, frozen=True, kw_only=True):
    """One table. namespace: the network namespace, of the probe or of an Elasticsearch process that has its own

    family: ip, ip6, inet, netdev ...; command: what changes it on that node: nft, iptables, ip6tables-legacy ...
    sets: those that its rules use, with the elements that may matter; one that cannot be read so is left out
    """

    namespace: Literal["probe", "process"]
    family: str
    name: str
    command: str
    chains: tuple[FilterChain, ...]
    sets: dict[str, tuple[str, ...]]


class Filters(Fact, frozen=True, kw_only=True):
    """nftables and iptables as far as they may decide; asked of the two ends of what does not open, and of nobody else.

    tables: those already loaded that have anything to say; unread: why others are not known
    source: probe question `filters`
    """

    tables: tuple[FilterTable, ...]
    unread: tuple[str, ...]
