"""Nodes found by ec2:// on the real lab; one too many, and one under two names, are rows of lab/faults/inventory.py."""

import pytest
from suite_run import ON_THE_LAB, Ran

from lab import ec2, names

pytestmark = ON_THE_LAB

CLUSTER = f"ec2://{names.REGION}?tag:Cluster={names.CLUSTER}"
LOGIN = {"ES_PREFLIGHT_USER": names.PREFLIGHT_USER, "ES_PREFLIGHT_PASSWORD_FILE": str(names.PREFLIGHT_PASSWORD)}
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
