"""Static keys that are meant to be there, and keystores with a password, on real nodes."""

import json

import pytest
from static_keys import CLIENT, SETTINGS, archive, declared, put
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import cloud, elasticsearch
from lab.faults import keystore as faults

pytestmark = ON_THE_LAB


@pytest.fixture(scope="module")
def second_client(lab):
    with archive(lab.nodes):
        yield


def test_a_keystore_with_a_password_is_opened_with_the_passphrase_file(lab, tmp_path):
    """Everything in it is judged; that the service's next start cannot open it is the one thing left."""
    # Before the second client, which stays until the end of this file.
    victim = lab.nodes[-1]
    file = tmp_path / "passphrase"
    file.write_text(f"{faults.PASSWORD}\n")
    run_lab("break", "keystore-password", victim.name)
    try:
        ran = Ran(tmp_path, f"--keystore-password-file={file}", "-vvv", "-l", "--log-level=DEBUG")
        wrong = tmp_path / "wrong"
        wrong.write_text("another password of nobody\n")
        refused = Ran(tmp_path, f"--keystore-password-file={wrong}", hosts=victim.name)
    finally:
        run_lab("heal")
    assert ran.differing() == {("RESTART-1", victim.name): "fail"}, ran.text
    assert [cause.id for cause in ran.diagnosis.causes] == ["would-not-start"]
    assert ran.survey.node(victim.name).keystore.protected
    shown = ran.text + "".join(p.read_text(errors="replace") for p in ran.report.resolve().iterdir() if p.is_file())
    assert faults.PASSWORD not in shown and faults.PASSWORD not in json.dumps(shown)
    reasons = {o.reason for o in refused.outcomes if o.check == "KEY-1"}
    assert reasons == {"the keystore is password-protected, and the given password is not its own"}


@pytest.mark.usefixtures("second_client")
def test_a_key_that_nobody_declared_is_seen_on_every_node(lab, tmp_path):
    """It works and was put in while Elasticsearch ran, which leaves no trace: taken for one that waits on disk."""
    ran = Ran(tmp_path)
    names_of = [node.name for node in lab.nodes]
    assert ran.differing() == {(check, name): "fail" for check in ("KEY-1", "RESTART-1") for name in names_of}, ran.text
    assert [cause.id for cause in ran.diagnosis.causes] == ["static-keys-waiting"]
    assert len({node.keystore.access_keys[SETTINGS[0]].fingerprint for node in ran.survey.nodes}) == 1


@pytest.mark.usefixtures("second_client")
def test_a_declared_client_whose_key_a_rotation_left_behind_on_one_node(lab, tmp_path):
    """The cause is named all the same, and mended by another key, never by none."""
    master = elasticsearch.master(lab.nodes)
    victim = next(node for node in reversed(lab.nodes) if node != master)
    put(victim, cloud.stale_key())
    try:
        ran = Ran(tmp_path, declared(tmp_path))
    finally:
        put(victim, cloud.current_key())
    assert ran.differing() == {(check, victim.name): "fail" for check in ("KEY-1", "KEY-6", "REPO-1")}, ran.text
    (cause,) = ran.diagnosis.causes
    assert (cause.id, cause.nodes) == ("keys-differ", (victim.name,))
    typed = [command.text for command in cause.remedy.commands]
    assert not any(" remove " in text for text in typed)
    assert [text.split()[-1] for text in typed if " add " in text] == list(SETTINGS)
    assert f"{CLIENT}" in ran.text and "AKIA****" in ran.text
    shown = ran.text + "".join(p.read_text(errors="replace") for p in ran.report.resolve().iterdir() if p.is_file())
    for secret in (*cloud.stale_key().values(), *cloud.current_key().values()):
        assert secret not in shown
