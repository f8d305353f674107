"""REPO: whose failure a `_verify` answer is, on answers of real clusters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import surveys
from msgspec.structs import replace
from surveys import STALE, healthy, node_id, with_cluster, with_member, with_node

from preflight import answers
from preflight.facts import CouldNotCheck, Repository, Unknown, Verification, VerifyFailure
from preflight.judgement import NotApplicable
from preflight.rules import refusals, repository

CAPTURES = Path(__file__).parents[1] / "captures" / "s3"
VERSIONS = ("7.17.13", "8.19.3", "9.1.0")
NAMES = {"es-a": "es-1", "es-b": "es-2", "es-c": "es-3"}
"""The captured clusters' nodes in the made survey's words."""

ROLE_URL = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"


def captured(version, name):
    """The made survey with a real `_verify` answer, its node ids those of the real cluster."""
    answer = json.loads((CAPTURES / version / f"{name}.json").read_text())
    healthy_answer = json.loads((CAPTURES / version / "a2_verify_ok.json").read_text())
    ids = {NAMES[node["name"]]: id for id, node in healthy_answer["body"]["nodes"].items()}
    survey = healthy(version=version)
    for node, id in ids.items():
        survey = with_member(survey, node, id=id)
        survey = with_node(survey, node, view=replace(survey.node(node).view, node_id=id, master_id=ids["es-1"]))
    verified, failures = answers.verification(answer["status"], answer["body"])
    found = Verification(
        repository="s3_backup",
        status=answer["status"],
        verified=verified,
        failures=failures,
        master_before=ids["es-1"],
        master_after=ids["es-1"],
        milliseconds=200.0,
    )
    return with_cluster(survey, master_id=ids["es-1"], verifications=(found,))


def outcomes(survey):
    """pass | fail | could not check, by node."""
    found = {}
    for node in survey.nodes:
        try:
            found[node.name] = "pass" if repository.verifies(survey, node) is None else "fail"
        except CouldNotCheck:
            found[node.name] = "could not check"
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a2_verify_ok", {"es-1": "pass", "es-2": "pass", "es-3": "pass"}),
        ("b1_verify_stale_nonmaster", {"es-1": "pass", "es-2": "fail", "es-3": "pass"}),
        ("c2_verify_stale_master", {"es-1": "fail", "es-2": "could not check", "es-3": "could not check"}),
        ("c9_verify_stale_two_nonmasters", {"es-1": "pass", "es-2": "fail", "es-3": "fail"}),
        ("e1_verify_removed_from_file_no_reload", {"es-1": "pass", "es-2": "fail", "es-3": "pass"}),
    ],
)
def test_failures_go_to_the_node_they_name_or_to_the_master(version, name, expected):
    """The same outcomes from three versions that hide the names in three places."""
    assert outcomes(captured(version, name)) == expected


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "node"), [("b1_verify_stale_nonmaster", "es-2"), ("c2_verify_stale_master", "es-1")])
def test_awss_sentence_is_found_wherever_the_version_hides_it(version, name, node):
    """It is what the operator searches for."""
    survey = captured(version, name)
    finding = repository.verifies(survey, survey.node(node))
    failure = repository.failure_of(survey, survey.node(node), "s3_backup")

    assert finding.observed.endswith(STALE)
    assert refusals.of(failure).kind == "key refused"


def test_those_behind_the_master_are_told_why():
    """Which node failed, and with what."""
    survey = captured("8.19.3", "c2_verify_stale_master")

    with pytest.raises(
        CouldNotCheck, match=r"Elasticsearch stops at the master: _verify of s3_backup failed on es-1: The"
    ):
        repository.verifies(survey, survey.node("es-3"))


def answer(status=500, failures=(), **changes):
    """A healthy survey with another `_verify` answer."""
    return with_cluster(
        healthy(),
        verifications=(replace(surveys.verified("s3_backup", ()), status=status, failures=failures, **changes),),
    )


UNNAMED = (VerifyFailure(node_id=None, sentence="something", chain=("something",)),)


@pytest.mark.parametrize("status", [401, 404, 429, 503])
def test_an_answer_that_says_nothing_of_s3_is_held_against_nobody(status):
    """Not allowed, not there, no master."""
    survey = answer(status, UNNAMED)

    for node in survey.nodes:
        with pytest.raises(CouldNotCheck, match=f"answered HTTP {status}"):
            repository.verifies(survey, node)


def test_an_election_during_verify_blames_nobody():
    """Which of the two masters failed is unknown."""
    survey = answer(failures=UNNAMED, master_after=node_id("es-2"))

    for node in survey.nodes:
        with pytest.raises(CouldNotCheck, match="another master was elected"):
            repository.verifies(survey, node)


def test_a_node_that_an_answer_of_200_leaves_out_fails():
    """It holds data and was not tested."""
    survey = answer(200, verified=(node_id("es-1"), node_id("es-3")))

    assert repository.verifies(survey, survey.node("es-2")).observed == (
        "_verify of s3_backup names 2 nodes as good, not this one"
    )
    assert repository.verifies(survey, survey.node("es-1")) is None


@pytest.mark.parametrize(
    "roles", [("ingest", "remote_cluster_client"), (), ("master", "voting_only"), ("ml", "transform")]
)
def test_nodes_that_verify_never_tests(roles):
    """Not applicable, with their roles."""
    survey = with_member(healthy(), "es-2", roles=roles)

    with pytest.raises(NotApplicable, match="never reads or writes snapshots"):
        repository.verifies(survey, survey.node("es-2"))


@pytest.mark.parametrize("roles", [("data_frozen",), ("master",), ("data_hot", "voting_only", "master")])
def test_nodes_that_verify_tests(roles):
    """Any data tier, and every master that can be elected."""
    survey = with_member(healthy(), "es-2", roles=roles)

    assert repository.verifies(survey, survey.node("es-2")) is None


def test_who_was_good():
    """Named as good, or tested and not named as failing; behind the master nobody knows."""
    failing = surveys.verify_fails(healthy(), "es-2", STALE)
    behind = surveys.verify_fails(healthy(), "es-1", STALE)
    told = [
        [repository.good(survey, node, "s3_backup") for node in survey.nodes] for survey in (healthy(), failing, behind)
    ]

    assert told == [[True, True, True], [True, False, True], [False, None, None]]


def test_no_answer_is_no_pass():
    """The call's own reason is given."""
    survey = with_cluster(
        healthy(), verifications=(Unknown(reason="_verify of s3_backup gave no answer within 180 s"),)
    )

    with pytest.raises(CouldNotCheck, match="gave no answer within 180 s"):
        repository.verifies(survey, survey.node("es-2"))


def test_one_bad_repository_of_two_is_a_failure():
    """And the good one does not hide it."""
    cluster = healthy().clusters[0]
    failure = VerifyFailure(node_id=node_id("es-2"), sentence="Access Denied", chain=("Access Denied",))
    second = replace(surveys.verified("archive", ()), status=500, failures=(failure,))
    survey = with_cluster(
        healthy(),
        repositories=(*cluster.repositories, Repository(name="archive", type="s3", bucket="archive")),
        verifications=(*cluster.verifications, second),
    )

    assert outcomes(survey) == {"es-1": "pass", "es-2": "fail", "es-3": "pass"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (STALE, "key refused"),
        ("The request signature we calculated does not match the signature you provided.", "key refused"),
        ("The provided token has expired.", "key refused"),
        ("The security token included in the request is invalid", "key refused"),
        ("Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)", "denied"),
        (surveys.NO_CREDENTIALS, "no credentials"),
        ("Unable to load AWS credentials from any provider in the chain", "no credentials"),
        # SDK v1: no role on the instance, and three ages of a metadata service that does not answer.
        ("The credentials received have been expired", "no credentials"),
        (f"The requested metadata is not found at {ROLE_URL}", "no credentials"),
        ("Unable to load credentials from service endpoint", "no credentials"),
        ("Failed to connect to service endpoint:", "no credentials"),
        (f"Server returned HTTP response code: 401 for URL: {ROLE_URL}", "no credentials"),
        (surveys.CONNECT_TIMED_OUT, "connection"),
        ("java.net.SocketException: Invalid argument", "connection"),
        (surveys.PKIX, "connection"),
        (surveys.NO_BUCKET, "bucket"),
        (surveys.REDIRECT, "region"),
        ("The authorization header is malformed; the region 'a' is wrong; expecting 'b'", "region"),
        ("connect timed out", "connection"),
        ("No route to host", "connection"),
        ("Connection refused (Connection refused)", "connection"),
    ],
)
def test_what_a_sentence_means(text, kind):
    """A route never makes S3 refuse a key, and a key never makes a connection fail."""
    assert refusals.meaning(text).kind == kind
    assert refusals.meaning(text.upper()).kind == kind


def test_an_unknown_sentence_means_nothing():
    """Better no meaning than a wrong one."""
    assert refusals.meaning("Please reduce your request rate.") is None
