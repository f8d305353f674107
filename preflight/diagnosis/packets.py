"""What the kernels saw of packets: what is too long for a way and lost there, and what is only worth a reader's eye."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from .. import remedy
from ..facts import BucketPath, Dial, NodeFacts, Packets, Survey, Unknown, known
from ..judgement import Cause
from ..rules import members, path, path_mtu, routes
from .found import Found
from .scene import Scene

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
        if dial.member != own and dial.port != "remote" and dial.outcome == "open" and (dial.path_mtu or 0) < LOOPBACK:
            yield dial


def lost_to_s3(scene: Scene, node: NodeFacts) -> Found | None:
    """The way to S3 swallows long packets, and the node is not told to send shorter ones."""
    proxied = routes.proxied_repositories(scene.survey, node)
    lost = [(b, h) for b in known(node.buckets) if b.repository not in proxied and (h := path_mtu.hole(b)) is not None]
    if not lost:
        return None
    least = min((hole for _, hole in lost), key=lambda hole: hole.through)
    return Found(
        title=f"{{nodes}}: packets of more than {least.through} bytes to or from S3 are lost on the way, and no ICMP "
        "says so (path MTU)",
        evidence=(
            *(line for bucket, _ in lost if bucket.packets for line in _tried(node, bucket, bucket.packets)),
            *_elsewhere(scene, node),
            *scene.sentences(node, "connection"),
        ),
        confidence="certain" if all(hole.sure for _, hole in lost) else "likely",
        explains=(("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.shorten_packets(scene.survey, node, lost[0][0], least),
    )


def _tried(node: NodeFacts, bucket: BucketPath, seen: Packets) -> tuple[str, ...]:
    """The step that hung, what the kernel saw of it, and what came of shorter packets."""
    where = f"{bucket.host}:{bucket.port} ({bucket.addresses[0]})"
    what = {
        "handshake": f"TCP to {where} opens, and a TLS handshake has no answer",
        "request": f"{where} answers a short request, and none that is longer than a packet",
    }[seen.step or "handshake"]
    told = f"packets sent again {seen.retransmits}, not acknowledged {seen.unacknowledged}"
    answered, unanswered = (members.listed([str(size) for size in sizes]) for sizes in (seen.answered, seen.unanswered))
    return (
        f"{node.name}: {bucket.repository}: {what}; the kernel's path MTU is {seen.path_mtu or 'unknown'}, {told}",
        f"{node.name}: the same tried again at once with packets of so many bytes at most: answered with {answered}; "
        f"not with {unanswered}",
    )


def _elsewhere(scene: Scene, node: NodeFacts) -> tuple[str, ...]:
    """Who reaches the bucket with long packets."""
    sizes: dict[int, list[str]] = {}
    for other in members.companions(scene.survey, node):
        for theirs in () if isinstance(other.buckets, Unknown) else other.buckets[:1]:
            if path.problem(theirs) is None and theirs.packets and theirs.packets.path_mtu and not theirs.packets.step:
                sizes.setdefault(theirs.packets.path_mtu, []).append(other.name)
    return tuple(
        f"from {members.listed(names)} packets of up to {size} bytes get there, and the answers back"
        for size, names in sizes.items()
    )


def lost_between(scene: Scene) -> list[Cause]:
    """Members whose certificates come through in short packets alone, told as the node that most such pairs have."""
    left = [
        (node, members.title(scene.survey, dial.member), dial)
        for node in scene.survey.nodes
        for dial in _to_others(node)
        if path_mtu.between(dial)
    ]
    causes = []
    while left:
        often = Counter(name for node, target, _ in left for name in (node.name, target))
        name, pairs = often.most_common(1)[0]
        group = [cut for cut in left if name in (cut[0].name, cut[1])]
        left = [cut for cut in left if cut not in group]
        ends = (name,) if pairs > 1 else (group[0][0].name, group[0][1])
        others = dict.fromkeys(end for node, target, _ in group for end in (node.name, target) if end not in ends)
        between = f"{ends[0]} and {members.listed(list(others) or list(ends[1:]))}"
        causes.append(
            Cause(
                id="path-mtu",
                title=f"long packets between {between} are lost on the way, and no ICMP says so (path MTU)",
                nodes=ends,
                evidence=tuple(
                    f"{node.name} to {target} {dial.target}: TCP opens, a TLS handshake has no answer with packets of "
                    f"{dial.path_mtu or 'the usual'} bytes, and ends well with packets of 576 bytes at most"
                    for node, target, dial in group
                ),
                confidence="certain",
                explains=scene.troubled(("PORT-2", node.name) for node, _, _ in group),
                remedy=remedy.shorten_to_members(scene.survey, [(node, dial) for node, _, dial in group]),
            )
        )
    return [cause for cause in causes if cause.explains]
