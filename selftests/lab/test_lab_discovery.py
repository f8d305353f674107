"""Nodes found by ec2:// on the real lab: all of them, one too many, and one node under two names."""

import os
import sys

import pytest
from suite_run import Ran

from lab import ec2, names

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]

CLUSTER = f"ec2://{names.REGION}?tag:Cluster={names.CLUSTER}"
LOGIN = {"ES_PREFLIGHT_USER": names.PREFLIGHT_USER, "ES_PREFLIGHT_PASSWORD_FILE": str(names.PREFLIGHT_PASSWORD)}
QUIET = ("pass", "blocked", "not applicable")
NODES = ("es-1", "es-2", "es-3")


@pytest.fixture
def found(lab, tmp_path):
    """Run the suite on what a word of --hosts finds, as an operator with an AWS profile does."""
    environ = {**LOGIN, "AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    way = f"&user={names.SSH_USER}&sudo=true&ssh_config={names.SSH_CONFIG}"
    return lambda word: Ran(tmp_path, f"--aws-profile={ec2.PROFILE}", hosts=f"{word}{way}", environ=environ)


def test_the_running_instances_with_the_clusters_tag_are_its_nodes(found):
    ran = found(CLUSTER)
    assert set(ran.differing().values()) <= {"pass", "not applicable"}, ran.text
    assert {ran.differing()["AWS-3", node] for node in NODES} == {"pass"}
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text
    assert f"is 3 instances: es-1 (i-0e500000000000001, {names.nodes(1)[0].address}), es-2 (" in ran.text


def test_an_instance_that_did_not_join_is_told(found):
    """instance-tagged-not-joined: nobody answers at its address, and the cluster does not know it."""
    ec2.tag_spare(tagged=True)
    try:
        ran = found(CLUSTER)
    finally:
        ec2.tag_spare(tagged=False)
    told = {key: outcome for key, outcome in ran.differing().items() if outcome not in QUIET}
    assert told == {("NODE-1", ec2.SPARE): "could not check", ("AWS-3", "es-1"): "warning"}, ran.text
    assert f"{ec2.SPARE_ID} ({ec2.SPARE}, {ec2.SPARE_ADDRESS}) runs with Cluster={names.CLUSTER}" in ran.text
    assert ran.diagnosis.causes[0].id == "host-unreachable", ran.text
    assert ran.status == 10


def test_a_node_under_two_names_is_told(lab, tmp_path):
    """duplicate-node-in-inventory"""
    twice = f"lab,{names.SSH_USER}@{lab.nodes[1].address}:22"
    ran = Ran(tmp_path, "--sudo", f"--ssh-config={names.SSH_CONFIG}", hosts=twice, environ=LOGIN)
    assert ran.differing() == {("CLUSTER-1", lab.nodes[1].address): "warning"}, ran.text
    assert ran.status == 0
