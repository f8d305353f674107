"""What each Elasticsearch version honours where S3 is concerned: one table. Rules ask it and never compare versions."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from .facts import CouldNotCheck


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of releases, from `since` until the next row.

    sdk: major version of the AWS SDK that repository-s3 is built on
    region_setting: s3.client.NAME.region exists
    unset_region: where the region comes from when neither setting nor endpoint gives one: "bucket" (SDK v1 asks S3 and
    needs none) or "chain" (-Daws.region, AWS_REGION, IMDS, else us-east-1 with cross-region access)
    environment_keys: AWS_ACCESS_KEY_ID and -Daws.accessKeyId are used where the keystore holds no key
    source: where that is written
    """

    since: tuple[int, int]
    sdk: Literal[1, 2]
    region_setting: bool
    unset_region: Literal["bucket", "chain"]
    environment_keys: bool
    source: str


LINES = (
    Line(
        since=(6, 0),
        sdk=1,
        region_setting=False,
        unset_region="bucket",
        environment_keys=False,
        source="6.0 breaking changes, plugins: cloud.aws.region and repositories.s3.region removed (PR 22853, 24445)",
    ),
    Line(
        since=(7, 7),
        sdk=1,
        region_setting=True,
        unset_region="bucket",
        environment_keys=False,
        source="PR 52112: s3.client.NAME.region added, optional; S3ClientSettings.refine lets a repository override it",
    ),
    Line(
        since=(8, 19),
        sdk=2,
        region_setting=True,
        unset_region="chain",
        environment_keys=True,
        source="PR 126843 (AWS SDK v2), S3Service.getClientRegion",
    ),
    Line(
        since=(9, 0),
        sdk=1,
        region_setting=True,
        unset_region="bucket",
        environment_keys=False,
        source="9.0 left before the move to AWS SDK v2 and behaves as 8.18 does",
    ),
    Line(
        since=(9, 1),
        sdk=2,
        region_setting=True,
        unset_region="chain",
        environment_keys=True,
        source="9.1 breaking changes: AWS SDK v2, S3Service.getClientRegion",
    ),
)
"""Ascending by `since`."""


def line(version: str) -> Line:
    """The row for a version as GET _nodes gives it ("8.19.21", "9.2.0-SNAPSHOT").

    Raises CouldNotCheck for one that is older than the table, or none at all.
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    release = (int(match[1]), int(match[2])) if match else (0, 0)
    for row in reversed(LINES):
        if row.since <= release:
            return row
    raise CouldNotCheck(f"Elasticsearch {version!r} is older than any version this suite knows (6.0)")
