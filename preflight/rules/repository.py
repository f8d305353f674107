"""REPO: `_verify` of every S3 repository succeeds on this node.

`_verify` tests the elected master first and, where that fails, tests nobody else and names no node; otherwise it tests
every data and master-eligible node and names those that failed (RepositoriesService, VerifyNodeRepositoryAction).
"""

from __future__ import annotations

from ..facts import (
    BucketPath,
    CouldNotCheck,
    LeftoverFolder,
    Leftovers,
    Member,
    NodeFacts,
    Process,
    Repository,
    Survey,
    Unknown,
    Verification,
    VerifyFailure,
    known,
)
from ..judgement import Finding, NotApplicable
from . import cluster, members

VERIFIED = "_verify succeeds and names this node"

STOPS = "Elasticsearch stops at the master"
"""How the reason begins on a node that was not tested because the elected master failed first."""

NOT_TESTED = {401, 403, 404, 408, 429, 502, 503, 504}
"""HTTP statuses of `_verify` that say nothing about S3: not allowed, unknown repository, no master, overloaded."""


LISTED = 20
"""Folders that one finding names."""

RUNNING = 3600.0
"""Seconds after which a marker is of no `_verify` that still runs."""


def verifies(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where `_verify` of every S3 repository is good on this node; the first failure otherwise, all in details."""
    member = members.member_of(survey, node)
    repositories = members.repositories(survey, node)
    members.require_user(member)
    if survey.options.read_only:
        raise NotApplicable("--read-only: snapshots not proven")
    findings: list[Finding] = []
    undecided: CouldNotCheck | None = None
    for repository in repositories:
        try:
            found = _judge(survey, node, member, repository)
        except CouldNotCheck as error:
            undecided = undecided or error
        else:
            findings.extend([found] if found else [])
    if findings:
        first, *more = findings
        return Finding(
            observed=first.observed,
            expected=first.expected,
            details=first.details + tuple(f.observed for f in more),
        )
    if undecided:
        raise undecided
    return None


def verification_of(survey: Survey, node: NodeFacts, repository: str) -> Verification:
    """How `_verify` of the repository ended.

    Raises CouldNotCheck where it was not called or gave no answer, or told of an Elasticsearch on this node that has
    ended since.
    """
    verifications = known(members.cluster_of(survey, node).verifications)
    for verification in verifications:
        if not isinstance(verification, Unknown) and verification.repository == repository:
            if _started_since(node, verification):
                raise CouldNotCheck(
                    f"Elasticsearch on {node.name} was started after _verify of {repository} had been called",
                    "run again, and while nothing restarts",
                )
            return verification
    unknown = [verification for verification in verifications if isinstance(verification, Unknown)]
    for why in (*(w for w in unknown if f"_verify of {repository} " in f"{w.reason} "), *unknown):
        known(why)
    raise CouldNotCheck(f"_verify of {repository} was not called")


def _started_since(node: NodeFacts, verification: Verification) -> bool:
    """By the node's clock put right; a process and a moment that are not known are taken for one."""
    if not isinstance(node.process, Process) or verification.started is None or isinstance(node.system, Unknown):
        return False
    return node.process.started - (node.system.clock_offset or 0.0) > verification.started


def good(survey: Survey, node: NodeFacts, repository: str) -> bool | None:
    """Whether `_verify` of the repository was good on this node, one that it tests; None where that is unknown."""
    try:
        verification = verification_of(survey, node, repository)
        if failure_of(survey, node, repository) is not None:
            return False
        own = known(node.view).node_id
    except CouldNotCheck:
        return None
    if any(f.node_id is None for f in verification.failures):
        return None  # no other node was tested
    return bool(verification.failures) or own in verification.verified


def failure_of(survey: Survey, node: NodeFacts, repository: str) -> VerifyFailure | None:
    """This node's own failure in the repository's `_verify`; None where it has none.

    A failure that names no node is the elected master's. Raises CouldNotCheck.
    """
    verification = verification_of(survey, node, repository)
    view = known(node.view)
    named = next((f for f in verification.failures if f.node_id == view.node_id), None)
    if named is not None:
        return named
    return _master_failure(survey, verification) if verification.master_before == view.node_id else None


def fails(survey: Survey, node: NodeFacts, repository: str) -> bool:
    """This node is known not to reach the repository: by its own failure in `_verify`, else by its path to it."""
    try:
        if failure_of(survey, node, repository) is not None:
            return True
    except CouldNotCheck:
        pass
    buckets = () if isinstance(node.buckets, Unknown) else node.buckets
    return good(survey, node, repository) is None and any(
        b.repository == repository and b.tcp != "open" for b in buckets
    )


def no_leftovers(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where the cluster's base paths hold no markers that a failed `_verify` left; a warning otherwise.

    Told by the one node that was asked to list them, or else by nobody: NotApplicable. Raises CouldNotCheck.
    """
    members.require_running(node)
    members.repositories(survey, node)
    listed = [b for b in known(node.buckets) if isinstance(b.leftovers, Leftovers)]
    if not listed:
        raise NotApplicable(_why_unlisted(survey, node))
    lines = []
    for bucket in listed:
        folders = left_behind(bucket)
        if folders:
            more = isinstance(bucket.leftovers, Leftovers) and bucket.leftovers.more
            objects = sum(folder.objects for folder in folders)
            what = "object" if objects == 1 and not more else "objects"
            runs = "1 old run" if len(folders) == 1 else f"{len(folders)} old runs"
            lines.append(
                f"{bucket.repository}: {objects}{' or more' if more else ''} {what} of {runs} of _verify "
                "under its base path"
            )
    if not lines:
        return None
    return Finding(
        observed=lines[0],
        expected="nothing left of _verify",
        details=(*lines[1:], *(folder.folder for b in listed for folder in left_behind(b)[:LISTED])),
        warning=True,
    )


def left_behind(bucket: BucketPath) -> tuple[LeftoverFolder, ...]:
    """Folders that are `_verify`'s own by every name in them, and too old to be of one that runs."""
    found = bucket.leftovers
    if not isinstance(found, Leftovers):
        return ()
    return tuple(folder for folder in found.folders if folder.known and folder.youngest >= RUNNING)


def _why_unlisted(survey: Survey, node: NodeFacts) -> str:
    seen = [(n.name, b.leftovers) for n in survey.nodes if not isinstance(n.buckets, Unknown) for b in n.buckets]
    told = [name for name, leftovers in seen if isinstance(leftovers, Leftovers) and name != node.name]
    if told:
        return f"said once for the cluster, by {told[0]}"
    why = [leftovers.reason for _, leftovers in seen if isinstance(leftovers, Unknown)]
    return why[0] if why else "no node's own role has listed a base path"


def _master_failure(survey: Survey, verification: Verification) -> VerifyFailure | None:
    if _untested(survey, verification) or verification.master_before != verification.master_after:
        return None
    return next((f for f in verification.failures if f.node_id is None), None)


def _untested(survey: Survey, verification: Verification) -> bool:
    """The answer says nothing about S3. A master without the plugin denies a repository that its own state has."""
    if verification.status == 404:
        master = survey.given(verification.master_before) if verification.master_before else None
        return master is None or not cluster.lacking_plugins(survey, master)
    return verification.status in NOT_TESTED


def _judge(survey: Survey, node: NodeFacts, member: Member, repository: Repository) -> Finding | None:
    verification = verification_of(survey, node, repository.name)
    failure = failure_of(survey, node, repository.name)
    if failure is not None:
        where = "on the elected master, before any other node was tested" if failure.node_id is None else "on this node"
        return Finding(
            observed=f"_verify of {repository.name} failed {where}: {failure.sentence}",
            expected=VERIFIED,
            details=tuple(line for line in failure.chain[:-1] if line != failure.sentence),
        )
    unnamed = next((f for f in verification.failures if f.node_id is None), None)
    if unnamed is not None:
        raise CouldNotCheck(_why_untested(survey, verification, unnamed))
    if verification.failures or member.id in verification.verified:
        return None  # an answer that names the failing nodes has tested all others
    return Finding(
        observed=f"_verify of {repository.name} names {len(verification.verified)} nodes as good, not this one",
        expected=VERIFIED,
    )


def _why_untested(survey: Survey, verification: Verification, failure: VerifyFailure) -> str:
    if _untested(survey, verification):
        return f"_verify of {verification.repository} answered HTTP {verification.status}: {failure.sentence}"
    master = verification.master_before
    if master is None or master != verification.master_after:
        return f"another master was elected while _verify of {verification.repository} ran: {failure.sentence}"
    name = members.title(survey, master)
    return f"{STOPS}: _verify of {verification.repository} failed on {name}: {failure.sentence}"
