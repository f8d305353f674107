"""The run in one sentence, and the lines that are nobody's failure."""

from __future__ import annotations

import re

from .. import s3
from ..facts import Survey, Unknown
from ..judgement import Cause
from ..outcomes import Verdict
from ..rules import cluster, members
from . import packets
from .scene import Pair, Scene

NAMED = 3
"""How many causes the verdict names before it counts them."""


def verdict(scene: Scene, causes: tuple[Cause, ...]) -> str:
    """One sentence: whether snapshots work, and what is in the way. Snapshots are proven by REPO-1 alone."""
    seen = {outcome.outcome for outcome in scene.outcomes}
    repository = [o.outcome for o in scene.outcomes if o.check == "REPO-1"]
    proven = "pass" in repository and not set(repository) & {"fail", "could not check", "blocked", "waived"}
    proven = proven and not _only_read(scene.survey)
    works = f"snapshots to S3 work from {_proven(scene)}" if proven else f"snapshots to S3 are not proven{_why(scene)}"
    if "fail" in seen:
        start = "Snapshots to S3 fail" if "fail" in repository else f"Something is wrong, though {works}"
        if not proven and "fail" not in repository:
            start = f"Something is wrong, and {works}"
        return f"{start}: {_named(scene, causes)}."
    if seen & {"could not check", "blocked"}:
        names = sorted({o.node for o in scene.outcomes if o.outcome in ("could not check", "blocked")})
        return f"{_nothing(seen)}, but not everything could be checked on {members.listed(names)}; {works}."
    if not seen:
        return "Nothing was checked."
    start = f"{works[0].upper()}{works[1:]}" if proven else f"{_nothing(seen)}; {works}"
    warnings = sum(1 for o in scene.outcomes if o.outcome == "warning")
    if warnings:
        start += f"; {warnings} {'warnings' if warnings > 1 else 'warning'} to look at"
    if proven and "waived" in seen:
        start += f"; {sum(1 for o in scene.outcomes if o.outcome == 'waived')} waived"
    return f"{start}."


def _nothing(seen: set[Verdict]) -> str:
    return "Nothing found wrong but what is waived" if "waived" in seen else "Nothing found wrong"


def _proven(scene: Scene) -> str:
    """The nodes from which `_verify` passed: others were not asked, or never touch a snapshot."""
    names = [o.node for o in scene.outcomes if o.check == "REPO-1" and o.outcome == "pass"]
    count = len(scene.survey.nodes)
    if len(names) == count:
        return {1: "the one node given", 2: "both nodes"}.get(count, f"all {count} nodes")
    return members.listed(names) if len(names) <= NAMED else f"{len(names)} of {count} nodes"


def _why(scene: Scene) -> str:
    waived = [o.node for o in scene.outcomes if o.check == "REPO-1" and o.outcome == "waived"]
    if waived:
        return f" (waived on {members.listed(waived)})"
    if scene.survey.options.read_only:
        return " (--read-only)"
    if _only_read(scene.survey):
        return " (every S3 repository is registered as read-only)"
    reasons = [o.reason for o in scene.outcomes if o.check == "REPO-1" and o.outcome == "not applicable"]
    return f" ({reasons[0]})" if reasons else ""


def _only_read(survey: Survey) -> bool:
    """True where no S3 repository takes a snapshot: `_verify` passes on a read-only one, and has written nothing."""
    found = [r for cluster in survey.clusters for r in s3.s3_repositories(cluster.repositories)]
    return bool(found) and all(repository.readonly for repository in found)


def _named(scene: Scene, causes: tuple[Cause, ...]) -> str:
    failing = [
        cause
        for cause in causes
        if any((o := scene.outcome(*pair)) is not None and o.outcome != "warning" for pair in cause.explains)
    ]
    # What makes snapshots fail stands first: nothing else may be read as the reason.
    first = [cause for cause in failing if any(pair[0] == "REPO-1" and _fails(scene, pair) for pair in cause.explains)]
    rest = [cause for cause in failing if cause not in first]
    titles = [re.sub(r" \([^()]*\)", "", cause.title) for cause in (*first, *rest)][:NAMED]
    if first and rest and len(first) < NAMED:
        titles[len(first)] = f"besides, {titles[len(first)]}"
    more = len(failing) - NAMED
    return "; ".join(titles) + (f"; and {more} more" if more > 0 else "")


def _fails(scene: Scene, pair: Pair) -> bool:
    outcome = scene.outcome(*pair)
    return outcome is not None and outcome.outcome == "fail"


def notes(survey: Survey) -> tuple[str, ...]:
    """Lines worth a reader's eye that are no failure of any node."""
    found = []
    absent = cluster.not_given(survey)
    unseen = [node.name for node in survey.nodes if isinstance(node.view, Unknown)]
    if absent and not survey.options.complete:
        names = members.listed([f"{member.name} ({member.transport})" for member in absent])
        may_be = f", unless {members.listed(unseen)} are among them" if unseen else ""
        found.append(f"members of the cluster that were not given and not looked at: {names}{may_be}")
    if survey.options.read_only:
        found.append("--read-only: _verify was not called; snapshots not proven")
    read = [r.name for cluster in survey.clusters for r in s3.s3_repositories(cluster.repositories) if r.readonly]
    if read:
        found.append(f"registered as read-only: {members.listed(read)}; _verify reads there and writes nothing")
    left = [
        b.marker.key
        for n in survey.nodes
        if not isinstance(n.buckets, Unknown)
        for b in n.buckets
        if b.marker and b.marker.left
    ]
    if left:
        found.append(
            f"a marker object of this run may be left in the bucket, for you to delete: {members.listed(left)}"
        )
    if survey.options.insecure_host_keys:
        found.append("--insecure-host-keys: no host key was verified; whoever answered may not be the node")
    if any(dial.assumed for node in survey.nodes if not isinstance(node.dials, Unknown) for dial in node.dials):
        found.append("no cluster could be asked for addresses: assumed where each node listens, else 9300 and 9200")
    return (*found, *packets.notes(survey))
