"""RESTART-1: every reason with its consequence, from files alone, and none on what a start has read."""

from __future__ import annotations

import pytest
import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import healthy, with_node

from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, Unknown
from preflight.rules import restart

PROTECTED = Unknown(reason="the keystore is password-protected: its names cannot be read without the password")


def judge(survey, name="es-2"):
    return restart.comes_back(survey, survey.node(name))


def with_yml(survey, *names, late=None):
    node = survey.node("es-2")
    config = replace(node.config, names=(*node.config.names, *names))
    if late is not None:
        config = replace(config, modified=node.process.started + late)
    return with_node(survey, "es-2", config=config)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (surveys.keystore_half, "the next start ends, 'Missing secret key for s3 client [default]' (KEY-3)"),
        (surveys.lone_session_token, "'Missing access key and secret key for s3 client [default]' (KEY-3)"),
        (surveys.keystore_missing, "may not write its folder: the next start ends"),
        (surveys.keystore_unreadable, "that user may not read it, a reload and the next start fail (KEY-5)"),
        (surveys.stale_on_disk, "not loaded yet: from the next start on this node signs with them"),
    ],
)
@pytest.mark.parametrize("running", [True, False])
def test_reasons_in_the_keystore(fault, words, running):
    """Also of a node that does not run; what the process holds is then nobody's question."""
    survey = fault(healthy(), "es-2")
    if not running:
        survey = with_node(survey, "es-2", process=None)
        if fault is surveys.stale_on_disk:
            assert judge(survey) is None
            return

    finding = judge(survey)
    assert words in finding.observed
    assert not finding.warning


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("s3.client.default.access_key", "the next start ends (belongs in the keystore)"),
        ("s3.client.other.session_token", "the next start ends (belongs in the keystore)"),
        ("s3.client.default.proxy.password", "the next start ends (belongs in the keystore)"),
        ("discovery.ec2.secret_key", "the next start ends (belongs in the keystore)"),
        ("cloud.aws.region", "the next start ends (unknown setting, REGION-3)"),
        ("repositories.s3.region", "the next start ends (unknown setting, REGION-3)"),
    ],
)
def test_settings_in_the_wrong_file(name, words):
    """The running process started before they were written."""
    survey = with_yml(healthy(), name)

    assert judge(survey).observed == f"{name} in elasticsearch.yml: {words}"
    causes = diagnose(survey, judged(survey)).causes
    assert [cause.id for cause in causes] == ["would-not-start"]
    assert name.replace(".", r"\.") in causes[0].remedy.commands[0].text


@pytest.mark.parametrize("name", ["s3.client.default.region", "s3.client.default.proxy.host", "access_key"])
def test_settings_that_a_start_accepts(name):
    """A bare access_key is registered and never read."""
    assert judge(with_yml(healthy(), name)) is None


def test_each_reason_is_listed_and_each_cause_explains_its_own():
    """Half a pair and a removed setting: two reasons in one finding, two causes."""
    survey = with_yml(surveys.keystore_half(healthy(), "es-2"), "cloud.aws.region", late=3600)
    finding = judge(survey)
    outcomes = judged(survey)

    assert finding.observed.count("the next start ends") == 2
    assert "changed since the process started" in finding.details[0]
    assert not_passed(outcomes) == {(check, "es-2"): "fail" for check in ("KEY-1", "KEY-3", "REGION-3", "RESTART-1")}
    assert [cause.id for cause in diagnose(survey, outcomes).causes] == ["keystore-half", "would-not-start"]


@pytest.mark.parametrize(("late", "changed"), [(-60.0, False), (0.5, False), (60.0, True)])
def test_a_changed_file_is_a_warning(late, changed):
    """No failure: it may be a comment. Within a second of the start it may be the kernel's rounding."""
    survey = with_yml(healthy(), late=late)
    finding = judge(survey)

    assert (finding is not None) is changed
    if changed:
        assert finding.warning
        assert finding.observed.endswith("the next start reads it for the first time")
        (cause,) = diagnose(survey, judged(survey)).causes
        assert cause.id == "changed-since-start"


def with_changed(survey, *paths, late=60.0):
    node = survey.node("es-2")
    times = dict.fromkeys(paths, node.process.started + late)
    return with_node(survey, "es-2", sources=replace(node.sources, modified={**node.sources.modified, **times}))


UNIT = "/etc/systemd/system/elasticsearch.service.d/override.conf"


@pytest.mark.parametrize("path", ["/etc/elasticsearch/jvm.options.d/heap.options", "/etc/default/elasticsearch", UNIT])
def test_every_file_that_a_start_reads_is_looked_at(path):
    """jvm.options, variables, the unit with its drop-ins: a warning each, with the command that shows the file."""
    survey = with_changed(healthy(), path)
    finding = judge(survey)

    assert finding.warning
    assert finding.observed == f"{path} changed since the process started: the next start reads it for the first time"
    (cause,) = diagnose(survey, judged(survey)).causes
    assert cause.id == "changed-since-start"
    assert cause.remedy.commands[0].text.endswith(f" {path}")
    assert judge(with_changed(healthy(), path, late=-1.0)) is None


def test_several_changed_files_are_one_line():
    survey = with_changed(with_yml(healthy(), late=60.0), UNIT)

    assert judge(survey).observed == (
        f"/etc/elasticsearch/elasticsearch.yml and {UNIT} changed since the process started: "
        "the next start reads them for the first time"
    )
    assert judge(with_node(survey, "es-2", process=None)) is None


def test_keys_on_disk_outside_the_keystore_wait_for_the_next_start():
    """Where the version honours them, and no key in the keystore would win over them."""
    survey = surveys.default_file_keys(healthy(), "es-2")

    assert judge(survey).observed == (
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY on disk, not loaded yet: "
        "from the next start on this node signs with them and no longer with its role (SRC-1)"
    )
    assert judge(surveys.env_keys(healthy(), "es-2")) is None
    assert judge(surveys.stale_keys(survey, "es-2")) is None
    assert judge(surveys.default_file_keys(healthy(version="8.18.0"), "es-2")) is None
    assert judge(with_node(survey, "es-2", process=None)) is None


def test_a_younger_keystore_without_keys_is_quiet():
    """Keys were removed, or anything else written: the time of a change decides nothing."""
    assert judge(surveys.keys_on_disk(healthy(), "es-2")) is None
    assert judge(surveys.stale_in_memory(healthy(), "es-2")) is None


def test_loaded_keys_are_no_news_to_a_restart():
    """REPO-1's and KEY-1's matter: the next start is as the last."""
    assert judge(surveys.stale_keys(healthy(), "es-2")) is None


@pytest.mark.parametrize(
    ("layout", "environment", "outcome"),
    [
        ("deb", (), "fail"),
        ("rpm", (), "fail"),
        ("deb", ("ES_KEYSTORE_PASSPHRASE_FILE",), "could not check"),
        ("tar", (), "could not check"),
        ("docker", (), "could not check"),
    ],
)
def test_a_password_and_where_a_start_gets_it(layout, environment, outcome):
    """The service of the packages asks nobody; whoever starts a tar may type it. Its names stay unread."""
    node = healthy().node("es-2")
    survey = with_node(
        healthy(),
        "es-2",
        keystore=PROTECTED,
        install=replace(node.install, layout=layout),
        process=replace(node.process, environment=environment),
    )

    assert not_passed(judged(survey))["RESTART-1", "es-2"] == outcome


def test_a_password_on_a_node_that_does_not_run():
    """Its environment is not known."""
    with pytest.raises(CouldNotCheck, match="ES_KEYSTORE_PASSPHRASE_FILE is not known"):
        judge(with_node(healthy(), "es-2", keystore=PROTECTED, process=None))


@pytest.mark.parametrize("section", ["keystore", "config", "sources", "process", "install"])
def test_what_nobody_saw_is_no_pass(section):
    """Unless something else is known to be wrong."""
    why = Unknown(reason="nobody looked")
    survey = with_node(healthy(), "es-2", **{section: why})
    if section == "install":
        assert judge(survey) is None  # nothing here depends on the layout of an unprotected keystore
        return
    with pytest.raises(CouldNotCheck, match="nobody looked"):
        judge(survey)
    if section != "config":
        assert judge(with_yml(survey, "cloud.aws.region")) is not None


def test_without_a_login_files_still_answer():
    """No cluster, no _verify: pairs, files and settings are judged all the same."""
    why = Unknown(reason="no login for Elasticsearch was given")
    survey = with_node(surveys.keystore_half(healthy(), "es-2"), "es-2", view=why)

    assert judge(replace(survey, clusters=())) is not None
    assert judge(replace(with_node(healthy(), "es-2", view=why), clusters=())) is None


def test_the_nodes_line_says_no():
    """One word where the operator reads first."""
    survey = surveys.stale_on_disk(healthy(), "es-2")
    texts = {line.node: line.text for line in diagnose(survey, judged(survey)).nodes}

    assert "static keys on disk, not loaded yet" in texts["es-2"]
    assert "would survive a restart: no" in texts["es-2"]
    assert "would survive a restart: no" not in texts["es-1"]
    survey = surveys.stale_in_memory(healthy(), "es-2")
    (line,) = (line for line in diagnose(survey, judged(survey)).nodes if line.node == "es-2")
    assert "static keys removed from the keystore, still in memory, refused by S3" in line.text
