"""CLUSTER-3: members that run something else than the others."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from surveys import healthy, with_cluster, with_member

from preflight.diagnosis import diagnose
from preflight.judgement import NotApplicable
from preflight.rules import cluster


def judge(survey, name="es-2"):
    return cluster.alike(survey, survey.node(name))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"version": "8.18.0", "jvm": "21.0.2 (Eclipse Adoptium)"},
            "Elasticsearch 8.18.0; 8.19.21 on es-1 and es-3",
        ),
        ({"jvm": "17.0.9 (Debian)"}, "JVM 17.0.9 (Debian); 21.0.4 (Eclipse Adoptium) on es-1 and es-3"),
        (
            {"plugins": ("repository-hdfs 8.19.21",)},
            "repository plugins repository-hdfs 8.19.21; none on es-1 and es-3",
        ),
    ],
)
def test_the_odd_one_out_is_warned_of(changes, words):
    """The others are in the majority and pass; its JVM is not held against another version."""
    survey = with_member(healthy(), "es-2", **changes)

    assert judge(survey).observed == words
    assert judge(survey).warning
    outcomes = judged(survey)
    assert not_passed(outcomes).get(("CLUSTER-3", "es-2")) == "warning"
    assert {node for check, node in not_passed(outcomes) if check == "CLUSTER-3"} == {"es-2"}
    assert "finding-cluster-3" in {cause.id for cause in diagnose(survey, outcomes).causes}


def test_a_node_without_the_plugin():
    survey = with_member(healthy(version="7.17.29"), "es-2", plugins=())

    assert judge(survey).observed == "repository plugins none; repository-s3 7.17.29 on es-1 and es-3"
    assert judge(with_member(survey, "es-2", roles=("ingest",))) is None


def test_without_a_majority_all_that_differ_are_named():
    survey = with_member(healthy(2), "es-2", version="8.18.0")

    assert judge(survey, "es-1").observed == "Elasticsearch 8.19.21; 8.18.0 on es-2"
    assert judge(survey, "es-2").observed == "Elasticsearch 8.18.0; 8.19.21 on es-1"


def test_what_no_survey_holds_is_no_difference():
    """A survey of before this was asked for."""
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = with_member(survey, name, jvm=None, plugins=None)
    assert judge(survey) is None
    assert judge(with_member(healthy(), "es-2", jvm=None, plugins=None)) is None


def test_members_that_were_not_given_count():
    survey = with_member(with_member(healthy(), "es-1", version="9.1.0"), "es-3", version="9.1.0")
    only = [node for node in survey.nodes if node.name == "es-2"]
    survey = type(survey)(**{**{f: getattr(survey, f) for f in survey.__struct_fields__}, "nodes": tuple(only)})

    assert judge(survey).observed == "Elasticsearch 8.19.21; 9.1.0 on es-1 and es-3"


def test_one_member_has_nobody_to_differ_from():
    survey = healthy()
    survey = with_cluster(survey, members=survey.clusters[0].members[1:2])
    with pytest.raises(NotApplicable, match="one member"):
        judge(survey)
