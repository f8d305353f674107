"""The printed commands against real files: keys are commented out, everything else stays, the copy is whole."""

from __future__ import annotations

import subprocess

import msgspec
import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, with_node

from preflight import remedy
from preflight.facts import Repository, SignedList, Source, Sources, Unknown
from preflight.probe.sections.config import parse
from preflight.probe.sections.sources import Reading
from preflight.redaction import redact

VARIABLES = """\
# AWS_ACCESS_KEY_ID=commented
ES_PATH_CONF=/etc/elasticsearch
AWS_ACCESS_KEY_ID=AKIA1
  export AWS_SECRET_ACCESS_KEY="a secret / with & odd | letters"
MY_AWS_ACCESS_KEY_ID=other
AWS_REGION=eu-west-1
ES_JAVA_OPTS="-Xms1g -Daws.accessKeyId=AKIA2 -Daws.secretAccessKey=x/y&z -Dfoo=1"
"""
JVM = """\
-Xms1g
#-Daws.accessKeyId=commented
-Daws.accessKeyId=AKIA1
17-:-Daws.secretAccessKey=b/c=
-Daws.region=eu-west-1
"""
UNIT = """\
[Service]
# Environment=AWS_ACCESS_KEY_ID=commented
Environment=LANG=C
Environment=AWS_ACCESS_KEY_ID=AKIA1
Environment="AWS_SECRET_ACCESS_KEY=a b" 'AWS_SESSION_TOKEN=c d' FOO=1
Environment="ES_JAVA_OPTS=-Xms1g -Daws.accessKeyId=AKIA2 -Daws.secretAccessKey=x" AWS_REGION=eu-west-1
Environment=\\
    AWS_ACCESS_KEY_ID=AKIA3 \\
    AWS_SECRET_ACCESS_KEY=d
ExecStart=/bin/a \\
    b
EnvironmentFile=-/etc/default/elasticsearch
"""
YML = """\
cluster.name: logs
# access_key: commented
access_key: AKIA1
"secret_key" : b
s3.client.default.region: eu-west-1
"""


def run(commands, folder):
    """The commands that change files, as the node's shell would run them in its own root."""
    for command in commands:
        if "systemctl" not in command.text and command.where != "controller":
            text = command.text.replace("sudo ", "").replace("/etc/", f"{folder}/etc/")
            subprocess.run(["sh", "-c", text], check=True)


def put(folder, path, text):
    file = folder / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def seen(read, file):
    """What the probe's reader of that kind of file makes of it."""
    reading = Reading()
    before = {"jvm_options": [""]}.get(read, [])
    after = {"unit_file": ["elasticsearch.service"]}.get(read, [])
    getattr(reading, read)(*before, str(file), *after)
    return msgspec.convert(reading.value(), Sources).found


def surveyed(folder, read, path, text):
    """The survey of a node whose process was started with that file, and the file."""
    file = put(folder, path, text)
    lines = tuple(replace(entry, path=path) for entry in seen(read, file))
    names = [line.name for line in lines]
    survey = surveys.started_with(
        surveys.written(healthy(), "es-2", *lines),
        "es-2",
        variables=[name for name in names if name.startswith("AWS")],
        options=[name for name in names if name.startswith("aws")],
    )
    return surveys.verify_fails(survey, "es-2", surveys.STALE), file


def test_a_file_of_variables(tmp_path):
    survey, file = surveyed(tmp_path, "variables", "/etc/default/elasticsearch", VARIABLES)
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))
    run(mend.commands, tmp_path)

    assert mend.caution is None
    assert file.read_text().splitlines() == [
        "# AWS_ACCESS_KEY_ID=commented",
        "ES_PATH_CONF=/etc/elasticsearch",
        "#AWS_ACCESS_KEY_ID=AKIA1",
        '#  export AWS_SECRET_ACCESS_KEY="a secret / with & odd | letters"',
        "MY_AWS_ACCESS_KEY_ID=other",
        "AWS_REGION=eu-west-1",
        'ES_JAVA_OPTS="-Xms1g   -Dfoo=1"',
    ]
    assert [line.name for line in seen("variables", file)] == ["AWS_REGION"]
    copy = file.with_name(file.name + ".before-preflight-20251124T104000Z")
    assert copy.read_text() == VARIABLES
    shown = subprocess.run(
        ["bash", "-c", f'. {file}; echo "$ES_JAVA_OPTS|$AWS_REGION|$AWS_ACCESS_KEY_ID"'], capture_output=True, text=True
    )
    assert shown.stdout == "-Xms1g   -Dfoo=1|eu-west-1|\n"


def test_jvm_options(tmp_path):
    survey, file = surveyed(tmp_path, "jvm_options", "/etc/elasticsearch/jvm.options.d/aws.options", JVM)
    run(remedy.remove_outside_keys(survey, survey.node("es-2")).commands, tmp_path)

    assert file.read_text().splitlines() == [
        "-Xms1g",
        "#-Daws.accessKeyId=commented",
        "#-Daws.accessKeyId=AKIA1",
        "#17-:-Daws.secretAccessKey=b/c=",
        "-Daws.region=eu-west-1",
    ]
    assert [line.name for line in seen("jvm_options", file)] == ["aws.region"]
    assert not [path for path in file.parent.glob("*.options") if path != file]


def test_a_drop_in_of_systemd(tmp_path):
    """No Environment= is left empty, which would take back every other variable of the unit."""
    path = "/etc/systemd/system/elasticsearch.service.d/aws.conf"
    file = put(tmp_path, path, UNIT)
    lines = [replace(line, path=path) for line in seen("unit_file", file)]
    survey = surveys.written(healthy(), "es-2", *lines)
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))
    run(mend.commands, tmp_path)

    assert [line.rstrip() for line in file.read_text().splitlines()] == [
        "[Service]",
        "# Environment=AWS_ACCESS_KEY_ID=commented",
        "Environment=LANG=C",
        "#Environment=",
        "Environment=  FOO=1",
        'Environment="ES_JAVA_OPTS=-Xms1g  " AWS_REGION=eu-west-1',
        "#Environment=",
        "ExecStart=/bin/a      b",
        "EnvironmentFile=-/etc/default/elasticsearch",
    ]
    assert mend.commands[-1].text == "sudo systemctl daemon-reload"


def test_the_yml(tmp_path):
    survey = surveys.yml_bare_keys(healthy(), "es-2")
    file = put(tmp_path, survey.node("es-2").config.path, YML)
    mend = remedy.remove_idle_keys(survey, survey.node("es-2"))
    run(mend.commands, tmp_path)

    assert parse(file.read_bytes()) == {"cluster.name": "logs", "s3.client.default.region": "eu-west-1"}
    assert file.read_text().count("\n") == YML.count("\n")
    assert mend.caution is None and not any("restart" in command.text for command in mend.commands)


def test_a_secure_setting_in_the_yml(tmp_path):
    survey = surveys.yml_names(healthy(), "es-2", "s3.client.default.access_key")
    file = put(tmp_path, survey.node("es-2").config.path, "s3.client.default.access_key: A\ns3xclient: 1\n")
    run(remedy.remove_outside_keys(survey, survey.node("es-2")).commands, tmp_path)

    assert file.read_text() == "#s3.client.default.access_key: A\ns3xclient: 1\n"


def test_the_fix_ends_with_a_restart_and_verify():
    """Never a reload: it does not read the environment again."""
    mend = remedy.remove_outside_keys(survey := surveys.env_keys(healthy(), "es-2"), survey.node("es-2"))
    texts = [command.text for command in mend.commands]

    assert (
        texts[0] == "sudo cp -p /etc/default/elasticsearch /etc/default/elasticsearch.before-preflight-20251124T104000Z"
    )
    assert texts[2] == "sudo systemctl restart elasticsearch"
    assert "/_snapshot/s3_backup/_verify" in texts[3]
    assert not any("reload_secure_settings" in text for text in texts)
    assert any(line.startswith("at the very end, delete") for line in mend.advice)


def test_keys_not_loaded_need_no_restart_and_no_proof():
    survey = surveys.no_instance_role(surveys.default_file_keys(healthy(), "es-2"), "es-2")
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))

    assert mend.caution is None
    assert [command.text.split()[1] for command in mend.commands] == ["cp", "sed"]


@pytest.mark.parametrize("process", [None, Unknown(reason="it may not be read")])
def test_keys_that_may_be_in_use_are_removed_as_if_they_were(process):
    """A stopped node may have lived on them, one that nobody may look at may do so now."""
    survey = with_node(surveys.default_file_keys(healthy(), "es-2"), "es-2", process=process)
    proven = remedy.remove_outside_keys(survey, survey.node("es-2"))
    survey = surveys.no_instance_role(survey, "es-2")

    assert proven.commands[2].text == "sudo systemctl restart elasticsearch"
    assert remedy.remove_outside_keys(survey, survey.node("es-2")).caution.startswith("do not remove yet")


@pytest.mark.parametrize(
    "survey",
    [
        surveys.env_keys(healthy(), "es-2"),
        surveys.jvm_option_keys(healthy(), "es-2"),
        surveys.written(
            healthy(),
            "es-2",
            *(Source(kind="unit", path="/etc/u.conf", line=2, name=name) for name in surveys.ENVIRONMENT_KEYS),
            *(
                Source(kind=kind, path=f"/etc/{kind}", line=2, name=name, through="ES_JAVA_OPTS")
                for name in surveys.OPTION_KEYS
                for kind in ("unit", "variables")
            ),
        ),
    ],
)
def test_no_command_looks_like_a_secret(survey):
    """What masks secrets in the report leaves every command and line as it was printed."""
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))
    texts = [*(command.text for command in mend.commands), *mend.advice]

    assert len(texts) > 4
    assert [text for text in texts if redact(text) != text] == []


@pytest.mark.parametrize(
    "signed", [Unknown(reason="IMDS names no role"), SignedList(status=403, code="AccessDenied", message="no")]
)
def test_nothing_is_removed_before_the_role_is_proven(signed):
    survey = surveys.env_keys(healthy(), "es-2")
    survey = with_node(survey, "es-2", buckets=(replace(surveys.bucket(), signed_list=signed),))
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))

    assert mend.caution.startswith("do not remove yet: role not proven on es-2: ")
    assert not any("sed" in command.text or "restart" in command.text for command in mend.commands)


def test_keys_that_sign_for_another_s3_too_stay():
    """A role opens nothing there."""
    survey = surveys.env_keys(healthy(), "es-2")
    cluster = survey.clusters[0]
    other = Repository(name="minio", type="s3", bucket="b", client="minio", endpoint="https://minio.example.net")
    survey = surveys.with_cluster(survey, repositories=(*cluster.repositories, other))
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))

    assert mend.caution.startswith("do not remove yet: minio is not on AWS")
    assert mend.commands == ()


def test_keys_that_no_file_gives_are_looked_for_first():
    """A restart alone brings them back: not called the fix."""
    survey = surveys.verify_fails(
        surveys.started_with(healthy(), "es-2", variables=surveys.ENVIRONMENT_KEYS), "es-2", surveys.STALE
    )
    mend = remedy.remove_outside_keys(survey, survey.node("es-2"))

    assert mend.caution.startswith("remove AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the process gets it first")
    assert mend.commands == ()
    assert "/etc/default/elasticsearch" in mend.advice[0]


def test_insecure_settings_are_not_taken_away():
    survey = surveys.started_with(healthy(), "es-2", options=["es.allow_insecure_settings"])
    mend = remedy.remove_idle_keys(survey, survey.node("es-2"))

    assert mend.caution.startswith("do not take -Des.allow_insecure_settings away yet")
    assert mend.commands == ()


def test_a_path_with_a_blank_is_quoted(tmp_path):
    line = Source(kind="variables", path="/etc/my es/env", line=1, name="AWS_SECRET_ACCESS_KEY")
    file = put(tmp_path, line.path, "AWS_SECRET_ACCESS_KEY=x\n")
    survey = surveys.written(healthy(), "es-2", line)
    mend = remedy.remove_idle_keys(survey, survey.node("es-2"))
    run([replace(c, text=c.text.replace("'/etc/", "'" + str(tmp_path) + "/etc/")) for c in mend.commands], "")

    assert file.read_text() == "#AWS_SECRET_ACCESS_KEY=x\n"
