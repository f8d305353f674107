"""The runbook's steps: the incident's order, and commands that judge what Elasticsearch answers by themselves."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import surveys
from judged import judged
from msgspec.structs import replace
from surveys import healthy, stale_keys, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.redaction import redact
from preflight.remedy import steps
from preflight.report import runbook

KEYSTORE = "/etc/elasticsearch/elasticsearch.keystore"
COPY = f"{KEYSTORE}.before-preflight-20251124T104000Z"


def mend(survey, name="es-2"):
    return remedy.remove_static_keys(survey, survey.node(name))


def texts(step):
    return [command.text for command in step.commands]


def phases(mend):
    return {step.phase: step for step in mend.steps}


def test_the_incidents_order_with_the_way_back_and_the_copys_end_last():
    found = mend(stale_keys(healthy(), "es-2"))
    assert [step.phase for step in found.steps] == [
        "prepare", "prove", "change", "apply", "verify", "prevent", "undo", "cleanup",
    ]  # fmt: skip
    told = phases(found)
    assert texts(told["prepare"]) == [f"sudo cp -p -n {KEYSTORE} {COPY}"]
    assert told["prove"].commands == () and "S3 accepted" in told["prove"].notes[0]
    assert texts(told["change"])[0].endswith("remove s3.client.default.access_key s3.client.default.secret_key")
    assert texts(told["undo"])[0] == f"sudo cp -p {COPY} {KEYSTORE}"
    assert texts(told["undo"])[1:] == texts(told["apply"])
    assert texts(told["cleanup"]) == [f"sudo rm {COPY}"]


@pytest.mark.parametrize("fault", [surveys.stale_on_disk, surveys.keystore_half])
def test_the_way_back_puts_no_key_in_use_that_was_not(fault):
    told = phases(mend(fault(healthy(), "es-2")))
    assert texts(told["undo"]) == [f"sudo cp -p {COPY} {KEYSTORE}"]


def test_a_copy_that_is_there_is_never_overwritten(tmp_path):
    """A runbook begun twice would else replace the only copy of the keys by a keystore without them."""
    (tmp_path / "keystore").write_text("without keys")
    (tmp_path / "copy").write_text("with keys")
    text = texts(phases(mend(stale_keys(healthy(), "es-2")))["prepare"])[0].removeprefix("sudo ")
    text = text.replace(COPY, "copy").replace(KEYSTORE, "keystore")
    subprocess.run(["sh", "-c", text], cwd=tmp_path, check=False)
    assert (tmp_path / "copy").read_text() == "with keys"


@pytest.mark.parametrize(("mode", "status"), [(0o660, 0), (0o600, 1)])
def test_owner_and_mode_are_compared_with_the_copys(tmp_path, mode, status):
    for name in ("keystore", "copy"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(0o660)
    (tmp_path / "keystore").chmod(mode)
    text = texts(phases(mend(stale_keys(healthy(), "es-2")))["change"])[1].removeprefix("sudo ")
    text = text.replace(COPY, "copy").replace(KEYSTORE, "keystore")
    done = subprocess.run(["sh", "-c", text], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == status
    assert len(done.stdout.splitlines()) == 1 + status


ID, OTHER = "es2___________________", "es3___________________"
NODES = {"_nodes": {"total": 1, "successful": 1, "failed": 0}, "cluster_name": "lab", "nodes": {ID: {"name": "es-2"}}}
REFUSED = {**NODES, "nodes": {ID: {"name": "es-2", "reload_exception": {"type": "access_denied_exception"}}}}
NEWER = {**NODES, "nodes": {ID: {"name": "es-2", "secure_setting_names": ["keystore.seed"], "keystore_digest": "1f"}}}
DENIED = {"error": {"type": "security_exception", "reason": "unable to authenticate user"}, "status": 401}


def failed(reason):
    kind = "repository_verification_exception"
    return {"error": {"root_cause": [{"type": kind, "reason": reason}], "type": kind, "reason": reason}, "status": 500}


ANSWERS = {
    "reload": [
        (NODES, True),
        (NEWER, True),
        (REFUSED, False),
        ({**NODES, "nodes": {}}, False),
        (DENIED, False),
        (None, False),
    ],
    "verify": [
        ({"nodes": {ID: {"name": "es-2"}, OTHER: {"name": "es-3"}}}, True),
        (failed(f"[s3_backup] [[{OTHER}, 'org.elasticsearch.transport.RemoteTransportException: [es-3]']]"), True),
        (failed(f"[s3_backup] [[{ID}, 'org.elasticsearch.transport.RemoteTransportException: [es-2]']]"), False),
        (failed(f"[s3_backup] [[{OTHER}, 'Remote…[es-3]'], [{ID}, 'Remote…[es-2]']]"), False),
        (failed("[s3_backup] path [prod] is not accessible on master node"), False),
        (DENIED, False),
        (None, False),
    ],
    "green": [
        ({"cluster_name": "lab", "status": "green", "timed_out": False}, True),
        ({"cluster_name": "lab", "status": "yellow", "timed_out": True}, False),
        ({"cluster_name": "lab", "status": "green", "timed_out": True}, False),
        (DENIED, False),
        (None, False),
    ],
    "no snapshot": [({"snapshots": []}, True), ({"snapshots": [{"snapshot": "s1"}]}, False), (DENIED, False)],
}


@pytest.mark.parametrize(
    ("what", "answer", "good"), [(what, answer, good) for what, rows in ANSWERS.items() for answer, good in rows]
)
@pytest.mark.parametrize("indent", [None, 1])
def test_a_command_ends_badly_on_a_bad_answer_and_shows_every_one(what, answer, good, indent):
    """HTTP 200 proves nothing, and curl ends well whatever it is told: what is behind its pipe has to tell."""
    survey = healthy()
    node = survey.node("es-2")
    command = {
        "reload": lambda: steps.reload(survey, node).commands[0],
        "verify": lambda: steps.verify(survey, node, ["s3_backup"])[0].commands[0],
        "green": lambda: steps.green(survey, node),
        "no snapshot": lambda: steps.no_snapshot(survey, node),
    }[what]()
    text = "" if answer is None else json.dumps(answer, ensure_ascii=False, indent=indent, separators=(",", ":"))
    judge = command.text[command.text.rindex("| awk") + 1 :]
    done = subprocess.run(["bash", "-c", judge], input=text, capture_output=True, text=True, timeout=10)
    assert (done.returncode == 0) is good
    assert done.stdout.strip() == text, "the operator reads what was answered"
    assert done.stderr == ""


def test_a_restart_stands_between_two_looks_at_the_cluster():
    survey = surveys.env_keys(healthy(), "es-2")
    told = phases(remedy.remove_outside_keys(survey, survey.node("es-2")))
    before, snapshots, restart, after = texts(told["apply"])
    assert before == after and "wait_for_nodes=ge(3)" in before
    assert "_snapshot/_status" in snapshots
    assert restart.startswith("sudo systemctl restart elasticsearch && timeout ")
    assert "/dev/tcp/198.18.0.12/9200" in restart


@pytest.mark.parametrize("fault", [surveys.keystore_half, surveys.keystore_unreadable, surveys.keystore_missing])
def test_a_node_that_would_not_come_back_is_not_restarted(fault):
    survey = fault(surveys.env_keys(healthy(), "es-2"), "es-2")
    step = phases(remedy.remove_outside_keys(survey, survey.node("es-2")))["apply"]
    assert step.commands == ()
    assert step.notes[0].startswith("do not restart es-2 yet: ")


def test_a_reload_of_all_nodes_is_said_to_arm_what_waits_elsewhere():
    notes = {
        fault: " ".join(steps.reload(survey, survey.node("es-2")).notes)
        for fault, survey in (("waits", surveys.stale_on_disk(healthy(), "es-3")), ("none", healthy()))
    }
    assert "es-3" in notes["waits"] and "es-3" not in notes["none"]


def test_no_printed_command_carries_a_keystores_password():
    """It goes from a file of the operator's through standard input, as the login does."""
    survey = stale_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", keystore=replace(survey.node("es-2").keystore, protected=True))
    told = phases(mend(survey))
    (reload,) = texts(told["apply"])
    typed, _, asked = reload.partition(" | ssh ")
    assert '"$ES_PREFLIGHT_KEYSTORE_PASSWORD_FILE"' in typed and "secure_settings_password" not in asked
    assert any("ES_PREFLIGHT_KEYSTORE_PASSWORD_FILE" in note for note in told["apply"].notes)
    assert texts(told["undo"]) == [f"sudo cp -p {COPY} {KEYSTORE}", reload]


def test_a_container_is_entered():
    survey = stale_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", install=replace(survey.node("es-2").install, layout="docker"))
    told = phases(mend(survey))
    pid = survey.node("es-2").process.pid
    inside = f'sudo docker exec "$(sudo grep -m1 -oE "[0-9a-f]{{64}}" /proc/{pid}/cgroup | head -n 1)" '
    assert texts(told["prepare"])[0].startswith(f"{inside}cp -p -n ")
    assert texts(told["change"])[0].startswith(f"{inside}env ES_PATH_CONF=")


def every_runbook():
    for login in ("user", "api-key", None):
        for fault in surveys.FAULTS.values():
            survey = fault(healthy(), "es-2")
            survey = replace(survey, options=replace(survey.options, elasticsearch_login=login))
            outcomes = judged(survey)
            yield survey, runbook.text(survey, outcomes, diagnose(survey, outcomes))


def test_every_block_is_one_that_a_shell_can_read_and_that_no_sweep_changes():
    """bash -n on each; masking what looks like a secret may not make another command of it."""
    blocks = set()
    for _, text in every_runbook():
        blocks |= set(re.findall(r"^```sh \w+ \S+\n(.*?)\n```$", text, re.M | re.S))
        assert redact(text) == text
        assert "DELETE /_snapshot" not in text and "-X DELETE" not in text
        assert "DELETE the repository" in text or text.startswith("Nothing to carry out.")
    assert len(blocks) > 30
    for block in blocks:
        done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, timeout=10)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_no_node_is_restarted_before_the_cluster_was_looked_at():
    """Two nodes in a row without a look between them cost a cluster of three its quorum."""
    restarts = 0
    for survey, text in every_runbook():
        blocks = re.findall(r"^```sh \w+ \S+\n(.*?)\n```$", text, re.M | re.S)
        for at, block in enumerate(blocks):
            if "systemctl restart" in block and survey.options.elasticsearch_login:
                restarts += 1
                assert "_cluster/health?wait_for_status=green" in "".join(blocks[max(at - 2, 0) : at]), text
    assert restarts > 5


def test_nothing_is_taken_away_where_the_role_is_not_proven():
    """One refusal for keys in the keystore and outside of it."""
    refusals = set()
    for fault in (stale_keys, surveys.env_keys):
        survey = surveys.no_instance_role(fault(healthy(), "es-2"), "es-2")
        outcomes = judged(survey)
        text = runbook.text(survey, outcomes, diagnose(survey, outcomes))
        (section,) = (part for part in text.split("\n## ") if "static keys" in part.partition("\n")[0])
        refusals |= {" ".join(line[2:] for line in section.splitlines() if line.startswith("> "))}
        assert "remove s3" not in text and "sed -i" not in text and "reload_secure" not in section
        assert "```sh prove es-2\ncurl " in section
    (refusal,) = refusals
    assert refusal.startswith("**Not yet**: do not remove yet: role not proven on es-2: ")
