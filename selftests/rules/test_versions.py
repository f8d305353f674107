"""The table of versions: what each honours, and when what it ignores begins to count."""

from __future__ import annotations

import pytest

from preflight import versions
from preflight.facts import CouldNotCheck


@pytest.mark.parametrize(
    ("version", "sdk", "credentials", "imds", "errors"),
    [
        ("6.2.4", 1, "keystore instance", "IMDSv1", "code"),
        ("6.8.23", 1, "keystore container instance", "IMDSv1", "code"),
        ("7.6.2", 1, "keystore container instance", "IMDSv1", "code"),
        ("7.17.29", 1, "keystore container instance", "either", "code"),
        ("8.0.0", 1, "keystore web-identity container instance", "either", "code"),
        ("8.18.0", 1, "keystore web-identity container instance", "either", "code"),
        ("8.19.21", 2, "keystore web-identity properties environment container instance", "IMDSv2", "sentence"),
        ("9.0.4", 1, "keystore web-identity container instance", "either", "code"),
        ("9.1.0", 2, "keystore web-identity properties environment container instance", "IMDSv2", "sentence"),
        ("9.5.2", 2, "keystore web-identity properties environment container instance", "IMDSv2", "sentence"),
    ],
)
def test_what_a_version_honours(version, sdk, credentials, imds, errors):
    row = versions.line(version)

    assert (row.sdk, row.imds, row.errors) == (sdk, imds, errors)
    assert [source.replace(" ", "-") for source in row.credentials] == credentials.split()
    assert row.environment_keys is (sdk == 2)


@pytest.mark.parametrize(
    ("source", "version", "since"),
    [
        ("environment", "7.17.29", ("8.19", "9.1")),
        ("environment", "8.18.0", ("8.19", "9.1")),
        ("properties", "9.0.4", ("9.1",)),
        ("environment", "8.19.21", ()),
        ("web identity", "7.17.29", ("8.0",)),
        ("container", "6.1.0", ("6.3",)),
    ],
)
def test_when_an_ignored_source_begins_to_count(source, version, since):
    assert versions.honours_next(source, version) == since


def test_every_row_names_its_source_and_they_ascend():
    assert all(row.source for row in versions.LINES)
    assert [row.since for row in versions.LINES] == sorted(row.since for row in versions.LINES)
    assert all(row.credentials[0] == "keystore" and row.credentials[-1] == "instance" for row in versions.LINES)


@pytest.mark.parametrize("version", ["5.6.16", "unknown", ""])
def test_an_unknown_version_is_undecided(version):
    with pytest.raises(CouldNotCheck, match="older than any version"):
        versions.line(version)
