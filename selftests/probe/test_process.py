"""The server JVM and its installation, read off real processes that look like one in /proc."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time

import msgspec
import pytest

from preflight import facts as records
from preflight.probe.sections import process as section

CANARY = "canary-VALUE-that-must-stay-on-the-node"
SERVER = "org.elasticsearch.bootstrap.Elasticsearch"
LISTEN = (
    "import socket,time;"
    "s=[socket.create_server((a,0),family=f) for a,f in (('127.0.0.1',socket.AF_INET),('::1',socket.AF_INET6))];"
    "print(*(x.getsockname()[1] for x in s),flush=True);time.sleep(60)"
)
SLEEP = "print(0,flush=True);import time;time.sleep(60)"


class Jvm:
    """A process named java with those arguments, its folder linked into a /proc of ours."""

    def __init__(self, proc, arguments, environment, code=LISTEN, java="java"):
        self.child = subprocess.Popen(
            [java, "-c", code, *arguments],
            executable=sys.executable,
            env=environment,
            stdout=subprocess.PIPE,
        )
        self.ports = self.child.stdout.readline().split()
        self.link = proc / str(self.child.pid)
        self.link.symlink_to(f"/proc/{self.child.pid}")

    def end(self):
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self.child.stdout.close()
        self.link.unlink(missing_ok=True)


@pytest.fixture
def node(open_folder):
    """A /proc of ours with nothing in it but what the test starts, and an empty packaged layout."""
    proc = open_folder / "proc"
    (proc / "1").mkdir(parents=True)
    (proc / "1/cmdline").write_bytes(b"init\0")
    (proc / "stat").symlink_to("/proc/stat")
    running: list[Jvm] = []

    class Node:
        folder = open_folder
        replace = {  # noqa: RUF012
            'PROC = "/proc"': f'PROC = "{proc}"',
            'PACKAGED_HOME = "/usr/share/elasticsearch"': f'PACKAGED_HOME = "{open_folder}/packaged"',
            'PACKAGED_CONF = "/etc/elasticsearch"': f'PACKAGED_CONF = "{open_folder}/etc"',
        }

        def jvm(self, *arguments, environment=None, **keywords):
            running.append(Jvm(proc, arguments, environment or {}, **keywords))
            return running[-1]

    yield Node()
    for jvm in running:
        jvm.end()


def home(folder, version="8.19.21"):
    (folder / "lib").mkdir(parents=True)
    (folder / "bin").mkdir()
    for jar in (f"elasticsearch-{version}.jar", f"elasticsearch-core-{version}.jar", "elasticsearch-cli-8.jar"):
        (folder / "lib" / jar).touch()
    return folder


def test_the_server_of_8_in_its_module_with_names_and_no_values(facts, node, python):
    jvm = node.jvm(
        "-Des.distribution.type=deb",
        f"-Daws.secretAccessKey={CANARY}",
        "-Daws.region=eu-west-1",
        "-Dhttps.proxyHost=proxy.example",
        "-Dcom.amazonaws.sdk.ec2MetadataServiceEndpointOverride=x",
        "-Des.allow_insecure_settings=true",
        "-Djava.security.manager=allow",
        "--module-path",
        "/opt/es/lib",
        "-m",
        f"org.elasticsearch.server/{SERVER}",
        "-Daws.profile=after-the-class",
        environment={
            "AWS_SECRET_ACCESS_KEY": CANARY,
            "AWS_REGION": "ap-northeast-2",
            "ES_PATH_CONF": "/opt/conf",
            "https_proxy": f"http://u:{CANARY}@proxy",
            "HOME": "/nowhere",
        },
    )
    answer = facts("process", "install", python=python, replace=node.replace)
    found = msgspec.convert(answer["process"]["value"], records.Process)
    assert found.pid == jvm.child.pid and abs(found.started - time.time()) < 60
    assert found.environment == ("AWS_REGION", "AWS_SECRET_ACCESS_KEY", "ES_PATH_CONF", "https_proxy")
    assert found.properties == (
        "aws.region",
        "aws.secretAccessKey",
        "com.amazonaws.sdk.ec2MetadataServiceEndpointOverride",
        "es.allow_insecure_settings",
        "https.proxyHost",
    )
    assert (found.region_environment, found.region_property) == ("ap-northeast-2", "eu-west-1")
    four, six = (port.decode() for port in jvm.ports)
    assert found.listeners == (f"127.0.0.1:{four}", f"[::1]:{six}")
    assert found.own_network_namespace is False
    assert CANARY not in json.dumps(answer)
    installed = msgspec.convert(answer["install"]["value"], records.Install)
    assert (installed.home, installed.path_conf, installed.layout) == ("/opt/es", "/opt/conf", "deb")


def test_a_secret_in_place_of_a_region_is_not_shown(facts, node):
    node.jvm(SERVER, environment={"AWS_REGION": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"})
    assert facts("process", replace=node.replace)["process"]["value"]["region_environment"] == "(not a region's name)"


def test_the_server_of_7_tells_where_its_files_are(facts, node):
    folder = home(node.folder / "es", "7.17.29")
    node.jvm(f"-Des.path.home={folder}", f"-Des.path.conf={folder}/config", "-cp", f"{folder}/lib/*", SERVER, "-d")
    found = facts("install", replace=node.replace)["install"]["value"]
    assert found == {
        "layout": "tar",
        "home": str(folder),
        "path_conf": f"{folder}/config",
        "version": "7.17.29",
        "service_user": section.user_name(os.getuid()),
        "java_home": None,
    }


@pytest.mark.parametrize(
    ("java", "found"), [("/usr/lib/jvm/17/bin/java", "/usr/lib/jvm/17"), ("HOME/jdk/bin/java", None)]
)
def test_a_jvm_of_the_hosts_is_told_from_elasticsearchs_own(facts, node, java, found):
    folder = home(node.folder / "es")
    options = (f"-Des.path.home={folder}", f"-Des.path.conf={folder}/config", SERVER)
    node.jvm(*options, java=java.replace("HOME", str(folder)), code=SLEEP)
    assert facts("install", replace=node.replace)["install"]["value"]["java_home"] == found


def test_from_8_on_the_launcher_tells_where_its_files_are(facts, node):
    folder = home(node.folder / "es", "9.5.2")
    child = (
        "import subprocess,sys,time;"
        f"p=subprocess.Popen(['java','-c','import time;time.sleep(60)','{SERVER}'],executable={sys.executable!r});"
        "print(p.pid,flush=True);time.sleep(60)"
    )
    launcher = node.jvm(
        f"-Des.path.home={folder}",
        "-Des.path.conf=/somewhere/conf",
        "org.elasticsearch.launcher.CliToolLauncher",
        code=child,
    )
    server = int(launcher.ports[0])
    (node.folder / "proc" / str(server)).symlink_to(f"/proc/{server}")
    try:
        answer = facts("install", "process", replace=node.replace)
        assert answer["process"]["value"]["pid"] == server
        assert answer["install"]["value"]["path_conf"] == "/somewhere/conf"
        assert answer["install"]["value"]["version"] == "9.5.2"
    finally:
        os.kill(server, signal.SIGKILL)


def asked(session, *sections, **more):
    return session.ask({"ask": "facts", "sections": list(sections), "deadline": 20, **more}, 20)


def test_of_two_servers_none_is_the_node(start, node):
    one, two = (node.jvm(SERVER) for _ in range(2))
    answer = asked(start(replace=node.replace), "process", "install", "keystore", "config", "imds")
    assert set(answer) == {"not_told"}
    said, user = answer["not_told"]["unknown"], section.user_name(os.getuid())
    assert said.startswith("2 Elasticsearch processes run on this host: ")
    for jvm in (one, two):
        ports = " and ".join(str(port) for port in sorted(map(int, jvm.ports)))
        assert f"{jvm.child.pid} of {user} listens on {ports}" in said
    assert "preflight_es_port" in answer["not_told"]["remedy"]


def test_a_port_says_which_of_two_servers_is_the_node(start, node):
    folders = [home(node.folder / name) for name in ("one", "two")]
    jvms = [node.jvm(f"-Des.path.home={folder}", f"-Des.path.conf={folder}/config", SERVER) for folder in folders]
    for folder, jvm in zip(folders, jvms, strict=True):
        for port in map(int, jvm.ports):
            answer = asked(start(replace=node.replace, es_port=port), "process", "install")["sections"]
            assert (answer["process"]["value"]["pid"], answer["process"]["value"]["others"]) == (jvm.child.pid, 1)
            assert answer["install"]["value"]["path_conf"] == f"{folder}/config"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user who may not see another's sockets")
def test_two_servers_of_one_user_whose_sockets_may_not_be_seen_are_not_told_apart(start, node):
    """Whose the open ports are, only their owner and root can tell."""
    one, _ = (node.jvm(SERVER) for _ in range(2))
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c")
    port = int(one.ports[0])
    session = start(replace=node.replace, es_port=port, shell=become, python="/usr/bin/python3", cwd="/")
    answer = asked(session, "process")["not_told"]
    assert answer["unknown"].startswith(f"which Elasticsearch process listens on port {port} may not be seen: ")
    assert "--sudo" in answer["remedy"]


def test_a_server_that_does_not_listen_on_the_port_is_not_the_node(start, node):
    jvm = node.jvm(SERVER)
    answer = asked(start(replace=node.replace, es_port=1), "process")
    assert answer["not_told"]["unknown"].startswith(
        f"no Elasticsearch process on this host listens on port 1: {jvm.child.pid} of "
    )


def test_a_server_that_was_seen_before_is_known_by_its_number(start, node):
    """Whatever it listens on by now, and whoever else has come."""
    first = node.jvm(SERVER, code=SLEEP)
    session = start(replace=node.replace)
    assert asked(session, "process")["sections"]["process"]["value"]["others"] == 0
    node.jvm(SERVER, code=SLEEP)
    again = asked(session, "process", pid=first.child.pid)["sections"]["process"]["value"]
    assert (again["pid"], again["others"]) == (first.child.pid, 1)
    first.end()
    assert asked(session, "process", pid=first.child.pid)["sections"]["process"] == {"value": None}


def test_of_a_named_server_that_does_not_run_nothing_else_is_known(start, node):
    """The packaged installation may be another node's."""
    home(node.folder / "packaged")
    answer = asked(start(replace=node.replace, es_port=9201), "process", "install", "keystore")["sections"]
    assert answer["process"] == {"value": None}
    assert "of port 9201 is installed is not known" in answer["install"]["unknown"]
    assert "unknown" in answer["keystore"]


def test_what_only_mentions_the_class_is_no_server(facts, node):
    node.jvm("-Dnote=" + SERVER, code=SLEEP)
    other = subprocess.Popen(["grep", SERVER, "-"], stdin=subprocess.PIPE)
    (node.folder / "proc" / str(other.pid)).symlink_to(f"/proc/{other.pid}")
    try:
        assert facts("process", replace=node.replace)["process"] == {"value": None}
    finally:
        other.communicate()


def test_a_proc_that_hides_processes_is_unknown_and_not_none(facts, node):
    for entry in (node.folder / "proc/1").iterdir():
        entry.unlink()
    (node.folder / "proc/1").rmdir()
    answer = facts("process", replace=node.replace)["process"]
    assert "hidepid" in answer["unknown"] and "--sudo" in answer["remedy"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become a user who may not read another's environment")
def test_an_environment_that_may_not_be_read_is_unknown(facts, node):
    node.jvm(f"-Des.path.home={node.folder}", "-Des.path.conf=/conf", SERVER)
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c")
    answer = facts("process", "install", replace=node.replace, shell=become, python="/usr/bin/python3", cwd="/")
    assert "may not be read by nobody" in answer["process"]["unknown"] and "--sudo" in answer["process"]["remedy"]
    assert answer["install"]["value"]["path_conf"] == "/conf"


def test_without_a_process_the_packaged_layout_counts(facts, node):
    home(node.folder / "packaged")
    (node.folder / "default").write_text("#ES_PATH_CONF=/no\nES_PATH_CONF=/etc/other\nES_STARTUP_SLEEP_TIME=5\n")
    deb = {'("deb", "/etc/default/elasticsearch")': f'("deb", "{node.folder}/default")'}
    found = facts("install", replace={**node.replace, **deb})["install"]["value"]
    assert (found["layout"], found["path_conf"], found["version"]) == ("deb", "/etc/other", "8.19.21")


def test_nothing_installed_is_none_and_its_files_are_unknown(facts, node):
    answer = facts("install", "process", "keystore", "config", replace=node.replace)
    assert answer["install"] == {"value": None} and answer["process"] == {"value": None}
    assert "no Elasticsearch was found" in answer["keystore"]["unknown"]
    assert "no Elasticsearch was found" in answer["config"]["unknown"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F:23F0", "127.0.0.1:9200"),
        ("00000000:2454", "0.0.0.0:9300"),
        ("00000000000000000000000000000000:23F0", "[::]:9200"),
        ("0000000000000000FFFF00000100007F:23F0", "127.0.0.1:9200"),
    ],
)
@pytest.mark.skipif(sys.byteorder != "little", reason="the samples are a little-endian kernel's")
def test_the_kernel_s_socket_addresses(text, address):
    assert section.socket_address(text) == address


def test_a_listener_of_another_process_is_not_counted(facts, node):
    with socket.create_server(("127.0.0.1", 0)) as other:
        node.jvm(SERVER)
        found = facts("process", replace=node.replace)["process"]["value"]["listeners"]
        assert len(found) == 2 and f"127.0.0.1:{other.getsockname()[1]}" not in found
