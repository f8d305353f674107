"""One rule of a packet filter as conditions on a new TCP connection, and what it decides. Pure reading of text.

Understood is what `nft list ruleset` and iptables-save print for addresses, ports, protocols, interfaces, states,
flags, jumps and verdict maps. Whatever else stands in a rule is a condition that nobody knows the answer to.
source: nft(8), iptables-extensions(8).
"""

from __future__ import annotations

import functools
import ipaddress
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Known = bool | None
"""None: not known."""

Way = Literal["in", "out", "forward"]


class Packet(NamedTuple):
    """The first packet of a TCP connection between two hosts. What is None is not known.

    device: the interface that it comes in or goes out by
    """

    way: Way
    source: Address | None
    target: Address | None
    port: int | None
    device: str | None


class Verdict(NamedTuple):
    """kind: accept | drop | reject | jump | goto | return | unknown (it decides, who knows what); chain: of a jump."""

    kind: str
    chain: str = ""


class Condition(NamedTuple):
    """holds: for a packet; narrow: it asks for an address or a port, so that it is about such a connection."""

    holds: Callable[[Packet], Known]
    narrow: bool = False


class Reading(NamedTuple):
    """What becomes of a packet that all conditions hold for."""

    conditions: tuple[Condition, ...]
    verdict: Verdict


Sets = Mapping[str, Sequence[str]]

NEVER = Condition(lambda packet: False)
NOBODY_KNOWS = Condition(lambda packet: None)


def readings(text: str, sets: Sets) -> tuple[Reading, ...]:
    """What a rule says, the first that holds counts; empty for one that decides nothing. sets: of its table"""
    return _read(text, sets) if "@" in text else _by_itself(text)


@functools.lru_cache(maxsize=4096)
def _by_itself(text: str) -> tuple[Reading, ...]:
    """A rule without sets: read once for all connections that are asked about."""
    return _read(text, {})


def _read(text: str, sets: Sets) -> tuple[Reading, ...]:
    return _of_iptables(text) if text.startswith("-A ") else _Nft(text, sets).read()


# -- single tests --------------------------------------------------------------------------------------------------


def _in_range(address: Address | None, value: str) -> Known:
    if address is None:
        return None
    try:
        low, _, high = value.partition("-")
        if not high:
            network = ipaddress.ip_network(low, strict=False)
            return address.version == network.version and address in network
        first, last = ipaddress.ip_address(low), ipaddress.ip_address(high)
        return address.version == first.version and int(first) <= int(address) <= int(last)
    except ValueError:
        return None


def _port(packet: Packet, value: str) -> Known:
    try:
        ends = [int(end) for end in re.split("[-:]", value)]
    except ValueError:
        return None
    return None if packet.port is None else ends[0] <= packet.port <= ends[-1]


def _protocol(packet: Packet, value: str) -> Known:
    return value.lower() in ("tcp", "6", "all", "0")


def _version(packet: Packet) -> int | None:
    address = packet.source or packet.target
    return None if address is None else address.version


def _family(packet: Packet, value: str) -> Known:
    version = _version(packet)
    return None if version is None else version == (6 if value in ("ipv6", "ip6", "10") else 4)


STATES = {"new": True, "established": False, "related": False, "invalid": False, "untracked": False}


def _state(packet: Packet, value: str) -> Known:
    translated = False if packet.way != "forward" and value.lower() in ("dnat", "snat") else None
    return STATES.get(value.lower(), translated)


def _device(way: Way) -> Callable[[Packet, str], Known]:
    def test(packet: Packet, value: str) -> Known:
        name = value.strip('"')
        if name == "lo" or (packet.way != way and packet.way != "forward"):
            return False
        if packet.device is None or packet.way == "forward":
            return None
        return packet.device.startswith(name[:-1]) if name[-1:] in ("*", "+") else packet.device == name

    return test


def _kind_of_address(local: Way) -> Callable[[Packet, str], Known]:
    """local: which way an address of this end is the host's own."""

    def test(packet: Packet, value: str) -> Known:
        kind = value.lower()
        if kind == "local":
            return None if packet.way == "forward" else packet.way == local
        return False if kind in ("broadcast", "multicast", "anycast", "blackhole", "prohibit", "unreachable") else None

    return test


Test = Callable[[Packet, str], Known]
TESTS: dict[str, Test] = {
    "source": lambda packet, value: _in_range(packet.source, value),
    "target": lambda packet, value: _in_range(packet.target, value),
    "port": _port,
    "protocol": _protocol,
    "family": _family,
    "state": _state,
    "in": _device("in"),
    "out": _device("out"),
    "source kind": _kind_of_address("out"),
    "target kind": _kind_of_address("in"),
}


def _condition(field: str, values: Sequence[str] | None, negated: bool = False) -> Condition:
    """That one of the values is the packet's. values: None where they cannot be read"""

    def holds(packet: Packet) -> Known:
        if values is None:
            return None
        found = [TESTS[field](packet, value) for value in values]
        one = True if True in found else None if None in found else False
        return one if one is None else one is not negated

    return Condition(holds, narrow=field in ("source", "target", "port") and not negated)


def _flags(mask: str, value: str, negated: bool = False) -> Condition:
    """A new connection's packet has SYN alone."""
    masked = {"syn"} & set(_words(mask))
    wanted = set(_words(value)) - {"none", "0x0"}
    return Condition(lambda packet: (masked == wanted) is not negated)


def _words(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    return ["fin", "syn", "rst", "psh", "ack", "urg"] if words == ["all"] else words


# -- iptables ------------------------------------------------------------------------------------------------------

OPTIONS = {
    "-s": "source", "-d": "target", "-p": "protocol", "-i": "in", "-o": "out", "--dport": "port", "--dports": "port",
    "--ctstate": "state", "--state": "state", "--src-type": "source kind", "--dst-type": "target kind",
}  # fmt: skip
IGNORED = ("-m", "--comment")
VERDICTS = {"ACCEPT": "accept", "DROP": "drop", "REJECT": "reject", "RETURN": "return"}
UNDECIDED = ("QUEUE", "NFQUEUE", "TPROXY", "DNAT", "SNAT", "MASQUERADE", "REDIRECT", "SYNPROXY")
GO_ON = (
    "LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE", "CT", "NOTRACK", "TCPMSS", "DSCP", "CHECKSUM", "CLASSIFY",
    "SET", "AUDIT", "SECMARK", "CONNSECMARK", "TOS", "TTL", "HL", "TEE", "RATEEST", "IDLETIMER",
)  # fmt: skip
"""Targets that a packet comes back from."""


def _of_iptables(text: str) -> tuple[Reading, ...]:
    try:
        words = shlex.split(text)[2:]
    except ValueError:
        return (Reading((NOBODY_KNOWS,), Verdict("unknown")),)
    conditions: list[Condition] = []
    negated, at = False, 0
    while at < len(words):
        word, after = words[at], words[at + 1 : at + 2]
        at += 2
        if word == "!":
            negated, at = True, at - 1
            continue
        if word in ("-j", "-g") and after:
            return _target(after[0], word == "-g", tuple(conditions))
        if word in OPTIONS and after:
            conditions.append(_condition(OPTIONS[word], after[0].split(","), negated))
        elif word == "--tcp-flags":
            conditions.append(_flags(words[at - 1], words[at], negated))
            at += 1
        elif word not in IGNORED:
            conditions.append(NOBODY_KNOWS)
            at -= 1
            while at < len(words) and words[at] != "!" and not words[at].startswith("-"):
                at += 1
        negated = False
    return ()


def _target(name: str, goto: bool, conditions: tuple[Condition, ...]) -> tuple[Reading, ...]:
    if name in GO_ON:
        return ()
    if name in UNDECIDED:
        return (Reading(conditions, Verdict("unknown")),)
    if name in VERDICTS and not goto:
        return (Reading(conditions, Verdict(VERDICTS[name])),)
    return (Reading(conditions, Verdict("goto" if goto else "jump", name)),)


# -- nftables ------------------------------------------------------------------------------------------------------

FIELDS = {
    ("ip", "saddr"): "source", ("ip6", "saddr"): "source", ("ip", "daddr"): "target", ("ip6", "daddr"): "target",
    ("tcp", "dport"): "port", ("th", "dport"): "port", ("ip", "protocol"): "protocol", ("ip6", "nexthdr"): "protocol",
    ("meta", "l4proto"): "protocol", ("meta", "nfproto"): "family", ("meta", "protocol"): "family",
    ("meta", "iif"): "in", ("meta", "iifname"): "in", ("meta", "oif"): "out", ("meta", "oifname"): "out",
    ("ct", "state"): "state", ("ct", "status"): "state",
}  # fmt: skip
OTHER_PROTOCOLS = ("udp", "udplite", "icmp", "icmpv6", "sctp", "dccp", "igmp", "esp", "ah", "comp", "arp", "vlan")
SKIPPED = {
    "counter": {"packets": 1, "bytes": 1, "name": 1},
    "log": {"prefix": 1, "level": 1, "group": 1, "snaplen": 1, "queue-threshold": 1, "flags": 1},
    "comment": {},
    "notrack": {},
    "continue": {},
}
"""Statements that decide nothing, and how many words follow their own."""

ENDS = ("queue", "dnat", "snat", "masquerade", "redirect", "tproxy", "fwd", "synproxy")
WHICH_FLAGS = re.compile(
    r"\btcp flags (?:& \(?(?P<mask>\w+(?: \| \w+)*)\)? (?P<op>==|!=) (?P<value>\w+(?: \| \w+)*)"
    r"|(?P<not>!= )?(?P<some>[\w,]+) / (?P<of>[\w,]+)|(?P<any>[a-z,]+))(?= |$)"
)
KIND = re.compile(r"\bfib (?P<end>[sd])addr type (?P<not>!= )?(?P<kinds>\w+|\{[^}]*\})(?= |$)")
TOKENS = re.compile(r'"[^"]*"|[{},()]|[^\s{},()"]+')


class _Nft:
    def __init__(self, text: str, sets: Sets) -> None:
        self.sets, self.at = sets, 0
        self.conditions: list[Condition] = []
        for pattern, read in ((WHICH_FLAGS, self._flags), (KIND, self._kind)):
            text = pattern.sub(read, text)
        self.tokens = TOKENS.findall(text)

    def _flags(self, match: re.Match[str]) -> str:
        if match["any"]:
            self.conditions.append(Condition(lambda packet: "syn" in _words(match["any"])))
        elif match["mask"]:
            self.conditions.append(_flags(match["mask"], match["value"], match["op"] == "!="))
        else:
            self.conditions.append(_flags(match["of"], match["some"], bool(match["not"])))
        return ""

    def _kind(self, match: re.Match[str]) -> str:
        field = "source kind" if match["end"] == "s" else "target kind"
        self.conditions.append(_condition(field, re.findall(r"\w+", match["kinds"]), bool(match["not"])))
        return ""

    def next(self, word: str | None = None) -> str:
        """The next token, taken; "" where it is not that word."""
        token = self.tokens[self.at] if self.at < len(self.tokens) else ""
        if word is not None and token != word:
            return ""
        self.at += 1
        return token

    def read(self) -> tuple[Reading, ...]:
        while self.at < len(self.tokens):
            word = self.next()
            if word in ("accept", "drop", "return"):
                return (Reading(tuple(self.conditions), Verdict(word)),)
            if word == "reject":
                return (Reading(tuple(self.conditions), Verdict("reject")),)
            if word in ("jump", "goto"):
                return (Reading(tuple(self.conditions), Verdict(word, self.next())),)
            if word in ENDS:
                return (Reading(tuple(self.conditions), Verdict("unknown")),)
            if word in SKIPPED:
                self._skip(word)
                continue
            pair = ("meta", word) if ("meta", word) in FIELDS else (word, self.next())
            field = FIELDS.get(pair)
            if field is not None:
                mapped = self._field(pair, field)
                if mapped is not None:
                    return mapped
            elif word in OTHER_PROTOCOLS:
                self.conditions.append(NEVER)
            elif word in ("meta", "ct") and self.next("set"):
                self.next()
            else:
                self.at -= 1  # only this word is not understood; what follows may be
                self.conditions.append(NOBODY_KNOWS)
        return ()

    def _skip(self, word: str) -> None:
        if word == "comment":
            self.next()
        while self.at < len(self.tokens) and self.tokens[self.at] in SKIPPED[word]:
            self.at += 2
            while self.next(","):
                self.next()

    def _field(self, pair: tuple[str, str], field: str) -> tuple[Reading, ...] | None:
        """Take one condition; what a verdict map decides, where it is one."""
        if pair[0] in ("ip", "ip6"):
            self.conditions.append(_condition("family", [pair[0]]))
        if self.next("vmap"):
            return self._map(field)
        negated = bool(self.next("!="))
        self.next("==")
        self.conditions.append(_condition(field, self._values(), negated))
        return None

    def _values(self) -> list[str] | None:
        word = self.next()
        if word == "{":
            return self._braced()
        if word.startswith("@"):
            found = self.sets.get(word[1:])
            return None if found is None else [re.split(" (?:timeout|expires|counter|comment) ", e)[0] for e in found]
        if not word or word in ("&", ".", "<", ">", "<=", ">=", "^", "|"):
            return None
        values = [word]
        while self.next(","):
            values.append(self.next())
        return values

    def _braced(self) -> list[str]:
        words: list[str] = []
        while self.at < len(self.tokens) and (word := self.next()) != "}":
            words.append(word)
        return " ".join(words).split(" , ")

    def _map(self, field: str) -> tuple[Reading, ...]:
        word = self.next()
        entries: Sequence[str] | None = self._braced() if word == "{" else self.sets.get(word.removeprefix("@"))
        if entries is None:
            return (Reading((*self.conditions, NOBODY_KNOWS), Verdict("unknown")),)
        found = []
        for entry in entries:
            key, _, verdict = entry.rpartition(" : ")
            kind, _, chain = verdict.partition(" ")
            if kind == "continue":
                continue
            known = kind if kind in ("accept", "drop", "return", "jump", "goto") else "unknown"
            condition = NOBODY_KNOWS if " . " in key else _condition(field, [re.split(" (?:timeout|counter) ", key)[0]])
            found.append(Reading((*self.conditions, condition), Verdict(known, chain)))
        return tuple(found)
