"""REGION: the region each S3 client would really use on this node, and where it comes from."""

from __future__ import annotations

import re

from .. import s3, versions
from ..facts import CouldNotCheck, NodeFacts, Repository, Survey, Unknown, known
from ..judgement import Finding, NotApplicable
from . import members, path
from . import repository as repository_rules

REMOVED = re.compile(r"(?:cloud\.aws|repositories\.s3)\..+")
"""Settings that 6.0 removed: a node with one of them in elasticsearch.yml refuses to start (unknown setting)."""


def judged(survey: Survey, node: NodeFacts) -> tuple[Repository, ...]:
    """The repositories whose region matters on this node.

    Raises CouldNotCheck; NotApplicable where there is none: no S3 repository, none on AWS, a version without the
    setting, a node that never touches snapshots.
    """
    member = survey.member_of(node)
    repositories = members.repositories(survey, node)
    members.require_user(member)
    version = members.version_of(survey, node)
    if not versions.line(version).region_setting:
        raise NotApplicable(f"Elasticsearch {version} has no region setting; its AWS SDK finds the bucket's")
    found = tuple(r for r in repositories if s3.endpoint(node, member, r).aws)
    if not found:
        raise NotApplicable("no S3 repository of this cluster goes to AWS")
    return found


def used(survey: Survey, node: NodeFacts, repository: Repository) -> tuple[str | None, str | None]:
    """Region and its source for one repository on this node.

    (None, "bucket") where the AWS SDK asks S3 itself and needs none; (None, None) where nothing gives one.
    Raises CouldNotCheck where what would give it could not be seen.
    """
    member = survey.member_of(node)
    if member is None:
        known(node.config)
    endpoint = s3.endpoint(node, member, repository)
    if endpoint.source in ("repository", "client"):
        return endpoint.region, endpoint.source
    asks_bucket = versions.line(members.version_of(survey, node)).unset_region == "bucket"
    # SDK v1's own default endpoint: whether it is written or not is the same to that SDK.
    if endpoint.source == "endpoint" and not (asks_bucket and endpoint.service == s3.GLOBAL):
        return endpoint.region, endpoint.source
    if asks_bucket:
        return None, "bucket"
    if known(node.process) is None:
        raise CouldNotCheck("no setting gives the region, and what a start would give is unknown while nothing runs")
    if endpoint.source in ("-Daws.region", "AWS_REGION"):
        return endpoint.region, endpoint.source
    known(node.imds)
    return endpoint.region, endpoint.source


def bucket_region(survey: Survey, node: NodeFacts, repository: str) -> str | None:
    """The region S3 itself names for the bucket: as told to this node, else to a companion; None where to nobody."""
    for witness in (node, *members.companions(survey, node)):
        if not isinstance(witness.buckets, Unknown):
            for bucket in witness.buckets:
                # A header off the network that ends up in a printed command: only what a region can look like.
                named = bucket.bucket_region or ""
                if bucket.repository == repository and re.fullmatch(r"[a-z0-9-]+", named):
                    return named
    return None


def absent(survey: Survey, node: NodeFacts, repository: str) -> bool:
    """True where S3 says that the repository's bucket does not exist: to this node, else to a companion."""
    return any(
        bucket.repository == repository and path.missing(bucket)
        for witness in (node, *members.companions(survey, node))
        for bucket in (() if isinstance(witness.buckets, Unknown) else witness.buckets)
    )


def agrees(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where every repository's region is known on this node and is the bucket's, hence every node's."""
    problems: list[str] = []
    wanted: list[str] = []
    undecided: CouldNotCheck | None = None
    repositories = judged(survey, node)
    there = [repository for repository in repositories if not absent(survey, node, repository.name)]
    if not there:
        raise NotApplicable(f"S3 has no bucket for {repositories[0].name}, hence no region (PATH-1)")
    for repository in there:
        try:
            problem, expected = _judge(survey, node, repository)
        except CouldNotCheck as error:
            undecided = undecided or error
            continue
        if problem:
            problems.append(problem)
            wanted.append(expected)
    if problems:
        return Finding(observed=problems[0], expected=wanted[0], details=tuple(problems[1:]))
    if undecided:
        raise undecided
    return None


def _judge(survey: Survey, node: NodeFacts, repository: Repository) -> tuple[str | None, str]:
    region, source = used(survey, node, repository)
    bucket = bucket_region(survey, node, repository.name)
    what = f"{repository.name} (client {repository.client})"
    expected = f"{bucket}, the bucket's region" if bucket else "the bucket's region, the same on every node"
    if source == "bucket":
        return None, expected
    if region is None:
        return f"{what}: nothing gives a region, the SDK falls back to us-east-1 with cross-region access", expected
    if bucket:
        return (f"{what}: {region} from {spelled(source)}", expected) if region != bucket else (None, expected)
    others = _others(survey, node, repository)
    different = {name: r for name, r in others.items() if r != region}
    usual = members.majority({node.name: region, **others})
    if different and (usual is None or usual in different):
        seen = members.listed([f"{name} uses {r}" for name, r in sorted(different.items())])
        return f"{what}: {region} from {spelled(source)}; {seen}", expected
    if repository_rules.good(survey, node, repository.name):
        return None, expected  # S3 takes what is signed for this region, whoever could ask it
    raise CouldNotCheck(
        f"no node could ask S3 for the region of {repository.name}'s bucket", "mend the path to S3 first (PATH-1)"
    )


def _others(survey: Survey, node: NodeFacts, repository: Repository) -> dict[str, str]:
    found = {}
    for other in members.companions(survey, node):
        try:
            members.require_user(survey.member_of(other))
            region, _ = used(survey, other, repository)
        except (CouldNotCheck, NotApplicable):
            continue  # its own check says so
        if region:
            found[other.name] = region
    return found


def spelled(source: str | None) -> str:
    """A region's source in words."""
    words = {
        "repository": "the repository's own settings",
        "client": "s3.client settings in elasticsearch.yml",
        "endpoint": "the endpoint's host name",
        "IMDS": "IMDS alone",
        None: "nowhere",
    }
    return words.get(source, str(source))


def not_from_imds_alone(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where a setting, the endpoint or the JVM's start gives the region; a warning where only IMDS does.

    8.19 and 9.1+ only: older versions never ask IMDS for it (S3DefaultRegionHolder, read once at start).
    """
    from_imds = [r for r in judged(survey, node) if used(survey, node, r)[1] == "IMDS"]
    if not from_imds:
        return None
    clients = sorted({r.client for r in from_imds})
    return Finding(
        observed=f"client {members.listed(clients)} gets its region from IMDS alone, asked once when the node starts",
        expected=f"s3.client.{clients[0]}.region in elasticsearch.yml, so that a start without IMDS cannot change it",
        warning=True,
    )


def removed_settings(node: NodeFacts) -> Finding | None:
    """None where elasticsearch.yml holds no AWS setting that 6.0 removed."""
    found = [name for name in known(node.config).names if REMOVED.fullmatch(name)]
    if not found:
        return None
    return Finding(
        observed=f"{members.listed(found)} in elasticsearch.yml: this node will not start again (unknown setting)",
        expected="s3.client.NAME.region, or none",
    )
