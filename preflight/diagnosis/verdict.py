"""The run in one sentence, and the lines that are nobody's failure."""

from __future__ import annotations

from ..facts import Survey, Unknown
from ..judgement import Cause
from ..rules import cluster, members
from .scene import Scene

NAMED = 3
"""How many causes the verdict names before it counts them."""


def verdict(scene: Scene, causes: tuple[Cause, ...]) -> str:
    """One sentence: whether snapshots work, and what is in the way. Snapshots are proven by REPO-1 alone."""
    seen = {outcome.outcome for outcome in scene.outcomes}
    repository = [o.outcome for o in scene.outcomes if o.check == "REPO-1"]
    proven = "pass" in repository and not set(repository) & {"fail", "could not check", "blocked", "waived"}
    count = len(scene.survey.nodes)
    nodes = f"all {count} nodes" if count > 1 else "the one node given"
    works = f"snapshots to S3 work from {nodes}" if proven else f"snapshots to S3 are not proven{_why(scene)}"
    if "fail" in seen:
        start = "Snapshots to S3 fail" if "fail" in repository else f"Something is wrong, though {works}"
        if not proven and "fail" not in repository:
            start = f"Something is wrong, and {works}"
        return f"{start}: {_named(scene, causes)}."
    if seen & {"could not check", "blocked"}:
        names = sorted({o.node for o in scene.outcomes if o.outcome in ("could not check", "blocked")})
        return f"Nothing found wrong, but not everything could be checked on {members.listed(names)}; {works}."
    if not seen:
        return "Nothing was checked."
    start = f"{works[0].upper()}{works[1:]}" if proven else f"Nothing found wrong; {works}"
    warnings = sum(1 for o in scene.outcomes if o.outcome == "warning")
    if warnings:
        return f"{start}; {warnings} {'warnings' if warnings > 1 else 'warning'} to look at."
    return f"{start}."


def _why(scene: Scene) -> str:
    if scene.survey.options.read_only:
        return " (--read-only)"
    reasons = [o.reason for o in scene.outcomes if o.check == "REPO-1" and o.outcome == "not applicable"]
    return f" ({reasons[0]})" if reasons else ""


def _named(scene: Scene, causes: tuple[Cause, ...]) -> str:
    failing = [
        cause
        for cause in causes
        if any((o := scene.outcome(*pair)) is not None and o.outcome != "warning" for pair in cause.explains)
    ]
    titles = [cause.title.split(" (")[0] for cause in failing[:NAMED]]
    more = len(failing) - NAMED
    return "; ".join(titles) + (f"; and {more} more" if more > 0 else "")


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
    if survey.options.insecure_host_keys:
        found.append("--insecure-host-keys: no host key was verified; whoever answered may not be the node")
    if any(dial.assumed for node in survey.nodes if not isinstance(node.dials, Unknown) for dial in node.dials):
        found.append("no cluster could be asked for addresses: assumed where each node listens, else 9300 and 9200")
    return tuple(found)
