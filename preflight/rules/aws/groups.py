"""Security groups: stateful, so a pair needs one rule out of the one group and one into the other; nothing else does.

source: VPC user guide, security group rules: rules only allow; those of all groups of an interface are one set.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable, Mapping

from ...facts import CouldNotCheck, Unknown
from ...facts.aws import Direction, GroupRule, PrefixList, SecurityGroup

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def allow(
    groups: Mapping[str, SecurityGroup],
    lists: Mapping[str, PrefixList],
    *,
    own: Iterable[str],
    direction: Direction,
    peer: str,
    peer_groups: Iterable[str],
    port: int,
) -> bool:
    """Whether these groups let TCP to `port` through: out of whoever has them to the peer, or in from the peer.

    peer: its address, or a range that has to be let through as a whole; peer_groups: its groups, which a rule may name
    Raises CouldNotCheck where only a prefix list that could not be read might allow it, or a group is not known.
    """
    named = frozenset(peer_groups)
    doubt: str | None = None
    for identity in own:
        if identity not in groups:
            raise CouldNotCheck(f"security group {identity} is not among those AWS listed")
        for rule in groups[identity].rules:
            if rule.direction != direction or not covers(rule, port):
                continue
            for other in rule.peers:
                if other.startswith("pl-"):
                    found = lists.get(other)
                    if found is None or isinstance(found.cidrs, Unknown):
                        why = f": {found.cidrs.reason}" if found and isinstance(found.cidrs, Unknown) else ""
                        doubt = f"prefix list {other}, which {identity} names, could not be read{why}"
                    elif any(inside(peer, cidr) for cidr in found.cidrs):
                        return True
                elif other in named if other.startswith("sg-") else inside(peer, other):
                    return True
    if doubt:
        raise CouldNotCheck(doubt)
    return False


def inside(place: str, cidr: str) -> bool:
    """Whether an address, or a whole range, is in the range; never across IPv4 and IPv6."""
    found, network = parsed(place), parsed(cidr)
    return found.version == network.version and found.subnet_of(network)  # type: ignore[arg-type]


@functools.lru_cache(maxsize=65536)
def parsed(text: str) -> Network:
    """The range that a CIDR or an address is: a cluster's are few, and asked for again and again."""
    return ipaddress.ip_network(text, strict=False)


def covers(rule: GroupRule, port: int) -> bool:
    """Whether the rule is for TCP to this port."""
    if rule.protocol == "all":
        return True
    return rule.protocol == "tcp" and (rule.ports is None or rule.ports[0] <= port <= rule.ports[1])
