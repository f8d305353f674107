"""Network ACLs: stateless, first matching entry decides, nothing matching is denied; not asked inside one subnet.

source: VPC user guide, network ACLs. An answer goes to the port that the asking kernel chose, so the whole range it
chooses from must be let back.
"""

from __future__ import annotations

from ...facts.aws import AclEntry, Direction, NetworkAcl
from .groups import inside

EPHEMERAL = (32768, 60999)
"""Linux's own default of net.ipv4.ip_local_port_range."""


def denied(acl: NetworkAcl, direction: Direction, peer: str, ports: tuple[int, int]) -> str | None:
    """What keeps TCP to any of these ports from passing, in words; None where all of them pass.

    peer: the other host's address, the destination of what leaves and the source of what enters
    ports: first and last destination port
    """
    left = [ports]
    for entry in acl.entries:
        if entry.direction != direction or entry.protocol not in ("tcp", "all") or not inside(peer, entry.cidr):
            continue
        first, last = entry.ports if entry.ports and entry.protocol == "tcp" else (0, 65535)
        hit = [(max(low, first), min(high, last)) for low, high in left]
        hit = [(low, high) for low, high in hit if low <= high]
        if hit and not entry.allow:
            return f"entry {entry.number} of {acl.id} denies {_words(direction, peer, hit[0])} ({_cidr(entry)})"
        left = [part for whole in left for part in _without(whole, (first, last))]
    if left:
        return f"no entry of {acl.id} allows {_words(direction, peer, left[0])}"
    return None


def _without(whole: tuple[int, int], taken: tuple[int, int]) -> list[tuple[int, int]]:
    parts = [(whole[0], min(whole[1], taken[0] - 1)), (max(whole[0], taken[1] + 1), whole[1])]
    return [(low, high) for low, high in dict.fromkeys(parts) if low <= high]


def _words(direction: Direction, peer: str, ports: tuple[int, int]) -> str:
    number = f"port {ports[0]}" if ports[0] == ports[1] else f"ports {ports[0]}-{ports[1]}"
    return f"{'outgoing' if direction == 'egress' else 'incoming'} TCP {number} {_way(direction)} {peer}"


def _way(direction: Direction) -> str:
    return "to" if direction == "egress" else "from"


def _cidr(entry: AclEntry) -> str:
    return f"{'all' if entry.protocol == 'all' else 'TCP'} {_way(entry.direction)} {entry.cidr}"
