"""What the kernels saw of the dials' packets: worth a reader's eye, and nobody's failure by itself."""

from __future__ import annotations

from collections.abc import Iterable

from ..facts import Dial, NodeFacts, Survey, Unknown
from ..rules import members

MOST = 10
"""Pairs that a note names."""

LOOPBACK = 65_535
"""A path MTU that no network has."""


def notes(survey: Survey) -> tuple[str, ...]:
    """One line where the path MTU towards the members is not the same everywhere, one where packets were sent again.

    A connection that opens proves neither: what opens it is short.
    """
    dials = [(node, dial) for node in survey.nodes for dial in _to_others(node)]
    found = []
    sizes: dict[int, list[str]] = {}
    for node, dial in dials:
        if dial.path_mtu is not None and node.name not in sizes.setdefault(dial.path_mtu, []):
            sizes[dial.path_mtu].append(node.name)
    if len(sizes) > 1:
        told = "; ".join(f"{size} from {members.listed(names)}" for size, names in sorted(sizes.items()))
        found.append(
            f"path MTU to other members, bytes: {told}. Long packets are lost where ICMP does not come through"
        )
    again = {
        f"{node.name} to {members.title(survey, dial.member)}": dial.retransmits
        for node, dial in dials
        if dial.retransmits
    }
    if again:
        told = ", ".join(f"{pair} ({count})" for pair, count in list(again.items())[:MOST])
        more = f" and {len(again) - MOST} more" if len(again) > MOST else ""
        found.append(f"packets that were sent again to open a port: {told}{more}")
    return tuple(found)


def _to_others(node: NodeFacts) -> Iterable[Dial]:
    own = None if isinstance(node.view, Unknown) else node.view.node_id
    for dial in () if isinstance(node.dials, Unknown) else node.dials:
        # Over loopback a node has another MTU, whichever address of its own it dials.
        if dial.member != own and dial.outcome == "open" and (dial.path_mtu or 0) < LOOPBACK:
            yield dial
