"""The host's own packet filter on its way to S3."""

from __future__ import annotations

from .. import remedy
from ..attempts import stopped_buckets
from ..facts import NodeFacts
from ..rules import filters, path, routes
from .found import Found
from .scene import Scene


def cuts_off(scene: Scene, node: NodeFacts) -> Found | None:
    """Every bucket that the node gets no connection to is shut to it by a rule of its own, for certain."""
    stopping = _stopping(scene, node)
    blockers = filters.proven(stopping.values())
    if not blockers:
        return None
    ways = {way.repository: way for way in stopped_buckets(node)}
    return Found(
        title="{nodes}: cut off from S3 by its own firewall",
        evidence=(
            *(f"{node.name}: {path.problem(ways[repository])}" for repository in stopping),
            *dict.fromkeys(blocker.words for blocker in blockers),
        ),
        confidence="certain",
        explains=(("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.let_out_to_s3(blockers),
    )


def says(scene: Scene, node: NodeFacts) -> tuple[str, ...]:
    """What its own rules have to do with a way to S3 that is shut, as lines of evidence; none where it is not known."""
    words = [blocker.words for blockers in _stopping(scene, node).values() for blocker in blockers]
    if words:
        return tuple(dict.fromkeys(words))
    ways = stopped_buckets(node)
    if ways and all(way.tcp == "timeout" and filters.lets_to_bucket(node, way) for way in ways):
        return (f"nftables and iptables of {node.name} let it out",)
    return ()


def _stopping(scene: Scene, node: NodeFacts) -> dict[str, tuple[filters.Blocker, ...]]:
    """Repository to what explains it. Raises CouldNotCheck."""
    ways = stopped_buckets(node)
    proxied = routes.proxied_repositories(scene.survey, node) if ways else ()
    return {
        way.repository: filters.of_bucket(node, way)
        for way in ways
        if way.repository not in proxied and path.misnamed(scene.survey, node, way) is None
    }
