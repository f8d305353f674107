"""CLUSTER-3: members that run something else than the others."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import healthy, verify_fails, with_cluster, with_member, with_node

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


@pytest.mark.parametrize(
    "sentence",
    [
        "[s3_backup] missing",  # 7.17.29
        "[s3_backup] repository type [s3] is unknown; ensure that all required plugins are installed on this node",
    ],
)
def test_verify_says_that_a_node_lacks_the_plugin(sentence):
    """One cause for both findings, and the plugin of the others' version to install."""
    survey = verify_fails(with_member(healthy(version="7.17.29"), "es-2", plugins=()), "es-2", sentence)

    cause, *others = diagnose(survey, judged(survey)).causes

    assert not others
    assert cause.id == "repository-plugin-missing"
    assert set(cause.explains) == {("CLUSTER-3", "es-2"), ("REPO-1", "es-2")}
    assert f"_verify on es-2: {sentence}" in cause.evidence
    assert "es-1 has repository-s3 7.17.29; es-2 lacks it" in cause.evidence
    install, restart = cause.remedy.commands
    assert install.text == (
        "sudo ES_PATH_CONF=/etc/elasticsearch /usr/share/elasticsearch/bin/elasticsearch-plugin install --batch "
        "repository-s3"
    )
    assert restart.text == "sudo systemctl restart elasticsearch"


def test_a_master_without_the_plugin_denies_the_repository():
    """7.17 answers 404, which elsewhere says that somebody deleted the repository meanwhile."""
    survey = verify_fails(healthy(version="7.17.29"), "es-1", "[s3_backup] missing")
    (verification,) = survey.clusters[0].verifications
    survey = with_cluster(survey, verifications=(replace(verification, status=404),))

    assert {o.outcome for o in judged(survey) if o.check == "REPO-1"} == {"could not check"}

    survey = with_member(survey, "es-1", plugins=())
    outcomes = {o.node: o.outcome for o in judged(survey) if o.check == "REPO-1"}
    assert outcomes == {"es-1": "fail", "es-2": "could not check", "es-3": "could not check"}
    (cause,) = diagnose(survey, judged(survey)).causes
    assert cause.id == "repository-plugin-missing"


def test_an_answer_without_a_reason_is_explained_by_the_plugin_that_is_missing():
    """What Elasticsearch 8 answers of a node that is not the elected master."""
    bare = "org.elasticsearch.transport.RemoteTransportException: [es-2][10.0.0.2:9300][verify]"
    survey = verify_fails(healthy(), "es-2", bare)
    assert "repository-plugin-missing" not in {c.id for c in diagnose(survey, judged(survey)).causes}

    for name in ("es-1", "es-3"):
        survey = with_member(survey, name, plugins=("repository-x 1",))
    (cause,) = diagnose(survey, judged(survey)).causes

    assert (cause.id, cause.confidence) == ("repository-plugin-missing", "likely")
    assert set(cause.explains) == {("CLUSTER-3", "es-2"), ("REPO-1", "es-2")}


@pytest.mark.parametrize(
    ("plugins", "layout"), [({"es-1": (), "es-2": (), "es-3": ()}, "deb"), ({"es-2": ()}, "docker")]
)
def test_no_plugin_is_installed_where_it_is_not_known_to_be_right(plugins, layout):
    """No member has one; or what is installed into a container is gone with it."""
    survey = healthy(version="7.17.29")
    for name, has in plugins.items():
        survey = with_member(survey, name, plugins=has)
    survey = with_node(survey, "es-2", install=replace(survey.node("es-2").install, layout=layout))
    survey = verify_fails(survey, "es-2", "[s3_backup] missing")

    cause = diagnose(survey, judged(survey)).causes[0]

    assert cause.id == "repository-plugin-missing"
    assert cause.remedy.caution
    assert not any("install" in command.text for command in cause.remedy.commands)


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
