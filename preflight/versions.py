"""What each Elasticsearch version honours where S3 is concerned: one table. Rules ask it and never compare versions."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .facts import CouldNotCheck

Source = Literal["keystore", "web identity", "properties", "environment", "container", "instance"]
"""Where repository-s3 may take credentials from.

web identity: AWS_WEB_IDENTITY_TOKEN_FILE with AWS_ROLE_ARN (IRSA); properties: -Daws.accessKeyId and its kin
container: the endpoint that AWS_CONTAINER_CREDENTIALS_RELATIVE_URI or _FULL_URI names; instance: IMDS
A profile file is none of them: repository-s3 may not read ~/.aws (PR 124190).
"""

STATIC_KEYS: dict[str, Source | None] = {
    "AWS_ACCESS_KEY_ID": "environment",
    "AWS_SECRET_ACCESS_KEY": "environment",
    "AWS_SESSION_TOKEN": "environment",
    "aws.accessKeyId": "properties",
    "aws.secretAccessKey": "properties",
    "aws.sessionToken": "properties",
    # Spellings of AWS SDK v1 alone, from which Elasticsearch has taken no key since 6.0.
    "AWS_ACCESS_KEY": None,
    "AWS_SECRET_KEY": None,
    "aws.secretKey": None,
}
"""Names of variables and of -D options that hold a static key, and the source that each is part of."""

PAIRS: dict[Source, tuple[str, str]] = {
    "environment": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
    "properties": ("aws.accessKeyId", "aws.secretAccessKey"),
}
"""Both halves, without which the SDK goes on to its next source (SystemSettingsCredentialsProvider)."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of releases, from `since` until the next row.

    sdk: major version of the AWS SDK that repository-s3 is built on
    credentials: sources it honours, the first that has credentials wins
    region_setting: s3.client.NAME.region exists
    unset_region: where the region comes from when neither setting nor endpoint gives one: "bucket" (SDK v1 asks S3 and
    needs none) or "chain" (-Daws.region, AWS_REGION, IMDS, else us-east-1 with cross-region access)
    host: whose name is asked for without an endpoint: "global" (s3.amazonaws.com whatever the region, which then is
    signed for and no more) or "region" (s3.REGION.amazonaws.com)
    imds: protocol it asks the metadata service with; "either" tries IMDSv2 first
    errors: what a refusal by S3 reads as: "code" (sentence and error code) or "sentence" (no code)
    source: where that is written
    """

    since: tuple[int, int]
    sdk: Literal[1, 2]
    credentials: tuple[Source, ...]
    region_setting: bool
    unset_region: Literal["bucket", "chain"]
    host: Literal["global", "region"]
    imds: Literal["IMDSv1", "either", "IMDSv2"]
    errors: Literal["code", "sentence"]
    source: str

    @property
    def environment_keys(self) -> bool:
        """AWS_ACCESS_KEY_ID and -Daws.accessKeyId are used where the keystore holds no key."""
        return "environment" in self.credentials


IMDS_PATIENCE = 1000.0
"""Milliseconds that both AWS SDKs wait for one answer of the metadata service, where AWS_METADATA_SERVICE_TIMEOUT does
not say otherwise (v1: ConnectionUtils; v2: SdkSystemSetting.AWS_METADATA_SERVICE_TIMEOUT)."""

LINES = (
    Line(
        since=(6, 0),
        sdk=1,
        credentials=("keystore", "instance"),
        region_setting=False,
        unset_region="bucket",
        host="global",
        imds="IMDSv1",
        errors="code",
        source="6.0 breaking changes, plugins: cloud.aws.region, repositories.s3.region and keys from the environment "
        "removed (PR 22853, 24445); credentials: the stack trace of 6.2.2 in issue 28893",
    ),
    Line(
        since=(6, 3),
        sdk=1,
        credentials=("keystore", "container", "instance"),
        region_setting=False,
        unset_region="bucket",
        host="global",
        imds="IMDSv1",
        errors="code",
        source="7.x S3Service: EC2ContainerCredentialsProviderWrapper (its first 6.x release is not established), "
        "buildClient: EndpointConfiguration of Constants.S3_HOSTNAME without an endpoint, as up to 8.18 and 9.0; "
        "issue 53191: the SDK up to 7.6 has no IMDSv2",
    ),
    Line(
        since=(7, 7),
        sdk=1,
        credentials=("keystore", "container", "instance"),
        region_setting=True,
        unset_region="bucket",
        host="global",
        imds="either",
        errors="code",
        source="PR 52112: s3.client.NAME.region added, optional; S3ClientSettings.refine lets a repository override it",
    ),
    Line(
        since=(8, 0),
        sdk=1,
        credentials=("keystore", "web identity", "container", "instance"),
        region_setting=True,
        unset_region="bucket",
        host="global",
        imds="either",
        errors="code",
        source="8.x S3Service: CustomWebIdentityTokenCredentialsProvider before the wrapper; PR 117748 tests IMDSv2",
    ),
    Line(
        since=(8, 19),
        sdk=2,
        credentials=("keystore", "web identity", "properties", "environment", "container", "instance"),
        region_setting=True,
        unset_region="chain",
        host="region",
        imds="IMDSv2",
        errors="sentence",
        source="PR 126843 (AWS SDK v2): S3Service.getClientRegion, DefaultCredentialsProvider",
    ),
    Line(
        since=(9, 0),
        sdk=1,
        credentials=("keystore", "web identity", "container", "instance"),
        region_setting=True,
        unset_region="bucket",
        host="global",
        imds="either",
        errors="code",
        source="9.0 left before the move to AWS SDK v2 and behaves as 8.18 does",
    ),
    Line(
        since=(9, 1),
        sdk=2,
        credentials=("keystore", "web identity", "properties", "environment", "container", "instance"),
        region_setting=True,
        unset_region="chain",
        host="region",
        imds="IMDSv2",
        errors="sentence",
        source="9.1 breaking changes: AWS SDK v2, no IMDSv1; S3Service.getClientRegion, DefaultCredentialsProvider",
    ),
)
"""Ascending by `since`."""


def line(version: str) -> Line:
    """The row for a version as GET _nodes gives it ("8.19.21", "9.2.0-SNAPSHOT").

    Raises CouldNotCheck for one that is older than the table, or none at all.
    """
    release = _release(version)
    for row in reversed(LINES):
        if row.since <= release:
            return row
    raise CouldNotCheck(f"Elasticsearch {version!r} is older than any version this suite knows (6.0)")


def tokenless_before() -> tuple[int, int]:
    """The first release that asks IMDS with a session token."""
    return next(row.since for row in LINES if row.imds != "IMDSv1")


def honours_next(source: Source, version: str) -> tuple[str, ...]:
    """Releases from which a source counts that this version ignores, as "8.19"; none for one that it honours itself."""
    if source in line(version).credentials:
        return ()
    found, before = [], False
    for row in LINES:
        if row.since > _release(version):
            now = source in row.credentials
            found += [f"{row.since[0]}.{row.since[1]}"] if now and not before else []
            before = now
    return tuple(found)


def _release(version: str) -> tuple[int, int]:
    match = re.match(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else (0, 0)
