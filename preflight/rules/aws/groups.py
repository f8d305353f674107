"""Security groups: stateful, so a pair needs one rule out of the one group and one into the other; nothing else does.

source: VPC user guide, security group rules: rules only allow; those of all groups of an interface are one set.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from ...facts import CouldNotCheck
from ...facts.aws import Direction, GroupRule, Interface, PrefixList, SecurityGroup


def allow(
    groups: Mapping[str, SecurityGroup],
    lists: Mapping[str, PrefixList],
    *,
    own: Interface,
    direction: Direction,
    peer: str,
    peer_groups: Iterable[str],
    port: int,
) -> bool:
    """Whether the interface's groups let TCP to `port` through: out of it to the peer, or into it from the peer.

    peer: its address; peer_groups: its groups, which a rule may name instead.
    Raises CouldNotCheck where only a prefix list that could not be read might allow it, or a group is not known.
    """
    named = frozenset(peer_groups)
    doubt: str | None = None
    for identity in own.groups:
        if identity not in groups:
            raise CouldNotCheck(f"security group {identity} is not among those AWS listed")
        for rule in groups[identity].rules:
            if rule.direction != direction or not _covers(rule, port):
                continue
            for other in rule.peers:
                if other.startswith("pl-"):
                    found = lists.get(other)
                    if found is None or found.cidrs is None:
                        doubt = f"prefix list {other}, which {identity} names, could not be read"
                    elif any(inside(peer, cidr) for cidr in found.cidrs):
                        return True
                elif other in named if other.startswith("sg-") else inside(peer, other):
                    return True
    if doubt:
        raise CouldNotCheck(doubt)
    return False


def inside(address: str, cidr: str) -> bool:
    """Whether the address is in the range; never across IPv4 and IPv6."""
    network = ipaddress.ip_network(cidr, strict=False)
    found = ipaddress.ip_address(address)
    return found.version == network.version and found in network


def _covers(rule: GroupRule, port: int) -> bool:
    if rule.protocol == "all":
        return True
    return rule.protocol == "tcp" and (rule.ports is None or rule.ports[0] <= port <= rule.ports[1])
