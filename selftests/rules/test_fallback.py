"""Where credentials come from where no static key signs, by version: what the survey signs with, and what it asks."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import container_of, healthy, imds_says, started_with, with_node

from preflight import fallback, targets, versions
from preflight.facts import Unknown

FULL, RELATIVE = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
WEB_IDENTITY = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN")


def asked(version, *variables):
    node = started_with(healthy(version=version), "es-2", variables=variables).node("es-2")
    return fallback.sources(node, versions.line(version))


@pytest.mark.parametrize(
    ("version", "variables", "sources"),
    [
        ("8.19.21", (), ("instance",)),
        ("8.19.21", (FULL,), ("container", "instance")),
        ("9.5.2", (RELATIVE,), ("container", "instance")),
        ("8.18.0", (FULL,), ("container",)),
        ("7.17.29", (RELATIVE,), ("container",)),
        ("6.2.4", (FULL,), ("instance",)),
        ("8.18.0", WEB_IDENTITY, ("web identity",)),
        ("9.5.2", (*WEB_IDENTITY, FULL), ("web identity",)),
        ("7.17.29", WEB_IDENTITY, ("instance",)),
        ("9.5.2", WEB_IDENTITY[:1], ("instance",)),
    ],
)
def test_each_version_asks_in_its_own_order(version, variables, sources):
    """6.0 knows no container, 7.x no web identity; SDK v1 stops at the container, SDK v2 goes on."""
    assert asked(version, *variables) == sources


@pytest.mark.parametrize(
    ("version", "token", "tokenless", "reached"),
    [
        ("9.5.2", 200, None, True),
        ("9.5.2", 404, 200, False),
        ("7.17.29", 404, 200, True),
        ("7.17.29", 403, 403, False),
        ("7.6.2", 200, 401, False),
        ("7.6.2", 404, 200, True),
    ],
)
def test_the_protocol_is_the_versions_own(version, token, tokenless, reached):
    """6.0 to 7.6 without a session token, then either way, from 8.19 and 9.1 on with one only."""
    imds = replace(healthy().node("es-2").imds, token_status=token, tokenless_status=tokenless)

    assert fallback.reached(imds, versions.line(version)) is reached


def test_versions_before_7_7_are_asked_without_a_token():
    """The probe is told, and compares nothing else."""
    assert versions.tokenless_before() == (7, 7)


def signer(survey):
    node = survey.node("es-2")
    return fallback.signer(node, survey.member_of(node))


def test_the_roles_own_credentials_sign_what_elasticsearch_would_sign_with_them():
    """IMDS where nothing else is named; the container's where it gives some."""
    container = started_with(healthy(), "es-2", variables=(FULL,))

    assert signer(healthy()).source == "instance"
    assert signer(with_node(container, "es-2", container=container_of())).source == "container"
    assert signer(with_node(container, "es-2", container=container_of(status=403, credentials=None))).source == (
        "instance"
    )


def test_imds_that_was_asked_where_elasticsearch_asks_it_signs():
    node = healthy().node("es-2")
    process = replace(node.process, own_network_namespace=True)
    survey = with_node(healthy(), "es-2", process=process, imds=replace(node.imds, in_namespace=True))
    assert signer(survey).source == "instance"


@pytest.mark.parametrize(
    ("survey", "why"),
    [
        (started_with(healthy(), "es-2", variables=WEB_IDENTITY), "web identity"),
        (surveys.container_credentials(healthy(version="8.18.0"), "es-2"), "IMDS is not asked"),
        (surveys.no_instance_role(healthy(), "es-2"), "IMDS names no role"),
        (with_node(healthy(), "es-2", imds=Unknown(reason="nobody looked")), "IMDS names no role"),
        (imds_says(healthy(), "es-2", slowest=3000.0), "later than Elasticsearch waits"),
        (imds_says(healthy(version="7.4.2"), "es-2", tokenless_status=401), "as this version"),
        (
            with_node(healthy(), "es-2", process=replace(healthy().node("es-2").process, own_network_namespace=True)),
            "network namespace of its own",
        ),
    ],
)
def test_nothing_is_proven_with_what_elasticsearch_would_not_get(survey, why):
    """A list that the probe signs with other credentials would call keys safe to remove that are not."""
    found = signer(survey)
    (question,) = targets.buckets(survey.node("es-2"), survey.clusters[0], write="never")

    assert found.source is None and why in found.why_not
    assert (question["sign"], question["why_not"]) == (False, found.why_not)
    assert targets.identity(survey.node("es-2"), survey.clusters[0]) is None


def test_a_longer_patience_is_not_known_to_be_too_short():
    """AWS_METADATA_SERVICE_TIMEOUT: its value stays on the node."""
    survey = started_with(
        imds_says(healthy(), "es-2", slowest=3000.0), "es-2", variables=("AWS_METADATA_SERVICE_TIMEOUT",)
    )

    assert signer(survey).source == "instance"


def test_sts_is_asked_in_the_nodes_own_region():
    """Regional endpoint, China's suffix, and nobody where a bucket is elsewhere."""
    china = imds_says(healthy(), "es-2", region="cn-north-1")

    assert targets.identity(healthy().node("es-2"), healthy().clusters[0]) == {
        "host": "sts.ap-northeast-2.amazonaws.com",
        "region": "ap-northeast-2",
        "signer": "instance",
    }
    assert targets.identity(china.node("es-2"), china.clusters[0])["host"] == "sts.cn-north-1.amazonaws.com.cn"
    (own,) = healthy().clusters[0].repositories
    for repositories in ((), (own, replace(own, name="minio", endpoint="https://minio.example.net"))):
        survey = surveys.with_cluster(healthy(), repositories=repositories)
        assert targets.identity(survey.node("es-2"), survey.clusters[0]) is None
