"""Connections that nodes tried and that did not come about: from which address, by which interface, to where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from .addresses import host_of, is_address, stays_home
from .facts import BucketPath, ChosenPath, Dial, NodeFacts, Routing, Unknown, View

STOPPED = ("timeout", "refused", "no-route")
"""Outcomes that a packet filter can bring about."""


class Attempt(msgspec.Struct, frozen=True):
    """source, target: addresses; device: the interface it leaves by; each None where not known."""

    source: str | None
    device: str | None
    target: str | None
    port: int


def dialled(node: NodeFacts, dial: Dial) -> Attempt:
    """What a dial asked of the packet filters."""
    host, port = host_of(dial.target), int(dial.target.rpartition(":")[2])
    return _attempt(node, f"peer:{dial.member}", host, port)


def asked_of_bucket(node: NodeFacts, path: BucketPath) -> Attempt:
    """The same of a node's way to a bucket."""
    return _attempt(node, f"s3:{path.repository}", path.addresses[0], path.port)


def stopped(node: NodeFacts) -> tuple[Dial, ...]:
    """The node's dials to others that a packet filter may have stopped."""
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    return tuple(
        dial
        for dial in (() if isinstance(node.dials, Unknown) else node.dials)
        if dial.outcome in STOPPED and dial.member != own and not stays_home(dial.target)
    )


def stopped_buckets(node: NodeFacts) -> tuple[BucketPath, ...]:
    """The same of its ways to buckets."""
    paths = () if isinstance(node.buckets, Unknown) else node.buckets
    return tuple(path for path in paths if path.tcp in STOPPED and path.addresses)


def questions(nodes: Sequence[NodeFacts]) -> dict[str, tuple[tuple[str, ...], tuple[int, ...]]]:
    """Whose packet filters to read, by name: addresses and ports of what was stopped on its way from or to them."""
    addresses: dict[str, set[str]] = {}
    ports: dict[str, set[int]] = {}

    def concern(name: str, attempt: Attempt, own: Iterable[str]) -> None:
        addresses.setdefault(name, set()).update(own, [attempt.target] if attempt.target else [])
        ports.setdefault(name, set()).add(attempt.port)

    called = {node.name: node.name for node in nodes}
    called.update((node.view.node_id, node.name) for node in nodes if isinstance(node.view, View))
    for node in nodes:
        for dial in stopped(node):
            attempt = dialled(node, dial)
            sources = [attempt.source] if attempt.source else global_addresses(node)
            for name in {node.name, called.get(dial.member, node.name)}:
                concern(name, attempt, sources)
        for path in stopped_buckets(node):
            attempt = asked_of_bucket(node, path)
            concern(node.name, attempt, [attempt.source] if attempt.source else global_addresses(node))
    return {name: (tuple(sorted(found)), tuple(sorted(ports[name]))) for name, found in addresses.items()}


def is_target(node: NodeFacts, dial: Dial) -> bool:
    """Whether a given node is who was dialled; where no cluster answered, dials bear a given node's name."""
    return dial.member == node.name or (isinstance(node.view, View) and dial.member == node.view.node_id)


def global_addresses(node: NodeFacts) -> tuple[str, ...]:
    """The host's own addresses that others may see it by."""
    found = node.routing.addresses if isinstance(node.routing, Routing) else ()
    return tuple(a.address for a in found if a.scope == "global" and not stays_home(f"{a.address}:0"))


def _attempt(node: NodeFacts, purpose: str, host: str, port: int) -> Attempt:
    target = host if is_address(host) else None
    paths: tuple[ChosenPath, ...] = () if isinstance(node.paths, Unknown) else node.paths
    # The first of a purpose is what the kernel chooses for whoever does not bind to an address.
    path = next((p for p in paths if p.purpose == purpose and p.target in (target, None)), None)
    if path is not None:
        return Attempt(path.source, path.device, target, port)
    own = [address for address in global_addresses(node) if (":" in address) == (":" in host)]
    return Attempt(own[0] if len(own) == 1 and target else None, None, target, port)
