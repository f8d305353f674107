"""The files that feed Elasticsearch's start: real files in a root of ours, read by the program that a node runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import msgspec
import pytest

from preflight import facts as records
from preflight.facts import Source

CANARY = "canary-VALUE-that-must-stay-on-the-node"
KEY = "AKIAZZZZCANARYZZZZ99"


class Host:
    """A packaged layout in a folder of ours; write(PATH, TEXT) puts a file where the program looks for it."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "home/bin").mkdir(parents=True)
        (folder / "proc/1").mkdir(parents=True)
        (folder / "proc/1/cmdline").write_bytes(b"init\0")
        for name in ("conf", "systemd", "run", "lib"):
            (folder / name).mkdir()
        self.replace = {
            'PROC = "/proc"': f'PROC = "{folder}/proc"',
            'PACKAGED_HOME = "/usr/share/elasticsearch"': f'PACKAGED_HOME = "{folder}/home"',
            'PACKAGED_CONF = "/etc/elasticsearch"': f'PACKAGED_CONF = "{folder}/conf"',
            '("deb", "/etc/default/elasticsearch")': f'("deb", "{folder}/default")',
            '("rpm", "/etc/sysconfig/elasticsearch")': f'("rpm", "{folder}/sysconfig")',
            '"/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"': (
                f'"{folder}/systemd", "{folder}/run", "{folder}/lib"'
            ),
        }
        self.write("default", "ES_STARTUP_SLEEP_TIME=5\n")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("ROOT", str(self.folder)))
        return path


@pytest.fixture
def host(open_folder):
    return Host(open_folder)


@pytest.fixture
def look(host, facts):
    """look() -> the section; nothing secret is in the whole answer."""

    def ask(**keywords):
        answer = facts("sources", replace=host.replace, **keywords)
        assert CANARY not in json.dumps(answer)
        assert KEY[4:] not in json.dumps(answer)
        return answer["sources"]

    return ask


def found(section):
    """(file name, line, name) of each line found."""
    sources = msgspec.convert(section["value"], records.Sources)
    return [(Path(source.path).name, source.line, source.name) for source in sources.found]


def test_a_packaged_host_with_nothing_set_names_what_was_read(host, look):
    host.write("conf/jvm.options", "-Xms1g\n-Dfile.encoding=UTF-8\n")
    host.write("lib/elasticsearch.service", "[Service]\nEnvironment=ES_HOME=/x\nEnvironmentFile=-ROOT/default\n")

    value = msgspec.convert(look()["value"], records.Sources)
    assert value.found == ()
    assert [Path(path).name for path in value.files] == ["jvm.options", "default", "elasticsearch.service"]
    assert value.modified == {path: Path(path).stat().st_mtime for path in value.files}


def test_every_kind_of_file_on_every_python(host, look, python):
    host.write("conf/jvm.options", f"-Xms1g\n#-Daws.accessKeyId={KEY}\n17-:-Daws.region=eu-west-1\n")
    host.write("conf/jvm.options.d/b.options", f"-Daws.accessKeyId={KEY}\n-Daws.secretAccessKey={CANARY}\n")
    host.write("conf/jvm.options.d/b.options.rpmsave", f"-Daws.sessionToken={CANARY}\n")
    host.write("default", f'# AWS_SESSION_TOKEN={CANARY}\nexport AWS_ACCESS_KEY_ID="{KEY}"\nAWS_SECRET_ACCESS_KEY=\n')
    host.write(
        "systemd/elasticsearch.service.d/keys.conf",
        f"""[Service]
; Environment=AWS_PROFILE={CANARY}
Environment="AWS_SECRET_ACCESS_KEY={CANARY} x" LANG=C \\
    AWS_ROLE_ARN=arn:aws:iam::1:role/{CANARY}
Environment="ES_JAVA_OPTS=-Xmx1g -Des.allow_insecure_settings=true -Daws.secretKey={CANARY}"
EnvironmentFile=-ROOT/more-*
EnvironmentFile=ROOT/absent
""",
    )
    host.write("more-1", f"AWS_CONTAINER_CREDENTIALS_FULL_URI=http://x/{CANARY}\nMY_SECRET={CANARY}\n")

    section = look(python=python)
    assert found(section) == [
        ("jvm.options", 3, "aws.region"),
        ("b.options", 1, "aws.accessKeyId"),
        ("b.options", 2, "aws.secretAccessKey"),
        ("default", 2, "AWS_ACCESS_KEY_ID"),
        ("keys.conf", 3, "AWS_SECRET_ACCESS_KEY"),
        ("keys.conf", 3, "AWS_ROLE_ARN"),
        ("keys.conf", 5, "es.allow_insecure_settings"),
        ("keys.conf", 5, "aws.secretKey"),
        ("more-1", 1, "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
    ]
    entries = msgspec.convert(section["value"], records.Sources).found
    assert {entry.name: entry.key_prefix for entry in entries if entry.key_prefix} == {
        "aws.accessKeyId": "AKIA",
        "AWS_ACCESS_KEY_ID": "AKIA",
    }
    assert {entry.name: entry.through for entry in entries if entry.through} == {
        "es.allow_insecure_settings": "ES_JAVA_OPTS",
        "aws.secretKey": "ES_JAVA_OPTS",
    }
    assert entries[4].kind == "unit" and entries[3].kind == "variables" and entries[0].kind == "jvm-options"


def test_a_unit_of_the_administrator_s_replaces_the_package_s(host, look):
    host.write("lib/elasticsearch.service", f"[Service]\nEnvironment=AWS_ACCESS_KEY_ID={KEY}\n")
    assert found(look()) == [("elasticsearch.service", 2, "AWS_ACCESS_KEY_ID")]

    host.write("systemd/elasticsearch.service", "[Unit]\nEnvironment=AWS_PROFILE=x\n[Service]\nUser=elasticsearch\n")
    assert found(look()) == []


def test_a_drop_in_can_take_back_what_the_unit_gives(host, look):
    host.write("lib/elasticsearch.service", f"[Service]\nEnvironment=AWS_ACCESS_KEY_ID={KEY} AWS_ROLE_ARN=a\n")
    host.write("default", f"AWS_SESSION_TOKEN={CANARY}\n")
    host.write("systemd/elasticsearch.service.d/1.conf", "[Service]\nUnsetEnvironment=AWS_SESSION_TOKEN AWS_ROLE_ARN\n")
    assert found(look()) == [("elasticsearch.service", 2, "AWS_ACCESS_KEY_ID")]

    host.write("systemd/elasticsearch.service.d/2.conf", "[Service]\nEnvironment=\n")
    assert found(look()) == []


def test_a_masked_drop_in_counts_no_more(host, look):
    host.write("lib/elasticsearch.service.d/keys.conf", f"[Service]\nEnvironment=AWS_ACCESS_KEY_ID={KEY}\n")
    assert found(look()) == [("keys.conf", 2, "AWS_ACCESS_KEY_ID")]

    (host.folder / "systemd/elasticsearch.service.d").mkdir()
    (host.folder / "systemd/elasticsearch.service.d/keys.conf").symlink_to("/dev/null")
    assert found(look()) == []


def test_an_environment_file_that_only_systemd_can_name_is_unknown(host, look):
    host.write("systemd/elasticsearch.service.d/1.conf", "[Service]\nEnvironmentFile=%E/elasticsearch/aws\n")
    assert "line 2 of" in look()["unknown"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user who may not read root's file")
@pytest.mark.parametrize("name", ["default", "conf/jvm.options", "systemd/elasticsearch.service.d/1.conf"])
def test_a_file_that_may_not_be_read_is_unknown_and_not_empty(host, look, name):
    host.write(name, f"AWS_ACCESS_KEY_ID={KEY}\n").chmod(0o600)
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c")
    section = look(shell=become, python="/usr/bin/python3", cwd="/")
    assert "may not be read by nobody" in section["unknown"] and "--sudo" in section["remedy"]


def test_without_elasticsearch_it_is_unknown(host, look):
    (host.folder / "home/bin").rmdir()
    assert "no Elasticsearch was found" in look()["unknown"]


def test_a_source_carries_names_only():
    """No field of the record has room for a value."""
    assert set(Source.__struct_fields__) == {"kind", "path", "line", "name", "through", "key_prefix"}
