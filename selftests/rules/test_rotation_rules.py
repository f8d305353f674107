"""KEY-6, and what fingerprints tell KEY-1 and KEY-3: whose key is another, which is refused, and what is never said."""

from __future__ import annotations

import json
import os
import re
import subprocess

import pytest
import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from shapes import declared_keys, elsewhere
from surveys import STALE, STATIC_KEYS, healthy, verify_fails, with_cluster, with_keys, with_member, with_node

from preflight.diagnosis import diagnose
from preflight.facts import AccessKey, CouldNotCheck, Source, Unknown
from preflight.judgement import NotApplicable
from preflight.remedy import match_keys, mend_keys
from preflight.rules import keystore, keystores, restart, rotation

NAMES = ("es-1", "es-2", "es-3")
ACCESS = STATIC_KEYS[0]


def holding(**keys):
    """A healthy cluster whose nodes hold these keys of the default client, loaded: es_1="old"."""
    survey = healthy()
    for name, key in keys.items():
        survey = with_keys(survey, name.replace("_", "-"), *STATIC_KEYS, key=key)
    return survey


def same(survey, name):
    return rotation.same_keys(survey, survey.node(name))


def unlike(survey):
    return [name for name in NAMES if same(survey, name) is not None]


# -- which node is off -------------------------------------------------------------------------------------------------


def test_equal_keys_are_quiet_and_so_are_nodes_without():
    assert unlike(holding(es_1="a", es_2="a", es_3="a")) == []
    assert unlike(holding(es_1="a", es_3="a")) == []
    assert unlike(holding(es_2="a")) == []


def test_two_keys_that_both_work_are_told_by_the_majority():
    survey = holding(es_1="a", es_2="b", es_3="a")
    assert unlike(survey) == ["es-2"]
    assert same(survey, "es-2").observed == f"{ACCESS} is another AKIA**** key than that of es-1 and es-3; " + (
        "S3 accepts theirs"
    )


def test_the_key_that_s3_accepts_counts_against_a_majority():
    """The rotation reached one node of three: the two that it did not reach are off."""
    survey = verify_fails(verify_fails(holding(es_1="new", es_2="old", es_3="old"), "es-2", STALE), "es-3", STALE)
    assert unlike(survey) == ["es-2", "es-3"]
    assert same(survey, "es-3").observed.endswith("than that of es-1; S3 refuses it and accepts theirs")


def test_behind_a_refused_master_the_key_that_is_left_counts():
    survey = verify_fails(holding(es_1="old", es_2="new", es_3="old"), "es-1", STALE)
    assert unlike(survey) == ["es-1", "es-3"]
    assert same(survey, "es-1").observed.endswith("than that of es-2; S3 refuses it")


def test_without_a_majority_all_that_differ_are_named_and_none_is_right():
    survey = holding(es_1="a", es_2="b", es_3="c")
    assert unlike(survey) == list(NAMES)
    finding = same(survey, "es-1")
    assert finding.details == ("es-2: another AKIA**** key", "es-3: another AKIA**** key")
    assert match_keys(survey, survey.node("es-1")).commands == ()


def test_keys_of_another_service_are_compared_too():
    survey = elsewhere(healthy())
    assert unlike(survey) == []
    survey = with_keys(survey, "es-3", *(f"s3.client.minio.{part}" for part in ("access_key", "secret_key")), key="x")
    assert unlike(survey) == ["es-3"]
    outcomes = judged(survey)
    assert not_passed(outcomes) == {("KEY-6", "es-3"): "fail"}
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("keys-differ", ("es-3",))
    assert [c.text.split()[-3:] for c in cause.remedy.commands[1:3]] == [
        ["add", "--force", "s3.client.minio.access_key"],
        ["add", "--force", "s3.client.minio.secret_key"],
    ]
    assert "those of es-1 and es-2" in cause.remedy.caution


# -- what it is quiet on, and what it cannot tell ----------------------------------------------------------------------


def test_a_client_that_no_repository_uses_is_key_1s_alone():
    survey = healthy()
    for name in NAMES:
        survey = with_keys(survey, name, "s3.client.spare.access_key", "s3.client.spare.secret_key", key=name)
    assert unlike(survey) == []
    assert {o for (check, _), o in not_passed(judged(survey)).items() if check == "KEY-1"} == {"warning"}


def test_without_a_login_every_client_is_compared():
    why = Unknown(reason="no login for Elasticsearch was given")
    survey = replace(holding(es_1="a", es_2="b", es_3="a"), clusters=())
    for name in NAMES:
        survey = with_node(survey, name, view=why)
    assert unlike(survey) == ["es-2"]


def test_a_node_that_never_touches_a_snapshot_is_neither_judged_nor_counted():
    survey = with_member(holding(es_1="a", es_2="a", es_3="b"), "es-3", roles=())
    with pytest.raises(NotApplicable, match="never reads or writes snapshots"):
        same(survey, "es-3")
    assert same(survey, "es-1") is None


def test_another_clusters_key_is_its_own():
    survey = holding(es_1="a", es_2="b", es_3="a")
    other = replace(survey.node("es-2").view, cluster_uuid="another")
    assert same(with_node(survey, "es-2", view=other), "es-1") is None


def test_names_alone_could_not_be_compared():
    survey = holding(es_1="a", es_2="a")
    for unread in ("es-1", "es-2"):
        file = replace(survey.node(unread).keystore, access_keys=None, read_by="elasticsearch-keystore")
        with pytest.raises(CouldNotCheck, match=f"of {unread} could not be compared"):
            same(with_node(survey, unread, keystore=file), "es-1")


def test_unread_peers_are_no_pass():
    survey = holding(es_1="a")
    for name in ("es-2", "es-3"):
        survey = with_node(survey, name, keystore=Unknown(reason="permission denied"))
    with pytest.raises(CouldNotCheck, match="see es-2's"):
        same(survey, "es-1")
    assert rotation.same_keys(healthy(1), healthy(1).node("es-1")) is None


# -- what a refused key tells of the same key elsewhere ----------------------------------------------------------------


def uses(survey, name):
    return [keys.use for keys in keystore.client_keys(survey, survey.node(name))]


def test_the_key_that_s3_refuses_on_the_master_is_refused_on_a_node_that_was_not_tested():
    survey = verify_fails(holding(es_1="old", es_3="old"), "es-1", STALE)
    assert uses(survey, "es-3") == ["refused"]
    outcomes = judged(survey)
    assert f"the same key that S3 refuses on es-1 (s3_backup): {STALE}" in next(
        o.observed for o in outcomes if (o.check, o.node) == ("KEY-1", "es-3")
    )
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("stale-static-keys", ("es-1", "es-3"))


@pytest.mark.parametrize("sentence", ["Access Denied", "The provided token has expired."])
def test_only_a_key_that_aws_does_not_know_is_refused_wherever_it_is(sentence):
    assert uses(verify_fails(holding(es_1="old", es_3="old"), "es-1", sentence), "es-3") == ["unknown"]


def test_another_key_and_one_that_may_not_be_loaded_stay_unknown():
    survey = verify_fails(holding(es_1="old", es_3="new"), "es-1", STALE)
    assert uses(survey, "es-3") == ["unknown"]
    late = surveys.STARTED - 10
    survey = verify_fails(with_keys(holding(es_1="old"), "es-3", *STATIC_KEYS, modified=late), "es-1", STALE)
    assert uses(survey, "es-3") == ["unknown"]
    outcomes = {(o.check, o.node): o for o in judged(survey)}
    assert outcomes["RESTART-1", "es-3"].outcome == "could not check"


# -- the three kinds, and declared clients -----------------------------------------------------------------------------


def key_1(survey, name="es-2"):
    finding = keystore.static_s3_keys(survey, survey.node(name))
    return finding and ("warning" if finding.warning else "fail", finding.observed)


def test_refused_accepted_and_unused_are_told_apart():
    spare = ("s3.client.spare.access_key", "s3.client.spare.secret_key")
    refused = key_1(surveys.stale_keys(healthy(), "es-2"))
    accepted = key_1(holding(es_2="a"))
    unused = key_1(with_keys(healthy(), "es-2", *spare))
    assert [kind for kind, _ in (refused, accepted, unused)] == ["fail", "warning", "warning"]
    assert "in use now, refused by S3" in refused[1]
    assert "in use now, accepted by S3 today" in accepted[1]
    assert "not in use: no repository uses the client" in unused[1]
    both = key_1(verify_fails(with_keys(healthy(), "es-2", *STATIC_KEYS, *spare), "es-2", STALE))
    assert both[0] == "fail"
    assert both[1].index("refused by S3") < both[1].index("s3.client.spare.access_key")


def test_a_declared_client_is_no_finding_until_s3_refuses_its_key():
    survey = declared_keys(healthy())
    assert [key_1(survey, name) for name in NAMES] == [None] * 3
    undeclared = surveys.declared(survey)
    assert [key_1(undeclared, name)[0] for name in NAMES] == ["warning"] * 3
    refused = with_cluster(survey, verifications=verify_fails(survey, "es-2", STALE).clusters[0].verifications[1:])
    assert key_1(refused)[0] == "fail"
    remedy = mend_keys(refused, refused.node("es-2"))
    assert "declared to sign with static keys, so nothing is removed" in remedy.caution
    assert not any(" remove " in command.text for command in remedy.commands)


def test_a_declared_client_must_be_on_every_node():
    survey = with_keys(declared_keys(healthy()), "es-3")
    assert not_passed(judged(survey)) == {("KEY-4", "es-3"): "fail"}


def test_a_file_that_changed_since_may_hold_another_key_than_the_refused():
    """A new pair is on disk and the process signs with the old one: the words leave both open."""
    survey = verify_fails(with_keys(healthy(), "es-2", *STATIC_KEYS, modified=surveys.STARTED - 10), "es-2", STALE)
    kind, observed = key_1(survey)
    assert kind == "fail"
    assert "the key that S3 refuses may be an older one" in observed
    (cause,) = diagnose(survey, judged(survey)).causes
    assert (cause.id, cause.confidence) == ("stale-static-keys", "likely")


def test_keys_of_one_client_in_memory_do_not_hide_behind_those_of_another():
    """The declared client's keys are there and fine; the default client's are only in memory."""
    survey = declared_keys(healthy())
    stale = verify_fails(survey, "es-2", STALE).clusters[0].verifications
    survey = with_cluster(survey, verifications=(stale[0], survey.clusters[0].verifications[1]))
    assert key_1(survey) is None
    assert keystore.only_in_memory(survey, survey.node("es-2")) == STALE
    assert [cause.id for cause in diagnose(survey, judged(survey)).causes] == ["stale-keys-loaded"]


# -- a temporary key without its token ---------------------------------------------------------------------------------


def temporary(survey, name, *settings):
    survey = with_keys(survey, name, *settings)
    file = survey.node(name).keystore
    keys = {setting: AccessKey(prefix="ASIA", fingerprint=key.fingerprint) for setting, key in file.access_keys.items()}
    return with_node(survey, name, keystore=replace(file, access_keys=keys))


def key_3(survey, name="es-2"):
    return keystores.whole_pairs(survey, survey.node(name))


def test_a_temporary_key_without_its_session_token_cannot_work():
    survey = verify_fails(temporary(healthy(), "es-2", *STATIC_KEYS), "es-2", STALE)
    assert key_3(survey).observed == f"{ACCESS} is a temporary key (ASIA) without its session_token: S3 refuses it"
    outcomes = judged(survey)
    assert not_passed(outcomes) == {(check, "es-2"): "fail" for check in ("KEY-1", "KEY-3", "REPO-1")}
    (cause,) = diagnose(survey, outcomes).causes
    assert cause.id == "temporary-key-alone"


def test_with_its_token_or_at_another_service_it_is_whole():
    assert key_3(temporary(healthy(), "es-2", *STATIC_KEYS, "s3.client.default.session_token")) is None
    minio = ("s3.client.minio.access_key", "s3.client.minio.secret_key")
    assert key_3(temporary(elsewhere(healthy()), "es-2", *minio)) is None


def test_half_a_pair_is_said_as_half_a_pair():
    assert key_3(temporary(healthy(), "es-2", ACCESS)).details == ("Missing secret key for s3 client [default]",)


def test_no_fingerprint_stands_in_any_message():
    survey = surveys.half_rotated(healthy(), "es-2")
    outcomes = judged(survey)
    diagnosis = diagnose(survey, outcomes)
    prints = {survey.node(name).keystore.access_keys[ACCESS].fingerprint for name in NAMES}
    assert not [text for text in prints if text in repr((outcomes, diagnosis))]


# -- a keystore with a password ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", ["plain", 'q"uo\\te \\"', "p\u00e4ss & word", "$HOME `id` '"])
def test_the_printed_reload_hands_over_the_password_as_it_stands(password, tmp_path):
    """Through a shell, curl's own reading of its options and JSON: what arrives is what the file holds."""
    survey = surveys.stale_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", keystore=replace(survey.node("es-2").keystore, protected=True))
    remedy = mend_keys(survey, survey.node("es-2"))
    (reload,) = (command.text for command in remedy.commands if "reload_secure_settings" in command.text)
    assert any("ES_PREFLIGHT_KEYSTORE_PASSWORD_FILE" in line for line in remedy.advice)
    for name, text in (("keystore", password), ("login", "secret")):
        (tmp_path / name).write_text(text + "\n")
    environ = {
        "PATH": os.environ["PATH"],
        "LC_ALL": "C.UTF-8",
        "ES_PREFLIGHT_USER": "u",
        "ES_PREFLIGHT_PASSWORD_FILE": str(tmp_path / "login"),
        "ES_PREFLIGHT_KEYSTORE_PASSWORD_FILE": str(tmp_path / "keystore"),
    }
    options = subprocess.run(
        ["/bin/sh", "-c", reload.partition(" | ssh ")[0]], env=environ, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    (line,) = (option for option in options if option.startswith("data = "))
    # curl takes a backslash between quotes for an escape of the next character.
    read = re.sub(r"\\(.)", r"\1", line.removeprefix('data = "').removesuffix('"'))
    assert json.loads(read) == {"secure_settings_password": password}
    assert options[0].startswith("user = ") and 'header = "Content-Type: application/json"' in options


def test_an_open_keystores_reload_has_no_body():
    survey = surveys.stale_keys(healthy(), "es-2")
    texts = [command.text for command in mend_keys(survey, survey.node("es-2")).commands]
    assert not any("KEYSTORE_PASSWORD" in text for text in texts)


def test_a_password_that_the_service_is_given_is_no_reason_not_to_come_back():
    """From the process's environment or from a file of its unit."""
    survey = surveys.keystore_password(healthy(), "es-2")
    assert {reason.kind for reason in restart.judge(survey, survey.node("es-2")).reasons} == {"password"}
    source = restart.PASSPHRASE_FILE
    path = "/etc/systemd/system/elasticsearch.service.d/keystore.conf"
    given = (
        surveys.started_with(survey, "es-2", variables=[source]),
        surveys.written(survey, "es-2", Source(kind="unit", path=path, line=2, name=source)),
    )
    for one in given:
        assert restart.judge(one, one.node("es-2")).reasons == ()
    opened = with_node(healthy(), "es-2", keystore=replace(healthy().node("es-2").keystore, protected=True))
    assert not_passed(judged(opened)) == {("RESTART-1", "es-2"): "fail"}
    assert [cause.id for cause in diagnose(opened, judged(opened)).causes] == ["would-not-start"]
