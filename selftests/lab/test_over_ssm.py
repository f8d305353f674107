"""The lab over AWS Systems Manager, whose commands really run on its nodes: what SSH finds, and how many requests.

Sessions are the lab's own, the plugin its stand-in: these show how the suite calls them (docs/lab.md).
"""

import os
import re

import pytest
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import elasticsearch, host, names

pytestmark = ON_THE_LAB

SPOOLED = "ls /run/es-preflight-* /tmp/es-preflight-* 2>/dev/null; true"


CA = f"--es-ca={names.CERTIFICATES / 'elasticsearch-ca.crt'}"


@pytest.fixture
def over_ssm(lab, tmp_path):
    """Run the suite as an operator with no way to the nodes but AWS's, and its plugin; with_plugin: whether."""

    def run(*options, nodes=lab.nodes, with_plugin=True):
        environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
        if with_plugin:
            environ["PATH"] = f"{names.PLUGIN}{os.pathsep}{os.environ['PATH']}"
        return Ran(tmp_path, *options, hosts=",".join(f"ssm://{node.name}" for node in nodes), environ=environ)

    return run


def requests(ran):
    (line,) = re.findall(r"AWS Systems Manager: (.*)", ran.text)
    return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", line)}


def test_a_healthy_cluster_is_as_green_as_over_ssh_with_one_command_a_phase(lab, over_ssm, tmp_path):
    ran, ssh = over_ssm(), Ran(tmp_path / "ssh")
    assert {(o.check, o.node): o.outcome for o in ran.outcomes} == {(o.check, o.node): o.outcome for o in ssh.outcomes}
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text
    assert {node.login.carrier for node in ran.survey.nodes} == {"ssm"}
    assert {node.view.carrier for node in ran.survey.nodes} == {"session"}
    made = requests(ran)
    # Facts, the file of Elasticsearch's authority, paths; a session to each node for its own view.
    assert (made["DescribeInstanceInformation"], made["SendCommand"]) == (1, 3), ran.text
    assert (made["StartSession"], made["TerminateSession"]) == (3, 3)
    assert [host.execute(node, ["sh", "-c", SPOOLED]) for node in lab.nodes] == ["", "", ""]


def test_a_fleet_has_sessions_to_a_few_and_the_others_are_told_of(lab, over_ssm, monkeypatch, tmp_path):
    (tmp_path / "few.py").write_text("from preflight import own_views\nown_views.AT_ONCE = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ran = over_ssm("-p", "few", CA)
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text
    made = requests(ran)
    assert (made["StartSession"], made["SendCommand"]) == (1, 2), ran.text
    assert [node.view.url for node in ran.survey.nodes] == [
        f"https://{node.address}:{names.HTTP_PORT}" for node in lab.nodes
    ]
    assert len({node.view.node_id for node in ran.survey.nodes}) == 3


def test_with_an_address_no_session_is_started(lab, over_ssm):
    asked = lab.nodes[0]
    ran = over_ssm(f"--es-url=https://{asked.address}:{names.HTTP_PORT}", CA, with_plugin=False)
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text
    assert {node.view.carrier for node in ran.survey.nodes} == {"direct"}
    made = requests(ran)
    assert made["SendCommand"] == 2 and "StartSession" not in made


def test_the_incident_is_found(lab, over_ssm):
    victim = next(node for node in lab.nodes if node != elasticsearch.master(lab.nodes))
    run_lab("break", "stale-keystore", victim.name)
    try:
        ran = over_ssm()
    finally:
        run_lab("heal")
    assert ran.differing() == {("KEY-1", victim.name): "fail", ("REPO-1", victim.name): "fail"}, ran.text
    assert [cause.id for cause in ran.diagnosis.causes] == ["stale-static-keys"]


def test_without_the_plugin_elasticsearch_is_not_checked_and_the_way_is_named(lab, over_ssm):
    ran = over_ssm(with_plugin=False)
    assert ran.status == 10 and ran.diagnosis.causes == (), ran.text
    assert {o.outcome for o in ran.outcomes} == {"pass", "could not check", "not applicable"}
    words = " ".join(ran.text.split())
    assert "Elasticsearch is not asked over ssm://: there is no session-manager-plugin in PATH" in words
    assert "install AWS's session-manager-plugin" in words and "--es-url" in words
    assert "StartSession" not in requests(ran)


def test_an_instance_that_is_off_is_one_finding(lab, over_ssm):
    victim = next(node for node in lab.nodes if node != elasticsearch.master(lab.nodes))
    run_lab("break", "host-down", victim.name)
    try:
        ran = over_ssm()
    finally:
        run_lab("heal")
    (login,) = [node.login for node in ran.survey.nodes if node.name == victim.name]
    assert login.reason == f"the SSM agent of {victim.instance_id} is not online (PingStatus ConnectionLost)"
    assert ("NODE-1", victim.name) in ran.differing()
    assert ran.diagnosis.causes[0].nodes == (victim.name,), ran.text
