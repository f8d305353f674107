"""The lab over AWS Systems Manager, whose commands really run on its nodes: what SSH finds, and how many requests."""

import os
import re
import sys

import pytest
from suite_run import Ran, run_lab

from lab import elasticsearch, host, names

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]

SPOOLED = "ls /run/es-preflight-* /tmp/es-preflight-* 2>/dev/null; true"


@pytest.fixture
def over_ssm(lab, tmp_path):
    """Run the suite as an operator with no way to the nodes but AWS's, and one to Elasticsearch through `asked`."""

    def run(asked=lab.nodes[0], *options):
        return Ran(
            tmp_path,
            f"--es-url=https://{asked.address}:{names.HTTP_PORT}",
            f"--es-ca={names.CERTIFICATES / 'elasticsearch-ca.crt'}",
            *options,
            hosts=",".join(f"ssm://{node.name}" for node in lab.nodes),
            environ={"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")},
        )

    return run


def requests(ran):
    (line,) = re.findall(r"AWS Systems Manager: (.*)", ran.text)
    return {name: int(count) for count, name in re.findall(r"(\d+) (\w+)", line)}


def test_a_healthy_cluster_is_as_green_as_over_ssh_with_one_command_a_phase(lab, over_ssm, tmp_path):
    ran, ssh = over_ssm(), Ran(tmp_path / "ssh")
    assert {(o.check, o.node): o.outcome for o in ran.outcomes} == {(o.check, o.node): o.outcome for o in ssh.outcomes}
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text
    assert {node.login.carrier for node in ran.survey.nodes} == {"ssm"}
    made = requests(ran)
    assert (made["DescribeInstanceInformation"], made["SendCommand"]) == (1, 2), ran.text
    assert [host.execute(node, ["sh", "-c", SPOOLED]) for node in lab.nodes] == ["", "", ""]


def test_the_incident_is_found(lab, over_ssm):
    victim = next(node for node in lab.nodes if node != elasticsearch.master(lab.nodes))
    run_lab("break", "stale-keystore", victim.name)
    try:
        ran = over_ssm()
    finally:
        run_lab("heal")
    assert ran.differing() == {("KEY-1", victim.name): "fail", ("REPO-1", victim.name): "fail"}, ran.text
    assert [cause.id for cause in ran.diagnosis.causes] == ["stale-static-keys"]


def test_elasticsearch_without_an_address_is_not_checked_and_the_way_is_named(lab, tmp_path):
    environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    ran = Ran(tmp_path, hosts=",".join(f"ssm://{node.name}" for node in lab.nodes), environ=environ)
    assert ran.status == 10 and ran.diagnosis.causes == (), ran.text
    assert {o.outcome for o in ran.outcomes} == {"pass", "could not check", "not applicable"}
    words = " ".join(ran.text.split())
    assert "Elasticsearch is not asked over ssm://" in words and "AWS-StartPortForwardingSession" in words


def test_an_instance_that_is_off_is_one_finding(lab, over_ssm):
    victim = next(node for node in lab.nodes if node != elasticsearch.master(lab.nodes))
    asked = next(node for node in lab.nodes if node != victim)
    run_lab("break", "host-down", victim.name)
    try:
        ran = over_ssm(asked)
    finally:
        run_lab("heal")
    (login,) = [node.login for node in ran.survey.nodes if node.name == victim.name]
    assert login.reason == f"the SSM agent of {victim.instance_id} is not online (PingStatus ConnectionLost)"
    assert ("NODE-1", victim.name) in ran.differing()
    assert ran.diagnosis.causes[0].nodes == (victim.name,), ran.text
