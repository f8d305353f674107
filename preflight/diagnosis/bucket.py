"""The causes that lie between a node and its bucket: rows of the table in causes.py."""

from __future__ import annotations

from .. import remedy
from ..facts import NodeFacts, known
from ..rules import clock, members, path, routes
from .found import Found
from .scene import Scene


def wrong_name(scene: Scene, node: NodeFacts) -> Found | None:
    """The bucket's name leads this node to nobody, or to somebody else."""
    proxied = routes.proxied_repositories(scene.survey, node)
    broken = [b for b in known(node.buckets) if b.repository not in proxied]
    named = [(b, why) for b in broken if (why := path.misnamed(scene.survey, node, b)) is not None]
    if not named:
        return None
    written = named[0][0].hosts_lines
    return Found(
        title="{nodes}: a wrong address for S3's name, from /etc/hosts"
        if written
        else "{nodes}: no address for S3's name, where other nodes have one",
        evidence=(
            *(f"{node.name}: {why}" for _, why in named),
            *(f"{node.name}: {b.repository}: {path.problem(b)}" for b, _ in named),
            *scene.sentences(node, "connection"),
        ),
        confidence="certain",
        explains=(("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.reach_bucket(scene.survey, node),
    )


def wrong_clock(scene: Scene, node: NodeFacts) -> Found | None:
    """A clock by which nothing is signed that S3 accepts, or soon nothing."""
    finding = clock.agrees(scene.survey, node)
    if finding is None:
        return None
    return Found(
        title="{nodes}: a clock that is off S3's",
        evidence=(
            f"{node.name}: {finding.observed}",
            *(f"{node.name}: {line}" for line in finding.details),
            *scene.sentences(node, "clock"),
        ),
        confidence="certain",
        explains=(("PATH-2", node.name), *scene.repository_pairs(node, "clock")),
        remedy=remedy.set_clock(node),
    )


def missing(scene: Scene, node: NodeFacts) -> Found | None:
    """A repository whose bucket does not exist."""
    gone = [b for b in known(node.buckets) if path.missing(b)]
    if not gone:
        return None
    names = members.listed([b.repository for b in gone])
    return Found(
        title=f"S3 has no bucket for {names}: as {{nodes}} are told",
        evidence=(*(f"{node.name}: {path.problem(b)}" for b in gone), *scene.sentences(node, "bucket")),
        confidence="certain",
        explains=(("PATH-1", node.name), ("REGION-1", node.name), *scene.repository_pairs(node, "bucket")),
        remedy=remedy.reach_bucket(scene.survey, node),
    )
