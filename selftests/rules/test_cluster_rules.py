"""NODE and CLUSTER: whether the given nodes are one running cluster, and all of it."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, with_cluster, with_node

from preflight import remedy, versions
from preflight.facts import CouldNotCheck, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import cluster, members
from preflight.rules import node as nodes


def judge(survey, name="es-2"):
    return cluster.membership(survey, survey.node(name))


def test_no_process():
    """The plainest failure there is."""
    survey = surveys.elasticsearch_down(healthy(), "es-2")

    assert judge(survey).observed == "no Elasticsearch process runs on es-2"


def test_no_elected_master():
    """The node runs and is alone with itself."""
    survey = with_node(healthy(), "es-2", view=replace(healthy().node("es-2").view, master_id=None))

    assert judge(survey).observed == "es-2 sees no elected master"


def test_a_cluster_of_its_own():
    """The odd one out fails; those in the majority do not."""
    view = replace(healthy().node("es-2").view, cluster_uuid="A" * 22, cluster_name="es-lab-old")
    survey = with_node(healthy(), "es-2", view=view)

    assert judge(survey).observed == (
        f"es-2 is a member of es-lab-old ({'A' * 22}); es-1 and es-3 of es-lab ({surveys.UUID})"
    )
    assert judge(survey, "es-1") is None


def test_a_node_the_others_do_not_list():
    """It sees itself in, they do not."""
    survey = with_cluster(healthy(), members=healthy().clusters[0].members[::2])

    assert judge(survey).observed == "es-2 sees itself in es-lab, but es-1 does not list it"


def test_two_masters_are_not_judged_in_passing():
    """An election during the run, or a divided cluster: run again."""
    view = replace(healthy().node("es-2").view, master_id=surveys.node_id("es-3"))

    with pytest.raises(CouldNotCheck, match="es-2 sees es-3 as elected master and es-1 sees es-1"):
        judge(with_node(healthy(), "es-2", view=view))


def unasked(login):
    survey = replace(healthy(), clusters=(), options=replace(healthy().options, elasticsearch_login=login))
    return with_node(survey, "es-2", view=Unknown(reason="Elasticsearch refused the login (401)"))


def test_without_a_login_the_variables_are_named():
    """What to type."""
    with pytest.raises(CouldNotCheck, match="no Elasticsearch login was given") as caught:
        judge(unasked(None))
    assert "ES_PREFLIGHT_API_KEY" in caught.value.remedy
    assert "ES_PREFLIGHT_PASSWORD_FILE" in caught.value.remedy


def test_with_a_login_its_own_reason_is_given():
    """Refused is not absent."""
    with pytest.raises(CouldNotCheck, match="refused the login"):
        judge(unasked("user"))


def test_complete_names_the_missing_once():
    """By the cluster's first given node; the others say who does."""
    survey = replace(healthy(complete=True), nodes=healthy().nodes[:2])

    finding = cluster.complete(survey, survey.node("es-1"))
    assert finding.observed == "es-lab has 3 members; not given: es-3 (198.18.0.13:9300)"
    with pytest.raises(NotApplicable, match="by es-1"):
        cluster.complete(survey, survey.node("es-2"))


def test_a_member_that_may_have_been_given_is_not_held_missing():
    """es-3 was given, its Elasticsearch could not be asked: it may be that member."""
    survey = with_node(healthy(complete=True), "es-3", view=Unknown(reason="401"))

    with pytest.raises(CouldNotCheck, match="es-3 may be es-3"):
        cluster.complete(survey, survey.node("es-1"))


@pytest.mark.parametrize("section", ["login", "system"])
def test_a_node_that_could_not_be_surveyed_says_why_itself(section):
    """NODE-1 could not be checked; it is not blocked by itself."""
    why = Unknown(reason="no answer", remedy="is it up?", blocked=True)
    survey = with_node(healthy(), "es-2", **{section: why})

    with pytest.raises(CouldNotCheck) as caught:
        nodes.surveyed(survey.node("es-2"))
    assert (caught.value.reason, caught.value.remedy, caught.value.blocked) == ("no answer", "is it up?", False)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, None),
        ({"a": 1}, "a"),
        ({"a": 1, "b": 2}, None),
        ({"a": 1, "b": 2, "c": 2}, "b"),
        ({"a": 1, "b": 1, "c": 2, "d": 2}, None),
        ({"a": 1, "b": 2, "c": 3, "d": 3}, None),
    ],
)
def test_strict_majority(values, expected):
    """Half is not enough."""
    assert members.majority(values) == expected


@pytest.mark.parametrize(
    ("version", "sdk", "setting", "unset"),
    [
        ("6.8.23", 1, False, "bucket"),
        ("7.6.2", 1, False, "bucket"),
        ("7.7.0", 1, True, "bucket"),
        ("7.17.29", 1, True, "bucket"),
        ("8.18.0", 1, True, "bucket"),
        ("8.19.21", 2, True, "chain"),
        ("9.0.4", 1, True, "bucket"),
        ("9.1.0-SNAPSHOT", 2, True, "chain"),
        ("9.5.2", 2, True, "chain"),
        ("10.0.0", 2, True, "chain"),
    ],
)
def test_the_version_table(version, sdk, setting, unset):
    """9.0 left before the change that 8.19 already has."""
    line = versions.line(version)

    assert (line.sdk, line.region_setting, line.unset_region) == (sdk, setting, unset)
    assert line.environment_keys is (sdk == 2)


@pytest.mark.parametrize("version", ["5.6.16", "", "unknown"])
def test_a_version_the_table_does_not_know(version):
    """Undecided rather than guessed."""
    with pytest.raises(CouldNotCheck, match="older than any version"):
        versions.line(version)


def test_the_version_table_is_in_order_and_sourced():
    """The last row that is not younger counts."""
    assert [line.since for line in versions.LINES] == sorted({line.since for line in versions.LINES})
    assert all(line.source for line in versions.LINES)


def test_a_node_that_was_given_twice_is_a_warning_on_the_second_name():
    """It would count twice in every majority; the first name is judged as ever."""
    survey = healthy()
    alias = replace(survey.node("es-1"), name="es-1b", host="es-1.internal")
    survey = replace(survey, nodes=(*survey.nodes, alias))
    finding = judge(survey, "es-1b")

    assert judge(survey, "es-1") is None
    assert finding.warning and "es-1b (es-1.internal) and es-1 (" in finding.observed
    assert remedy.join(survey, alias).commands == ()
    assert "leave es-1b or es-1 out" in remedy.join(survey, alias).advice[0]
