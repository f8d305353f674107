"""Healthy clusters of other shapes, for real: nothing red, and what does not apply says so.

Nodes are reconfigured and restarted together, then put back as they were.
"""

import contextlib
import os
import sys

import pytest
from judged import checks
from suite_run import Ran

from lab import elasticsearch, host, names, storage

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]

YML = "/etc/elasticsearch/elasticsearch.yml"


@contextlib.contextmanager
def configured(lab, *, add=None, change=None):
    """Other settings on some nodes while the block runs: add = {node name: lines}, change = sed's script for all."""

    def edit(node):
        host.execute(node, ["cp", "-p", YML, f"{YML}.shape"])
        if change:
            host.execute(node, ["sed", "-i", change, YML])
        for line in (add or {}).get(node.name, ()):
            host.execute(node, ["sh", "-c", f"echo '{line}' >>{YML}"])
        elasticsearch.systemctl(node, "restart")

    def restore(node):
        host.execute(node, ["mv", f"{YML}.shape", YML])
        elasticsearch.systemctl(node, "restart")

    try:
        elasticsearch.everywhere(lab.nodes, edit)
        elasticsearch.wait_for_members(lab.nodes)
        yield
    finally:
        elasticsearch.everywhere(lab.nodes, restore)


@pytest.fixture(autouse=True)
def as_before(lab):
    """Each shape begins and ends with the healthy default cluster."""
    elasticsearch.wait_for_members(lab.nodes)
    yield
    elasticsearch.wait_for_members(lab.nodes)
    elasticsearch.register_repository(lab.nodes)


def outcomes(ran, check):
    return {o.node: o.outcome for o in ran.outcomes if o.check == check}


def assert_nothing_red(ran):
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert ran.status == 0, ran.text
    assert ran.diagnosis.causes == ()


def test_roles_apart_and_http_on_loopback(lab, tmp_path):
    """A dedicated master, a data node that may be elected, and a coordinating node whose HTTP is its own alone."""
    roles = {
        "es-1": ["node.roles: [ master ]"],
        "es-2": ["node.roles: [ master, data, ingest ]"],
        "es-3": ["node.roles: [ ]", "http.host: 127.0.0.1"],
    }
    with configured(lab, add=roles):
        ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert outcomes(ran, "REPO-1") == {"es-1": "pass", "es-2": "pass", "es-3": "not applicable"}
    assert outcomes(ran, "PORT-2") == {"es-1": "pass", "es-2": "pass", "es-3": "pass"}
    assert outcomes(ran, "CLUSTER-1") == dict.fromkeys(("es-1", "es-2", "es-3"), "pass")


def test_a_voting_only_node(lab, tmp_path):
    with configured(lab, add={"es-3": ["node.roles: [ master, voting_only ]"]}):
        ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert outcomes(ran, "REPO-1")["es-3"] == "not applicable"


def test_a_region_from_the_metadata_service_alone_is_worth_a_look_and_no_more(lab, tmp_path):
    with configured(lab, change="/^s3[.]client[.]default[.]region:/d"):
        ran = Ran(tmp_path)
    assert ran.differing() == {("REGION-2", node.name): "warning" for node in lab.nodes}, ran.text
    assert ran.status == 0


def test_other_ports(lab, tmp_path, monkeypatch):
    lines = ["http.port: 9201", "transport.port: 9301"]
    seeds = r"s/^- \([0-9.]*\)$/- \1:9301/"
    with monkeypatch.context() as ports:
        ports.setattr(names, "HTTP_PORT", 9201)
        with configured(lab, add={node.name: lines for node in lab.nodes}, change=seeds):
            ran = Ran(tmp_path)
    assert_nothing_red(ran)
    dialled = {dial.target.rpartition(":")[2] for node in ran.survey.nodes for dial in node.dials}
    assert dialled == {"9201", "9301"}


def test_one_node_of_three_given(lab, tmp_path):
    ran = Ran(tmp_path, hosts="es-2")
    assert_nothing_red(ran)
    assert len(ran.outcomes) == len(checks())
    assert any("es-1" in note and "es-3" in note for note in ran.diagnosis.notes)


def test_one_node_of_three_given_as_the_whole_cluster(lab, tmp_path):
    ran = Ran(tmp_path, "--complete", hosts="es-2")
    assert outcomes(ran, "CLUSTER-2") == {"es-2": "fail"}
    assert ran.status == 1


def test_no_s3_repository(lab, tmp_path):
    elasticsearch.api(lab.nodes[0], "DELETE", f"_snapshot/{names.REPOSITORY}")
    ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert set(outcomes(ran, "REPO-1").values()) == {"not applicable"}


def test_a_read_only_repository(lab, tmp_path):
    settings = {"bucket": names.BUCKET, "base_path": names.BASE_PATH, "readonly": True}
    body = {"type": "s3", "settings": settings}
    elasticsearch.api(lab.nodes[0], "PUT", f"_snapshot/{names.REPOSITORY}?verify=false", body)
    assert_nothing_red(Ran(tmp_path))


def test_two_repositories_of_two_clients(lab, tmp_path):
    body = {"type": "s3", "settings": {"bucket": names.BUCKET, "base_path": "second", "client": "second"}}
    line = f"s3.client.second.region: {names.REGION}"
    with configured(lab, add={node.name: [line] for node in lab.nodes}):
        elasticsearch.api(lab.nodes[0], "PUT", "_snapshot/second?verify=false", body)
        try:
            ran = Ran(tmp_path)
        finally:
            elasticsearch.api(lab.nodes[0], "DELETE", "_snapshot/second")
    assert_nothing_red(ran)
    assert {b.repository for node in ran.survey.nodes for b in node.buckets} == {names.REPOSITORY, "second"}


def test_a_second_client_with_keys_of_its_own_for_a_service_that_is_not_aws(lab, tmp_path):
    """Its keys are no static keys of AWS's, KEY-1 is not about them, and they must be in every keystore."""
    with storage.attached(lab):
        ran = Ran(tmp_path)
    assert_nothing_red(ran)
    assert all("s3.client.archive.access_key" in node.keystore.settings for node in ran.survey.nodes)
    assert outcomes(ran, "KEY-4") == dict.fromkeys(("es-1", "es-2", "es-3"), "pass")
    assert set(outcomes(ran, "REPO-1").values()) == {"pass"}
    assert set(outcomes(ran, "KEY-1").values()) == {"pass"}


def test_sudo_to_the_service_user_alone(lab, tmp_path):
    """Enough for everything: the service user reads its own keystore, configuration and process."""
    ran = Ran(tmp_path, "--sudo-user=elasticsearch")
    assert_nothing_red(ran)
    assert {node.system.user for node in ran.survey.nodes} == {"elasticsearch"}


def test_read_only_proves_nothing_and_says_so(lab, tmp_path):
    ran = Ran(tmp_path, "--read-only")
    assert set(outcomes(ran, "REPO-1").values()) == {"not applicable"}
    assert ran.status == 0
    assert "not proven" in ran.diagnosis.verdict


def test_under_xdist_the_same(lab, tmp_path):
    ran = Ran(tmp_path, "-n2")
    assert_nothing_red(ran)
    assert len(ran.outcomes) == len(checks()) * 3
