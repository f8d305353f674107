"""Healthy clusters of other shapes, for real: nothing red, and what does not apply says so.

Shapes that stand in one cluster share it: nodes are restarted only where their elasticsearch.yml becomes another one.
"""

import re
import shlex
import subprocess

import pytest
import yaml
from judged import checks
from static_keys import archive, declared
from suite_run import ON_THE_LAB, Ran
from tarball import HTTP_PORT, TRANSPORT_PORT, USER, Tarball

from lab import distribution, elasticsearch, host, imds, names, network, ssh, storage
from lab.faults import remote
from lab.faults.fault import YML
from preflight.remedy import keys

pytestmark = ON_THE_LAB


class Shapes:
    """The lab's nodes under other settings."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.given = {node.name: host.execute(node, ["cat", YML]) for node in nodes}
        self.running = dict(self.given)

    def take(self, *, add=None, change=("", ""), http_port=9200):
        """Settings of every node: those it was given, changed = (pattern, text), and add = {node name: lines}."""
        wanted = {
            name: re.sub(*change, text, flags=re.MULTILINE) + "".join(f"{line}\n" for line in (add or {}).get(name, ()))
            for name, text in self.given.items()
        }
        others = [node for node in self.nodes if self.running[node.name] != wanted[node.name]]
        self.running |= {node.name: None for node in others}

        def restart(node):
            host.execute(node, ["sh", "-c", f"cat >{YML}"], stdin=wanted[node.name])
            elasticsearch.systemctl(node, "restart")

        if others:
            elasticsearch.everywhere(others, restart)
        names.HTTP_PORT = http_port
        elasticsearch.wait_for_members(self.nodes)
        self.running = wanted


@pytest.fixture(scope="module")
def shapes(lab):
    shapes = Shapes(lab.nodes)
    yield shapes
    shapes.take()


@pytest.fixture
def plain(shapes):
    """The healthy default cluster."""
    shapes.take()


@pytest.fixture
def repository(lab):
    """Register the lab's repository with other settings, or None for none; as before afterwards."""

    def register(**settings):
        body = {"type": "s3", "settings": {"bucket": names.BUCKET, "base_path": names.BASE_PATH, **settings}}
        elasticsearch.api(lab.nodes[0], "PUT", f"_snapshot/{names.REPOSITORY}?verify=false", body)

    yield register
    elasticsearch.register_repository(lab.nodes)
    elasticsearch.verify(lab.nodes)


def outcomes(ran, check):
    return {o.node: o.outcome for o in ran.outcomes if o.check == check}


def assert_nothing_red(ran):
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert ran.status == 0, ran.text
    assert ran.diagnosis.causes == ()


@pytest.mark.usefixtures("plain")
def test_one_node_of_three_given(tmp_path):
    ran = Ran(tmp_path, hosts="es-2")
    assert_nothing_red(ran)
    assert len(ran.outcomes) == len(checks())
    assert any("es-1" in note and "es-3" in note for note in ran.diagnosis.notes)


@pytest.mark.usefixtures("plain")
def test_one_node_of_three_given_as_the_whole_cluster(tmp_path):
    ran = Ran(tmp_path, "--complete", hosts="es-2")
    assert outcomes(ran, "CLUSTER-2") == {"es-2": "fail"}
    assert ran.status == 1


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("carrier", ["paramiko", "ssh"])
def test_a_node_alone_whose_sshd_forbids_forwarding(lab, tmp_path, carrier):
    """What Elasticsearch is asked goes through the probe, over either login."""
    node = lab.nodes[ssh.HARDENED - 1]
    forward = ["ssh", "-F", str(names.SSH_CONFIG), "-W", f"{node.address}:9200", node.name]
    refused = subprocess.run(forward, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode != 0 and "administratively prohibited" in refused.stderr, refused.stderr
    ran = Ran(tmp_path, f"--connection={carrier}", hosts=node.name)
    assert_nothing_red(ran)
    found = ran.survey.node(node.name)
    assert (found.login.carrier, found.view.carrier) == (carrier, "probe")
    assert set(outcomes(ran, "REPO-1").values()) == {"pass"}


@pytest.mark.usefixtures("plain", "repository")
def test_no_s3_repository(lab, tmp_path):
    elasticsearch.api(lab.nodes[0], "DELETE", f"_snapshot/{names.REPOSITORY}")
    ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert set(outcomes(ran, "REPO-1").values()) == {"not applicable"}


@pytest.mark.usefixtures("plain")
def test_a_read_only_repository(repository, tmp_path):
    repository(readonly=True)
    assert_nothing_red(Ran(tmp_path))


@pytest.mark.usefixtures("plain")
def test_a_way_to_s3_that_takes_less_than_the_interface_and_says_so(lab, tmp_path):
    """mtu-blackhole with the router's ICMP coming through; beside it an interface for jumbo frames, and another."""
    near, jumbo, _ = lab.nodes
    network.narrow(near, 1000, told=True)
    network.in_node(jumbo, "link", "set", "eth0", "mtu", "9001")
    try:
        ran = Ran(tmp_path)
    finally:
        network.in_node(jumbo, "link", "set", "eth0", "mtu", "1500")
        network.widen(near)
    assert_nothing_red(ran)
    seen = [node.buckets[0].packets for node in ran.survey.nodes]
    assert [(one.path_mtu, one.step) for one in seen] == [(1000, None), (9001, None), (1500, None)]


@pytest.mark.usefixtures("plain")
def test_a_remote_cluster_that_every_node_reaches(lab, tmp_path):
    """The cluster itself, by an address of one of its nodes."""
    host = lab.nodes[1]
    remote.add_address(host)
    try:
        remote.configure(lab, f"{host.second_address}:{names.TRANSPORT_PORT}")
        ran = Ran(tmp_path)
    finally:
        remote.configure(lab, None)
        remote.drop_address(host)
    assert_nothing_red(ran)
    assert outcomes(ran, "PORT-3") == dict.fromkeys((node.name for node in lab.nodes), "pass")


@pytest.mark.usefixtures("plain")
def test_a_second_client_with_keys_of_its_own_for_a_service_that_is_not_aws(lab, tmp_path):
    """Its keys are no static keys of AWS's, KEY-1 is not about them, and they must be in every keystore."""
    with storage.attached(lab):
        ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert all("s3.client.archive.access_key" in node.keystore.settings for node in ran.survey.nodes)
    everywhere = dict.fromkeys((node.name for node in lab.nodes), "pass")
    for check in ("KEY-1", "KEY-4", "KEY-6", "REPO-1"):
        assert outcomes(ran, check) == everywhere


@pytest.mark.usefixtures("plain")
def test_a_declared_client_with_a_static_key_that_s3_accepts(lab, tmp_path):
    """It is meant to be there: no finding, on whichever node, and no role is asked to stand in for it."""
    with archive(lab.nodes):
        ran = Ran(tmp_path, declared(tmp_path))
    assert_nothing_red(ran)
    for check in ("KEY-1", "KEY-4", "KEY-6", "RESTART-1", "REPO-1"):
        assert set(outcomes(ran, check).values()) == {"pass"}
    assert all("(declared)" in line.text for line in ran.diagnosis.nodes)


@pytest.mark.usefixtures("plain")
def test_sudo_to_the_service_user_alone(tmp_path):
    """Enough for everything: the service user reads its own keystore, configuration and process."""
    ran = Ran(tmp_path, "--sudo-user=elasticsearch")
    assert_nothing_red(ran)
    assert {node.system.user for node in ran.survey.nodes} == {"elasticsearch"}


@pytest.mark.usefixtures("plain")
def test_read_only_proves_nothing_and_says_so(tmp_path):
    ran = Ran(tmp_path, "--read-only")
    assert set(outcomes(ran, "REPO-1").values()) == {"not applicable"}
    assert ran.status == 0
    assert "not proven" in ran.diagnosis.verdict


@pytest.mark.usefixtures("plain")
def test_under_xdist_the_same(tmp_path):
    ran = Ran(tmp_path, "-n2")
    assert_nothing_red(ran)
    assert len(ran.outcomes) == len(checks()) * 3


@pytest.fixture
def beside(shapes, lab):
    """A second Elasticsearch on es-3: another installation, user, pair of ports."""
    shapes.take()
    tarball = Tarball(lab.nodes[2], lab.version)
    try:
        tarball.install(shapes.given["es-3"])
        elasticsearch.wait_for_members([*lab.nodes, tarball.node])
        yield tarball
    finally:
        tarball.remove()
        elasticsearch.systemctl(tarball.node, "start")
        elasticsearch.wait_for_members(lab.nodes)


def inventory(folder, **hosts):
    """The lab's own with those variables of those hosts, in a file of its own."""
    document = yaml.safe_load(names.INVENTORY.read_text())
    for name, variables in hosts.items():
        document["lab"]["hosts"].setdefault(name, {}).update(variables)
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(document))
    return f"--inventory={file}"


def test_two_elasticsearch_on_one_host_and_then_the_tarball_alone(lab, beside, tmp_path):
    """Each is a node where the inventory says which; where it does not, neither is judged as the other."""
    own, other = "es-3", beside.name
    hosts = {
        "es-3": {"preflight_es_port": 9200},
        other: {"ansible_host": beside.node.address, "preflight_es_port": 9201},
    }
    both = Ran(tmp_path / "both", inventory(tmp_path, **hosts))
    assert_nothing_red(both)
    assert len(both.outcomes) == len(checks()) * 4
    first, second = both.survey.node(own), both.survey.node(other)
    assert [node.view.node_name for node in (first, second)] == ["es-3", beside.name]
    assert [node.install.layout for node in (first, second)] == ["deb", "tar"]
    assert {port.rpartition(":")[2] for port in second.process.listeners} == {str(HTTP_PORT), str(TRANSPORT_PORT)}
    assert (first.process.others, second.process.others) == (1, 1)

    untold = Ran(tmp_path / "untold")
    assert outcomes(untold, "NODE-1") == {"es-1": "pass", "es-2": "pass", "es-3": "could not check"}
    rest = {o.outcome for o in untold.outcomes if o.node == "es-3" and o.check != "NODE-1"}
    assert rest == {"blocked", "not applicable"}, untold.text
    assert {o.outcome for o in untold.outcomes if o.node != "es-3"} <= {"pass", "not applicable"}, untold.text
    assert [cause.id for cause in untold.diagnosis.causes] == ["process-not-told"]
    assert "preflight_es_port" in untold.text
    assert untold.status == 10

    elasticsearch.systemctl(beside.node, "stop")
    elasticsearch.wait_for_members(lab.nodes)
    alone = Ran(tmp_path / "alone", inventory(tmp_path, **{"es-3": {"ansible_become_user": USER}}))
    assert_nothing_red(alone)
    found = alone.survey.node("es-3")
    assert (found.system.user, found.process.user, found.keystore.owner) == (USER, USER, USER)
    assert (found.install.layout, found.install.home, found.install.path_conf) == ("tar", beside.home, beside.conf)
    assert (found.install.version, found.keystore.path) == (lab.version, beside.keystore)
    assert found.config.path == f"{beside.conf}/elasticsearch.yml"
    printed = keys.tool(found, "list").text
    assert printed.startswith(f"sudo -u {USER} ES_PATH_CONF={beside.conf} ")
    login = shlex.split(found.ssh)
    assert "keystore.seed" in subprocess.run([*login, printed], capture_output=True, text=True, check=True).stdout


APART = {
    "es-1": ["node.roles: [ master ]"],
    "es-2": ["node.roles: [ master, data, ingest ]"],
    "es-3": ["node.roles: [ ]", "http.host: 127.0.0.1"],
}


@pytest.fixture
def apart(shapes):
    """A dedicated master with an instance role of its own, a data node that may be elected, a coordinating node.

    Every node knows a second S3 client.
    """
    imds.set_role(names.AWS_STATE, "es-1", names.OTHER_ROLE)
    second = f"s3.client.second.region: {names.REGION}"
    shapes.take(add={name: [*lines, second] for name, lines in APART.items()})
    yield
    imds.set_role(names.AWS_STATE, "es-1", names.ROLE)


@pytest.mark.usefixtures("apart")
def test_roles_apart_and_http_on_loopback(tmp_path):
    """A dedicated master, a data node that may be elected, and a coordinating node whose HTTP is its own alone."""
    ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert outcomes(ran, "REPO-1") == {"es-1": "pass", "es-2": "pass", "es-3": "not applicable"}
    assert outcomes(ran, "PORT-2") == {"es-1": "pass", "es-2": "pass", "es-3": "pass"}
    assert outcomes(ran, "CLUSTER-1") == dict.fromkeys(("es-1", "es-2", "es-3"), "pass")
    assert {node.imds.role for node in ran.survey.nodes} == {names.ROLE, names.OTHER_ROLE}
    assert outcomes(ran, "ROLE-2") == {"es-1": "pass", "es-2": "pass", "es-3": "not applicable"}


@pytest.mark.usefixtures("apart")
def test_two_repositories_of_two_clients(lab, tmp_path):
    body = {"type": "s3", "settings": {"bucket": names.BUCKET, "base_path": "second", "client": "second"}}
    elasticsearch.api(lab.nodes[0], "PUT", "_snapshot/second?verify=false", body)
    try:
        ran = Ran(tmp_path)
    finally:
        elasticsearch.api(lab.nodes[0], "DELETE", "_snapshot/second")
    assert_nothing_red(ran)
    assert {b.repository for node in ran.survey.nodes for b in node.buckets} == {names.REPOSITORY, "second"}


def test_other_ports_and_a_voting_only_node(lab, shapes, tmp_path):
    lines = ["http.port: 9201", "transport.port: 9301"]
    # 8.0 and newer know the role by themselves; 7.17 has it from a module that the lab's distribution lacks.
    voting = {} if lab.version.startswith("7.") else {"es-3": ["node.roles: [ master, voting_only ]"]}
    add = {name: [*lines, *voting.get(name, ())] for name in shapes.given}
    shapes.take(add=add, change=(r"^- ([0-9.]+)$", r"- \1:9301"), http_port=9201)
    ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert outcomes(ran, "REPO-1") == {"es-1": "pass", "es-2": "pass", "es-3": "not applicable" if voting else "pass"}
    dialled = {dial.target.rpartition(":")[2] for node in ran.survey.nodes for dial in node.dials}
    assert dialled == {"9201", "9301"}


def test_a_region_from_the_metadata_service_alone_is_worth_a_look_and_no_more(lab, shapes, tmp_path):
    """Until 8.18 nothing asks that service: the SDK asks the bucket."""
    shapes.take(change=(r"^s3[.]client[.]default[.]region:.*\n", ""))
    ran = Ran(tmp_path)
    warned = {("REGION-2", node.name): "warning" for node in lab.nodes} if distribution.sdk(lab.version) == 2 else {}
    assert ran.differing() == warned, ran.text
    assert ran.status == 0
