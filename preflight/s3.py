"""Where one node's requests for one repository go, and which region signs them: read off the facts, judged by nobody.

The survey asks this to know what to try from the node, the rules to know what a setting means.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from . import versions
from .addresses import is_address
from .facts import CouldNotCheck, Imds, Install, Member, NodeFacts, Process, Repository, Unknown
from .facts.node import Config

GLOBAL = "s3.amazonaws.com"
"""S3's endpoint without a region in its name."""

BUCKET_ACTIONS = ("s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads", "s3:ListBucketVersions")
OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
"""What a repository needs on its bucket and on the objects in it (Elastic's documentation of the S3 repository)."""

RegionSource = Literal["repository", "client", "endpoint", "-Daws.region", "AWS_REGION", "IMDS"]


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One repository's bucket as one node addresses it.

    service: host of the S3 service; host: what the connection goes to (bucket in front unless path style); port; tls
    region: None where nothing on the node gives one; source: what gave it; aws: the service is Amazon's own
    """

    repository: str
    client: str
    service: str
    host: str
    port: int
    tls: bool
    path_style: bool
    region: str | None
    source: RegionSource | None
    aws: bool


def client_settings(node: NodeFacts, member: Member | None, client: str) -> dict[str, str]:
    """The client's non-secure settings on this node, setting name -> value.

    The running node's own report wins; elasticsearch.yml stands in where Elasticsearch could not be asked.
    """
    if member is not None:
        found = next((c for c in member.clients if c.name == client), None)
        if found is None:
            return {}
        values = {"region": found.region, "endpoint": found.endpoint, "protocol": found.protocol}
        if found.path_style_access is not None:
            values["path_style_access"] = str(found.path_style_access).lower()
        return {name: value for name, value in values.items() if value}
    if isinstance(node.config, Config):
        prefix = f"s3.client.{client}."
        return {n[len(prefix) :]: v for n, v in node.config.settings.items() if n.startswith(prefix)}
    return {}


def is_aws(host: str) -> bool:
    """True for Amazon's own S3 hosts, interface endpoints (…vpce.amazonaws.com) and the China partition included."""
    return host.lower().rstrip(".").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def region_of(host: str) -> str | None:
    """The region that an AWS S3 host name stands for, else None: as Elasticsearch guesses it from an endpoint.

    s3.REGION.amazonaws.com, s3-REGION.…, s3-fips.REGION.…, ….s3.REGION.vpce.…; the global s3.amazonaws.com is us-east-1
    """
    host = host.lower().rstrip(".")
    if host in (GLOBAL, "s3-external-1.amazonaws.com"):
        return "us-east-1"
    match = re.search(
        r"(?:^|\.)s3(?:-fips)?[.-](?:dualstack\.)?([a-z]{2}(?:-[a-z]+)+-\d)\.(?:vpce\.)?amazonaws\.com", host
    )
    return match[1] if match else None


def endpoint(node: NodeFacts, member: Member | None, repository: Repository) -> Endpoint:
    """How this node reaches the repository's bucket.

    Repository settings override the client's (S3ClientSettings.refine since 7.0); region order of 8.19 and 9.1+
    (S3Service.getClientRegion): repository or client setting, endpoint's host name, -Daws.region, AWS_REGION, IMDS.
    Where no endpoint is set the version decides the host (versions.Line.host).
    """
    settings = client_settings(node, member, repository.client)
    written = repository.endpoint or settings.get("endpoint") or ""
    protocol = repository.protocol or settings.get("protocol") or "https"
    split = urlsplit(written if "://" in written else f"{protocol}://{written}")
    tls = (split.scheme or "https") == "https"
    region, source = _region(node, repository, settings, split.hostname or "")
    service = split.hostname or (f"s3.{region}.amazonaws.com" if region and not _goes_global(node, member) else GLOBAL)
    bucket = repository.bucket or ""
    style = repository.path_style_access
    if style is None:
        style = settings.get("path_style_access") == "true"
    # The SDK falls back to path style where the bucket cannot stand in a host name or under a TLS wildcard.
    style = style or is_address(service) or ("." in bucket and tls) or not re.fullmatch(r"[a-z0-9.-]{3,63}", bucket)
    return Endpoint(
        repository=repository.name,
        client=repository.client,
        service=service,
        host=service if style else f"{bucket}.{service}",
        port=split.port or (443 if tls else 80),
        tls=tls,
        path_style=style,
        region=region,
        source=source,
        aws=is_aws(service),
    )


def _region(
    node: NodeFacts, repository: Repository, settings: dict[str, str], host: str
) -> tuple[str | None, RegionSource | None]:
    process = node.process if isinstance(node.process, Process) else None
    imds = node.imds if isinstance(node.imds, Imds) else None
    candidates: tuple[tuple[str | None, RegionSource], ...] = (
        (repository.region, "repository"),
        (settings.get("region"), "client"),
        (region_of(host), "endpoint"),
        (process.region_property if process else None, "-Daws.region"),
        (process.region_environment if process else None, "AWS_REGION"),
        (imds.region if imds else None, "IMDS"),
    )
    return next(((value, source) for value, source in candidates if value), (None, None))


def _goes_global(node: NodeFacts, member: Member | None) -> bool:
    """The node's version asks for s3.amazonaws.com whatever the region; a version that is not known counts as newer."""
    installed = node.install.version if isinstance(node.install, Install) else None
    try:
        return versions.line((member.version if member else installed) or "").host == "global"
    except CouldNotCheck:
        return False


def s3_repositories(repositories: tuple[Repository, ...] | Unknown) -> tuple[Repository, ...]:
    """Those of type s3; none where the list is unknown."""
    return () if isinstance(repositories, Unknown) else tuple(r for r in repositories if r.type == "s3" and r.bucket)


def leaves_aws(repository: Repository, members: tuple[Member, ...]) -> bool:
    """True where the repository, or its client on every member that sets one, names an endpoint that is not AWS's."""
    if repository.endpoint:
        return not is_aws(_host(repository.endpoint))
    endpoints = [c.endpoint for m in members for c in m.clients if c.name == repository.client]
    return bool(endpoints) and all(written and not is_aws(_host(written)) for written in endpoints)


def _host(written: str) -> str:
    return urlsplit(written if "://" in written else f"//{written}").hostname or ""
