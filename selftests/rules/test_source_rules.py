"""SRC-1 and SRC-2: the process decides, then the files; each version by its own rules."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, with_cluster, with_node

from preflight.facts import CouldNotCheck, Repository, Source, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import sources

NEW = ("8.19.21", "9.1.0", "9.5.2")
OLD = ("6.8.23", "7.17.29", "8.18.0", "9.0.4")
HIDDEN = Unknown(reason="it may not be read", remedy="use --sudo")


def first(survey, name="es-2"):
    return sources.no_static_keys(survey, survey.node(name))


def second(survey, name="es-2"):
    return sources.nothing_stands_by(survey, survey.node(name))


@pytest.mark.parametrize("version", NEW)
@pytest.mark.parametrize("fault", ["env-keys", "jvm-option-keys"])
def test_loaded_keys_of_a_version_that_uses_them(version, fault):
    """In use now, with S3's sentence and the lines they come from."""
    survey = surveys.FAULTS[fault](healthy(version=version), "es-2")
    finding = first(survey)

    where = "the environment" if fault == "env-keys" else "the command line"
    assert f"in {where} of the running process; refused by S3 (s3_backup): {surveys.STALE}" in finding.observed
    assert len(finding.details) == 2 and " line " in finding.details[0]
    assert version in finding.expected
    assert second(survey) is None


@pytest.mark.parametrize("version", OLD)
@pytest.mark.parametrize("fault", ["env-keys", "jvm-option-keys", "default-file-keys"])
def test_keys_that_a_version_ignores_are_a_warning_that_says_when_they_count(version, fault):
    survey = surveys.FAULTS[fault](healthy(version=version), "es-2")
    finding = second(survey)

    assert first(survey) is None
    assert finding.warning
    since = "9.1" if version.startswith("9") else "8.19 and 9.1"
    assert finding.observed.endswith(f"ignored by Elasticsearch {version}; honoured from {since} on")


def test_keys_accepted_by_s3_fail_as_well():
    """They work until the day they are rotated; nothing is said of a refusal."""
    survey = surveys.started_with(healthy(), "es-2", variables=surveys.ENVIRONMENT_KEYS)

    assert first(survey).observed == (
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of the running process"
    )


def test_a_refusal_is_the_keystores_where_that_holds_keys():
    survey = surveys.env_keys(surveys.stale_keys(healthy(), "es-2"), "es-2")

    assert "refused" not in first(survey).observed


def test_keys_on_disk_bite_at_the_next_restart():
    """The process does not have them: said so, and no word of S3."""
    finding = first(surveys.default_file_keys(healthy(), "es-2"))

    assert finding.observed == (
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY on disk, not loaded yet: they bite at the next restart"
    )
    assert finding.details == (
        "/etc/default/elasticsearch line 3: AWS_ACCESS_KEY_ID (AKIA…)",
        "/etc/default/elasticsearch line 4: AWS_SECRET_ACCESS_KEY",
    )


def test_keys_on_disk_where_nothing_runs():
    survey = surveys.elasticsearch_down(surveys.default_file_keys(healthy(), "es-2"), "es-2")

    assert first(survey).observed.endswith("on disk, and the next start loads them")


def test_keys_seen_count_whatever_else_is_hidden():
    """A hidden process does not hide the file, nor hidden files the process."""
    on_disk = with_node(surveys.default_file_keys(healthy(), "es-2"), "es-2", process=HIDDEN)
    in_use = with_node(surveys.env_keys(healthy(), "es-2"), "es-2", sources=HIDDEN)

    assert "whether the running process has them could not be seen" in first(on_disk).observed
    assert "of the running process; refused by S3" in first(in_use).observed


@pytest.mark.parametrize("section", ["process", "sources", "config"])
def test_what_is_hidden_is_never_a_pass(section):
    survey = with_node(healthy(), "es-2", **{section: HIDDEN})

    for judge in (first, second):
        with pytest.raises(CouldNotCheck, match="it may not be read"):
            judge(survey)


@pytest.mark.parametrize(
    ("variables", "options"),
    [(("AWS_ACCESS_KEY_ID",), ()), (("AWS_SESSION_TOKEN",), ()), ((), ("aws.secretAccessKey",))],
)
def test_half_a_pair_is_a_warning(variables, options):
    survey = surveys.started_with(healthy(), "es-2", variables=variables, options=options)

    assert first(survey) is None
    assert "not a whole pair" in second(survey).observed


def test_the_other_half_on_disk_makes_the_pair():
    """The running process has one half of what the file gives whole."""
    survey = surveys.started_with(surveys.default_file_keys(healthy(), "es-2"), "es-2", variables=["AWS_ACCESS_KEY_ID"])

    assert "they bite at the next restart" in first(survey).observed


@pytest.mark.parametrize("version", [*OLD, *NEW])
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY", "AWS_SECRET_KEY", "aws.secretKey"])
def test_spellings_that_no_version_uses(version, name):
    where = {"options": [name]} if name.startswith("aws") else {"variables": [name]}
    survey = surveys.started_with(healthy(version=version), "es-2", **where)

    assert first(survey) is None
    assert second(survey).observed.endswith("of the running process: used by no version since 6.0")


def test_bare_keys_in_the_yml_are_a_warning():
    survey = surveys.yml_bare_keys(healthy(), "es-2")

    assert first(survey) is None
    assert second(survey).observed.startswith(
        "access_key and secret_key in elasticsearch.yml: accepted, and used by no"
    )


@pytest.mark.parametrize("version", [*OLD, *NEW])
def test_secure_settings_in_the_yml_stop_the_next_start(version):
    survey = surveys.yml_names(healthy(version=version), "es-2", "s3.client.other.secret_key")

    assert first(survey).observed == (
        "s3.client.other.secret_key in elasticsearch.yml: this node will not start again (secure setting)"
    )


@pytest.mark.parametrize("loaded", [True, False])
def test_insecure_settings_are_a_warning(loaded):
    if loaded:
        survey = surveys.started_with(healthy(), "es-2", options=["es.allow_insecure_settings"])
    else:
        line = Source(kind="jvm-options", path="/etc/elasticsearch/jvm.options", line=3, name=sources.INSECURE)
        survey = surveys.written(healthy(), "es-2", line)

    assert first(survey) is None
    assert "win over the keystore, and no API shows them" in second(survey).observed


def test_keys_for_elsewhere_are_nobodys_business():
    survey = with_cluster(
        surveys.env_keys(healthy(), "es-2"),
        repositories=(Repository(name="r", type="s3", bucket="b", endpoint="https://minio.example.net"),),
    )

    for judge in (first, second):
        with pytest.raises(NotApplicable, match="goes to AWS"):
            judge(survey)


def test_without_a_login_the_key_is_still_found():
    survey = with_node(
        replace(surveys.env_keys(healthy(), "es-2"), clusters=()), "es-2", view=Unknown(reason="no login")
    )

    assert first(survey).observed.startswith("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment")
