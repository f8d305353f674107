"""The survey over real sshds, tunnels and probes on loopback, and an Elasticsearch that answers what real ones did."""

import base64
import json
import os
import shutil
import signal
import socket
import threading
import time
from http.server import ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest
from aws_servers import Answering, certificate
from loopback_sshd import Sshd, free_port

from preflight import asked as asking
from preflight import survey
from preflight.connection.connections import Connections
from preflight.facts import NO_CLUSTER, Process, Unknown, Verification, View, dump
from preflight.probe import program, session
from preflight.questions import Settings

CAPTURES = Path(__file__).parent / "captures"
VERSION = "8.19.3"
PASSWORD = "canary-PASSWORD-of-the-login"
EVERYTHING = ("system", "process", "config", "routing", "view", "cluster", "verify", "dials", "paths", "buckets")
SERVER = "org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch"


def body(name):
    return json.loads((CAPTURES / f"{name}.json").read_text())["body"]


class Cluster:
    """What its members answer, as a real cluster of three did; es-a is the elected master.

    master: node to (cluster_uuid, names of whom it sees elected, one a request, the last for good; None for nobody)
    silent: (node, part of a path) that is never answered; instead: part of a path to (status, body) given instead
    seen: (node, method, path) of every request with the right login; refused: how many had another
    """

    def __init__(self):
        self.ids = {node["name"]: node["id"] for node in body(f"s3/{VERSION}/b0_nodes")}
        self.members = {}
        self.silent, self.instead = [], {}
        self.master = {}
        self.seen, self.refused = [], 0
        self.over = threading.Event()

    def member(self, name, transport, http):
        (as_captured,) = body(f"api/{VERSION}/nodes_info_all")["nodes"].values()
        self.members[self.ids[name]] = {
            **{key: as_captured[key] for key in ("version", "roles")},
            "name": name,
            "settings": {"s3.client.default.endpoint": "127.0.0.1:1", "s3.client.default.protocol": "http"},
            "transport": {"publish_address": f"127.0.0.1:{transport}"},
            "http": {"publish_address": f"127.0.0.1:{http}"},
        }

    def answer(self, name, method, path):
        for part, answer in self.instead.items():
            if part in path:
                return answer
        if path.startswith("/_nodes/_local/"):
            return 200, {"nodes": {self.ids[name]: {"name": name}}}
        if path.startswith("/_nodes/"):
            return 200, {"nodes": self.members}
        if path.startswith("/_cluster/state/"):
            uuid, masters = self.master.get(name, ("UUID", ["es-a"]))
            master = masters.pop(0) if masters[1:] else masters[0]
            return 200, {"cluster_name": "docs", "cluster_uuid": uuid, "master_node": self.ids.get(master)}
        if path == "/_snapshot":
            return 200, {"s3_backup": {"type": "s3", "settings": {"bucket": "es-snapshots", "base_path": "prod"}}}
        if path.startswith("/_health_report"):
            symptom = {"status": "green", "symptom": "All repositories are healthy."}
            return 200, {"indicators": {"repository_integrity": symptom}}
        if path.startswith(("/_slm/policy", "/_ilm/policy")):
            return 405, {"error": "Incorrect HTTP method for uri [/_slm/policy] and method [GET]", "status": 405}
        if path.startswith("/_snapshot/s3_backup/*"):
            return 200, body(f"s3/{VERSION}/a6_get_snapshots")
        assert (method, path) == ("POST", "/_snapshot/s3_backup/_verify")
        return 200, body(f"s3/{VERSION}/a2_verify_ok")


class Elasticsearch(ThreadingHTTPServer):
    """One member's HTTP. wire: the first octets of every connection, as they came before TLS ended."""

    daemon_threads = True

    def __init__(self, name, cluster, tls):
        self.name, self.cluster, self.tls, self.wire = name, cluster, tls, []
        super().__init__(("127.0.0.1", 0), Rest)
        self.port = self.server_address[1]
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def finish_request(self, request, client_address):
        if (self.name, "TLS") in self.cluster.silent:
            self.cluster.over.wait(20)
            return
        self.wire.append(request.recv(4096, socket.MSG_PEEK))
        if self.tls:
            with self.tls.wrap_socket(request, server_side=True) as request:
                Rest(request, client_address, self)
        else:
            Rest(request, client_address, self)

    def handle_error(self, request, client_address):
        """A client that goes away in the middle is what some tests are about."""

    def close(self):
        self.shutdown()
        self.server_close()


class Rest(Answering):
    default_request_version = "HTTP/1.1"  # what is no HTTP gets a status line too, as from netty

    def do_GET(self):  # noqa: N802  as the base class wants it
        cluster, name = self.server.cluster, self.server.name
        if self.headers["Authorization"] != "Basic " + base64.b64encode(f"probe:{PASSWORD}".encode()).decode():
            cluster.refused += 1
            reason = "unable to authenticate user [probe] for REST request"
            return self.json(401, {"error": {"type": "security_exception", "reason": reason}, "status": 401})
        cluster.seen.append((name, self.command, self.path))
        if any(name == silent and part in self.path for silent, part in cluster.silent):
            cluster.over.wait(20)
            return None
        return self.json(*cluster.answer(name, self.command, self.path))

    do_POST = do_GET  # noqa: N815

    def json(self, status, answer):
        text = answer if isinstance(answer, str) else json.dumps(answer)
        kind = "text/html" if isinstance(answer, str) else "application/json"
        self.say(status, text, X_elastic_product="Elasticsearch", Content_Type=kind)


class Host:
    """One node: an sshd, and a /proc in which a server JVM listens where its Elasticsearch does."""

    def __init__(self, folder, name, options, elasticsearch):
        self.name, self.folder, self.elasticsearch = name, folder, elasticsearch
        self.proc = folder / "proc"
        (self.proc / "1").mkdir(parents=True)
        (self.proc / "1/cmdline").write_bytes(b"init\0")
        (self.proc / "stat").symlink_to("/proc/stat")
        self.transport = free_port()
        self.configure(f"http.port: {elasticsearch.port}\n")
        self.start_jvm()
        self.sshd = Sshd(folder / "sshd", (f"SetEnv NODE_PROC={self.proc} SHLVL=3", *options), ("ed25519",))

    def configure(self, text, conf="conf"):
        (self.folder / conf).mkdir(exist_ok=True)
        (self.folder / conf / "elasticsearch.yml").write_text(text)

    def start_jvm(self, started=100):
        self.jvm(100, "conf", (self.elasticsearch.port, self.transport), started)

    def jvm(self, pid, conf, ports, started=100):
        folder = self.proc / str(pid)
        for part in ("fd", "ns", "net"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        arguments = ["java", f"-Des.path.home={self.folder}", f"-Des.path.conf={self.folder}/{conf}", "-m", SERVER]
        (folder / "cmdline").write_bytes("\0".join([*arguments, ""]).encode())
        (folder / "status").write_text("Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\nPPid:\t1\n")
        (folder / "environ").write_bytes(b"HOME=/\0")
        (folder / "stat").write_text(f"{pid} (java) " + " ".join(str(started) for _ in range(50)))
        lines = ["header"]
        for number, port in enumerate(ports):
            lines.append(f"{number}: 0100007F:{port:04X} 00000000:0000 0A 0:0 0:0 0 0 0 {70 * pid + number}")
            link = folder / f"fd/{number}"
            if not link.is_symlink():
                link.symlink_to(f"socket:[{70 * pid + number}]")
        (folder / "net/tcp").write_text("\n".join(lines) + "\n")
        if not (folder / "root").is_symlink():
            (folder / "root").symlink_to("/")
            (folder / "ns/net").symlink_to(Path("/proc/self/ns/net").readlink())

    def end_jvm(self):
        shutil.rmtree(self.proc / "100")


class Place:
    """Hosts, their cluster, and a survey of them."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.monkeypatch = folder, monkeypatch
        self.cluster = Cluster()
        self.hosts, self.lines = [], []
        (folder / "tls").mkdir()
        self.tls, self.ca = certificate(folder / "tls", "localhost")
        (folder / "password").write_text(PASSWORD + "\n")
        self.environ = {"ES_PREFLIGHT_USER": "probe", "ES_PREFLIGHT_PASSWORD_FILE": str(folder / "password")}
        self.connections = None
        self.probe()

    def probe(self, **more):
        """The program as it is sent, looking at a /proc of ours and at no metadata service. more: text to other."""
        text = program()
        replace = {
            'PROC = "/proc"': 'PROC = os.environ["NODE_PROC"]',
            'PACKAGED_HOME = "/usr/share/elasticsearch"': 'PACKAGED_HOME = "/nonexistent"',
            'METADATA = ("169.254.169.254", 80)': 'METADATA = ("127.0.0.1", 1)',
            **more,
        }
        for old, new in replace.items():
            assert text.count(old.encode()) == 1, old
            text = text.replace(old.encode(), new.encode())
        self.monkeypatch.setattr(session, "program", lambda: text)

    def add(self, name="es-a", *options, tls=True):
        elasticsearch = Elasticsearch(name, self.cluster, self.tls if tls else None)
        (self.folder / name).mkdir()
        host = Host(self.folder / name, name, options, elasticsearch)
        self.cluster.member(name, host.transport, elasticsearch.port)
        self.hosts.append(host)
        return host

    def nodes(self):
        return [host.sshd.node(name=host.name) for host in self.hosts]

    def run(self, *more, needs=EVERYTHING, cancelled=None, nodes=None, connections=Connections, **settings):
        given = {"connect_timeout": 5.0, "command_timeout": 10.0, "es_ca": self.ca, "environ": self.environ, **settings}
        self.connections = connections(given["connect_timeout"], False)
        settings = Settings(connections=self.connections, **given)
        nodes = [*(self.nodes() if nodes is None else nodes), *more]
        found = survey.run(nodes, settings, needs, self.lines.append, cancelled)
        assert PASSWORD not in dump(found).decode() + "".join(self.lines)
        return found

    def close(self):
        self.cluster.over.set()
        if self.connections is not None:
            self.connections.close()
        for host in self.hosts:
            host.sshd.stop()
            host.elasticsearch.close()


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = Place(tmp_path, monkeypatch)
    yield made
    made.close()


def in_the_clear(host):
    """Connections on which something else than TLS came."""
    return [octets for octets in host.elasticsearch.wire if octets[:1] != b"\x16"]


def verify_calls(place):
    return [name for name, method, path in place.cluster.seen if method == "POST"]


def test_three_nodes_are_one_cluster_asked_through_its_elected_master(place):
    for name in ("es-b", "es-a", "es-c"):
        place.add(name)
    found = place.run()
    assert [(n.name, n.view.node_name, n.view.carrier) for n in found.nodes] == [
        (name, name, "direct-tcpip") for name in ("es-b", "es-a", "es-c")
    ]
    (cluster,) = found.clusters
    assert (cluster.asked, [m.name for m in cluster.members]) == ("es-a", ["es-a", "es-b", "es-c"])
    (verification,) = cluster.verifications
    assert set(verification.verified) == set(place.cluster.ids.values())
    assert verify_calls(place) == ["es-a"]
    assert [path.host for node in found.nodes for path in node.buckets] == ["127.0.0.1"] * 3
    assert found.options.elasticsearch_login == "user"


@pytest.mark.parametrize("uuid", ["UUID", NO_CLUSTER])
def test_a_node_without_a_master_says_so_and_no_cluster_is_made_of_it(place, uuid):
    place.cluster.master["es-b"] = (uuid, [None])
    for name in ("es-b", "es-a", "es-c"):
        place.add(name)
    found = place.run()
    view = found.node("es-b").view
    assert (view.master_id, view.cluster_uuid) == (None, uuid)
    assert [cluster.asked for cluster in found.clusters] == ["es-a"]
    assert [path.repository for path in found.node("es-b").buckets] == ["s3_backup"]
    assert [name for name, method, _ in place.cluster.seen if method == "POST"] == ["es-a"]
    # With master_node alone Elasticsearch answers 503 while it waits for one.
    assert all("blocks" in path for _, _, path in place.cluster.seen if "/_cluster/state/master_node" in path)


def test_an_election_while_the_nodes_are_asked_is_settled_by_asking_again(place):
    place.cluster.master["es-b"] = ("UUID", ["es-c", "es-a"])
    for name in ("es-a", "es-b", "es-c"):
        place.add(name)
    found = place.run()
    assert {node.view.master_id for node in found.nodes} == {place.cluster.ids["es-a"]}


def test_a_wrong_password_is_one_attempt_a_node_and_names_what_to_change(place):
    host = place.add()
    (place.folder / "password").write_text("wrong")
    found = place.run().nodes[0]
    assert found.view == Unknown(
        reason="Elasticsearch refused the login (401)",
        remedy="check ES_PREFLIGHT_USER and its password file, or ES_PREFLIGHT_API_KEY",
    )
    assert place.cluster.refused == 1
    assert not in_the_clear(host)
    assert isinstance(found.process, Process) and found.dials == ()


def test_a_certificate_that_is_not_trusted_never_gets_the_login_in_the_clear(place):
    host = place.add()
    (place.folder / "other").mkdir()
    _, other = certificate(place.folder / "other", "127.0.0.1")
    found = place.run(es_ca=other).nodes[0]
    assert found.view.reason.startswith("TLS to Elasticsearch failed: ")
    assert "--es-ca" in found.view.remedy
    assert host.elasticsearch.wire and not in_the_clear(host)


def test_http_without_tls_is_asked_where_the_configuration_does_not_say(place):
    place.add(tls=False)
    found = place.run().nodes[0]
    assert found.view.url.startswith("http://127.0.0.1:")


def test_without_a_login_everything_that_needs_none_is_there(place):
    place.add("es-a")
    place.add("es-b")
    place.environ = {}
    found = place.run()
    assert found.clusters == () and found.options.elasticsearch_login is None
    assert not place.cluster.refused
    for node in found.nodes:
        assert node.view.reason == "no login for Elasticsearch was given"
        assert isinstance(node.process, Process)
        assert [dial.assumed for dial in node.dials] == [True, True]


def test_an_api_key_over_two_lines_is_named_and_never_sent_or_shown(place):
    place.add()
    place.environ = {"ES_PREFLIGHT_API_KEY": f"aWQ6a2V5\n{PASSWORD}"}
    for settings in ({}, {"es_url": f"https://localhost:{place.hosts[0].elasticsearch.port}"}):
        found = place.run(**settings).nodes[0]
        assert found.view.reason == "ES_PREFLIGHT_API_KEY is no API key: it must be one line of plain characters"
        assert isinstance(found.process, Process)


def test_es_url_asks_one_address_and_each_node_is_the_member_whose_transport_it_listens_on(place):
    for name in ("es-a", "es-b"):
        place.add(name)
    nodes = place.nodes()[::-1]
    found = place.run(nodes=nodes, es_url=f"https://localhost:{place.hosts[0].elasticsearch.port}")
    assert [(n.name, n.view.node_name, n.view.carrier) for n in found.nodes] == [
        ("es-b", "es-b", "direct"),
        ("es-a", "es-a", "direct"),
    ]
    assert {name for name, _, _ in place.cluster.seen} == {"es-a"}
    assert isinstance(found.clusters[0].verifications[0], Verification)


def test_an_es_url_where_nothing_listens_is_said_on_every_node(place):
    place.add()
    found = place.run(es_url=f"https://127.0.0.1:{free_port()}")
    assert found.clusters == ()
    assert found.nodes[0].view.reason.startswith("no connection to Elasticsearch: ")


def test_where_elasticsearch_is_down_the_others_are_still_asked(place):
    place.add("es-a")
    place.add("es-b").end_jvm()
    up, down = place.run().nodes
    assert isinstance(up.view, View) and isinstance(up.dials, tuple)
    assert down.process is None
    assert down.view.reason == "no Elasticsearch process runs on es-b"


@pytest.fixture
def two_on_one_host(place):
    """es-a's host runs es-b's Elasticsearch too; es-b is no host of its own."""
    host = place.add("es-a")
    other = Elasticsearch("es-b", place.cluster, place.tls)
    transport = free_port()
    place.cluster.member("es-b", transport, other.port)
    host.configure(f"http.port: {other.port}\n", "other")
    host.jvm(200, "other", (other.port, transport))
    slice_ = "/system.slice/system-elasticsearch.slice"
    (host.proc / "200/cgroup").write_text(f"0::{slice_}/elasticsearch@b.service\n")
    (host.proc / "100/cgroup").write_text("0::/user.slice/user-1000.slice/session-3.scope\n")
    yield host, other
    other.close()


def test_two_processes_of_a_host_are_each_judged_as_the_node_their_port_names(place, two_on_one_host):
    host, other = two_on_one_host
    ports = {"es-a": host.elasticsearch.port, "es-b": other.port}
    given = [msgspec.structs.replace(host.sshd.node(name=name), es_port=port) for name, port in ports.items()]
    found = place.run(nodes=given)
    assert [node.view.node_name for node in found.nodes] == ["es-a", "es-b"]
    assert [node.process.pid for node in found.nodes] == [100, 200]
    assert [node.process.others for node in found.nodes] == [1, 1]
    assert [node.process.unit for node in found.nodes] == [None, "elasticsearch@b.service"]


@pytest.mark.parametrize("es_url", [None, "the cluster's"])
def test_a_host_with_two_processes_is_not_judged_by_one_of_them(place, two_on_one_host, es_url):
    host, other = two_on_one_host
    url = es_url and f"https://localhost:{other.port}"
    alone = place.add("es-c")
    two, one = place.run(nodes=[host.sshd.node(name="two"), alone.sshd.node(name="es-c")], es_url=url).nodes
    assert two.login.user and "2 Elasticsearch processes run on this host: 100 of root" in two.system.reason
    assert "preflight_es_port" in two.system.remedy
    for section in ("process", "install", "config", "keystore", "routing", "view", "dials", "paths", "buckets"):
        assert getattr(two, section).blocked, section
    assert not [name for name, _, _ in place.cluster.seen if name == "es-a"]
    assert isinstance(one.view, View)


def test_a_dead_node_costs_its_own_deadline_once_and_everything_of_it_is_blocked(place):
    place.add("es-a")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        dead = place.hosts[0].sshd.node(name="dead", port=silent.getsockname()[1], connect_timeout=1.0)
        began = time.monotonic()
        found = place.run(dead)
        took = time.monotonic() - began
    assert took < 3
    assert isinstance(found.nodes[0].view, View)
    dead = found.nodes[1]
    assert "sshd does not answer within 1 s" in dead.login.reason and not dead.login.blocked
    for section in ("system", "process", "config", "routing", "view", "dials", "paths", "buckets"):
        assert getattr(dead, section).blocked, section


def test_evidence_is_gathered_beside_and_what_a_cluster_lacks_is_unknown(place):
    """As the lab's own Elasticsearch answers, which has no lifecycle modules; nothing of it is a failure."""
    place.add()
    (cluster,) = place.run().clusters
    assert [(s.snapshot, s.state) for s in cluster.newest] == [("snap1", "SUCCESS")]
    assert [(i.name, i.status) for i in cluster.health] == [("repository_integrity", "green")]
    assert cluster.dependents.mounted == ()
    for policies in (cluster.dependents.slm, cluster.dependents.ilm):
        assert isinstance(policies, Unknown) and "405" in policies.reason


def test_no_snapshot_is_looked_at_where_verify_fails(place):
    place.add()
    place.cluster.instead = {"_verify": (500, body(f"s3/{VERSION}/c2_verify_stale_master"))}
    (cluster,) = place.run().clusters
    assert cluster.newest == ()
    assert not [path for _, _, path in place.cluster.seen if path.startswith("/_snapshot/s3_backup/*")]


def test_evidence_that_is_not_answered_costs_nobody_the_verification(place):
    place.add()
    place.cluster.silent = [("es-a", "/_slm/")]
    (cluster,) = place.run(command_timeout=2.0).clusters
    assert isinstance(cluster.verifications[0], Verification)
    assert isinstance(cluster.dependents.slm, Unknown)


def test_read_only_never_verifies(place):
    place.add()
    (cluster,) = place.run(read_only=True).clusters
    assert "--read-only" in cluster.verifications.reason
    assert not verify_calls(place)


def test_without_a_check_that_needs_it_nothing_is_verified_or_dialled(place):
    place.add()
    found = place.run(needs=("view", "cluster"))
    assert found.clusters[0].verifications.reason.startswith("not gathered")
    assert found.nodes[0].dials.reason.startswith("not gathered")
    assert not verify_calls(place)


def test_a_bug_in_one_nodes_job_costs_that_node_only_and_shows_no_value(place, monkeypatch):
    place.add("es-a")
    place.add("es-b")
    ask = asking.Asked.first_question

    def first_question(asked):
        if asked.node.name == "es-b":
            raise KeyError(PASSWORD)
        ask(asked)

    monkeypatch.setattr(asking.Asked, "first_question", first_question)
    good, bad = place.run().nodes
    assert isinstance(good.view, View)
    assert bad.login.reason.startswith("our own bug in the survey: KeyError in test_survey.py:")
    assert bad.view.blocked


def test_an_answer_that_nobody_foresaw_costs_the_cluster_and_not_the_run(place):
    place.add()
    for part in ("/_nodes/settings", "/_nodes/_local"):
        place.cluster.instead = {part: (200, {"nodes": {"x": {}}})}
        found = place.run()
        assert found.clusters == ()
        assert any("our own bug" in line for line in place.lines)


def test_a_gateways_error_page_says_nothing_about_the_repository(place):
    place.add()
    place.cluster.instead = {"_verify": (500, "<html>Internal Server Error</html>")}
    (verification,) = place.run().clusters[0].verifications
    assert verification.reason == "_verify of s3_backup was answered with HTTP 500 and no JSON of Elasticsearch's"


def test_a_silent_elasticsearch_costs_its_deadline_and_nothing_else_of_its_node(place):
    place.add("es-a")
    place.add("es-b", "AllowTcpForwarding no")
    place.add("es-c")
    place.cluster.silent = [("es-a", "TLS"), ("es-b", "TLS")]
    began = time.monotonic()
    *silent, fine = place.run(command_timeout=1.5, connect_timeout=1.0).nodes
    assert time.monotonic() - began < 5
    for node in silent:
        assert node.view.reason == "Elasticsearch accepted no request in time"
        assert isinstance(node.process, Process) and node.dials == ()
    assert isinstance(fine.view, View)


def test_an_answer_of_elasticsearch_that_comes_after_the_first_questions_end_is_not_waited_for(place):
    place.add("es-a")
    place.cluster.silent = [("es-a", "/_cluster/state")]
    # Each of its requests may take that long; the node as a whole may not.
    place.probe(
        **{'if ask == "facts":': 'if ask == "facts":\n            time.sleep(1.2 * ("config" in message["sections"]))'}
    )
    began = time.monotonic()
    found = place.run(command_timeout=2.0, connect_timeout=0.5).nodes[0]
    assert time.monotonic() - began < 7
    assert found.view.reason.startswith("Elasticsearch on es-a gave no answer within 3 s")
    assert isinstance(found.process, Process)


def cancelled_when(happens):
    """An event that is set once that is so."""
    cancelled = threading.Event()

    def wait():
        ends = time.monotonic() + 10
        while not happens() and time.monotonic() < ends:
            time.sleep(0.01)
        cancelled.set()

    threading.Thread(target=wait, daemon=True).start()
    return cancelled


def test_a_cancelled_survey_ends_at_once_says_why_and_asks_nothing_more(place):
    place.add("es-a")
    place.add("es-b")
    place.cluster.silent = [("es-b", "/_cluster/state")]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        pending = place.hosts[0].sshd.node(name="pending", port=silent.getsockname()[1])
        asked = {host.name for host in place.hosts}
        cancelled = cancelled_when(
            lambda: {name for name, _, path in place.cluster.seen if "state" in path} >= {*asked}
        )
        began = time.monotonic()
        found = place.run(pending, cancelled=cancelled)
        assert time.monotonic() - began < 4
    assert not [path for _, _, path in place.cluster.seen if "settings" in path or "_snapshot" in path]
    first, second, pending = found.nodes
    assert pending.login.reason == "the run was interrupted before pending had answered"
    assert second.view.reason == "the run was interrupted before Elasticsearch on es-b had answered"
    assert first.dials.reason == "the run was interrupted"
    assert isinstance(first.view, View) and found.clusters == ()


def test_a_survey_cancelled_while_elasticsearch_lists_its_members_ends_at_once(place):
    place.add()
    place.cluster.silent = [("es-a", "/_nodes/settings")]
    began = time.monotonic()
    found = place.run(cancelled=cancelled_when(lambda: any("settings" in path for _, _, path in place.cluster.seen)))
    assert time.monotonic() - began < 4
    assert found.clusters == () and isinstance(found.nodes[0].view, View)


def test_a_cancelled_verify_is_unknown(place):
    place.add()
    place.cluster.silent = [("es-a", "_verify")]
    began = time.monotonic()
    found = place.run(cancelled=cancelled_when(lambda: verify_calls(place)))
    assert time.monotonic() - began < 4
    assert found.clusters[0].verifications == (Unknown(reason="_verify of s3_backup was not finished"),)


class SlowConnections(Connections):
    """Hands out one node's login after a while, as a jump host or an authentication does that takes its time."""

    def get(self, node):
        if node.name == "es-b":
            time.sleep(1.8)
        return super().get(node)


def test_a_node_that_is_given_up_stays_given_up_and_says_nothing_more(place):
    place.add("es-a")
    place.add("es-b")
    place.probe(**{'if ask == "paths":': 'if ask == "paths":\n            time.sleep(1)'})
    found = place.run(connections=SlowConnections, connect_timeout=0.25, command_timeout=1.0)
    told = list(place.lines)
    late = found.nodes[1]
    assert late.login == Unknown(reason="no answer within 1.5 s", remedy="give it longer with --command-timeout")
    assert late.system.blocked and late.view.blocked
    time.sleep(0.5)
    assert place.lines == told
    assert not [name for name, _, _ in place.cluster.seen if name == "es-b"]


def test_a_second_answer_that_comes_too_late_is_unknown_and_the_first_stands(place):
    place.add()
    place.probe(**{'if ask == "paths":': 'if ask == "paths":\n            time.sleep(3)'})
    began = time.monotonic()
    found = place.run(connect_timeout=0.25, command_timeout=1.0).nodes[0]
    assert time.monotonic() - began < 5.5
    for section in (found.dials, found.paths, found.buckets):
        assert isinstance(section, Unknown) and "--command-timeout" in section.remedy
    assert isinstance(found.view, View) and isinstance(found.process, Process)


def test_a_restart_during_the_run_is_asked_about_once_more(place):
    host = place.add()
    answer = place.cluster.answer

    def restarting(name, method, path):
        if path == "/_snapshot":
            host.start_jvm(started=200)
        return answer(name, method, path)

    place.monkeypatch.setattr(place.cluster, "answer", restarting)
    found = place.run().nodes[0]
    assert any("restarted during the run, asking once more" in line for line in place.lines)
    assert isinstance(found.view, View) and isinstance(found.dials, tuple)


def test_a_node_that_freezes_between_the_questions_costs_its_deadline(place):
    host = place.add()
    answer = place.cluster.answer

    def freezing(name, method, path):
        if path == "/_snapshot":
            for pid in host.sshd.children():
                os.kill(pid, signal.SIGSTOP)
        return answer(name, method, path)

    place.monkeypatch.setattr(place.cluster, "answer", freezing)
    began = time.monotonic()
    found = place.run(connect_timeout=0.25, command_timeout=1.0).nodes[0]
    assert time.monotonic() - began < 8
    assert isinstance(found.dials, Unknown) and isinstance(found.process, Process)


def without_times(value):
    """Plain values without times, the login and what hangs on a key drawn for the run."""
    measured = ("started", "finished", "milliseconds", "slowest", "clock", "clock_offset", "youngest", "fingerprint")
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if key not in (*measured, "login")}
    return [without_times(part) for part in value] if isinstance(value, list | tuple) else value


def test_both_carriers_bring_the_same_facts(place):
    """With a node that forbids forwarding, whose Elasticsearch is asked through the probe."""
    place.add("es-a")
    place.add("es-b", "AllowTcpForwarding no")
    found = []
    for carrier in ("paramiko", "ssh"):
        found.append(place.run(nodes=[msgspec.structs.replace(node, carrier=carrier) for node in place.nodes()]))
        assert {node.login.carrier for node in found[-1].nodes} == {carrier}
        assert {node.name: node.view.carrier for node in found[-1].nodes} == {"es-a": "direct-tcpip", "es-b": "probe"}
        place.connections.close()
    paramiko, ssh = (without_times(msgspec.to_builtins(survey)) for survey in found)
    assert ssh == paramiko
