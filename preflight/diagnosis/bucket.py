"""The causes that lie between a node and its bucket: rows of the table in causes.py."""

from __future__ import annotations

from .. import remedy
from ..facts import NodeFacts, Unknown, known
from ..rules import clock, cluster, members, path, refusals, routes
from . import policies
from .found import Found
from .scene import Scene


def wrong_name(scene: Scene, node: NodeFacts) -> Found | None:
    """The bucket's name leads this node to nobody, or to somebody else."""
    proxied = routes.proxied_repositories(scene.survey, node)
    broken = [b for b in known(node.buckets) if b.repository not in proxied]
    named = [(b, why) for b in broken if (why := path.misnamed(scene.survey, node, b)) is not None]
    if not named or policies.resolves_nothing(scene, node):
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


def unknown_type(scene: Scene, node: NodeFacts) -> Found | None:
    """A node that cannot hold the repository at all: the plugin for its type is not installed there.

    Elasticsearch 8 says so of the elected master; of any other node its answer has no reason, and the plugins tell.
    """
    said = scene.sentences(node, "plugin")
    lacking = cluster.lacking_plugins(scene.survey, node)
    untold = [f.sentence for f in scene.failures(node) if refusals.of(f) is None] if lacking and not said else []
    if not (said or untold):
        return None
    return Found(
        title="{nodes}: Elasticsearch has no plugin for the repository's type",
        evidence=(
            *said,
            *(f"_verify on {node.name}: {sentence}" for sentence in untold[:1]),
            *(f"{name} has {plugin}; {node.name} lacks it" for plugin, name in lacking.items()),
        ),
        confidence="certain" if said else "likely",
        explains=(
            ("CLUSTER-3", node.name),
            # Its settings go with the plugin: nothing starts with them otherwise.
            ("REGION-2", node.name),
            *((("REPO-1", node.name),) if untold else scene.repository_pairs(node, "plugin")),
        ),
        remedy=remedy.install_plugin(scene.survey, node),
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


def untrusted(scene: Scene, node: NodeFacts) -> Found | None:
    """S3's certificate is signed by nobody that the JVM trusts: its store lost an authority, or a proxy opens TLS."""
    proxied = routes.proxied_repositories(scene.survey, node)
    refused = [
        b
        for b in known(node.buckets)
        if path.untrusted(b) and b.repository not in proxied and path.misnamed(scene.survey, node, b) is None
    ]
    sentences = scene.sentences(node, "connection")
    # Where the JVM's store could not be read, Elasticsearch's own words decide whether it is the JVM that refuses.
    if not refused or not (refused[0].trust_store or any("PKIX" in sentence for sentence in sentences)):
        return None
    finding = path.reaches_buckets(scene.survey, node)
    if finding is None or finding.warning:
        return None
    host = {True: "this host's own trust store accepts it", False: "this host's own trust store refuses it too"}
    accepted = [
        f"{other.name} accepts it" + (f" by its {theirs.trust_store}" if theirs.trust_store else "")
        for other in members.companions(scene.survey, node)
        for theirs in (() if isinstance(other.buckets, Unknown) else other.buckets)
        if theirs.repository == refused[0].repository and theirs.tls == "ok"
    ]
    return Found(
        title="{nodes}: Elasticsearch's JVM does not trust S3's certificate",
        evidence=(
            *(f"{node.name}: {b.repository}: {path.problem(b)}" for b in refused),
            *(f"{node.name}: {host[b.host_trusts]}" for b in refused[:1] if b.host_trusts is not None),
            *accepted,
            *sentences,
        ),
        confidence="certain" if refused[0].trust_store else "likely",
        explains=(("PATH-1", node.name), *scene.repository_pairs(node, "connection")),
        remedy=remedy.reach_bucket(scene.survey, node),
    )
