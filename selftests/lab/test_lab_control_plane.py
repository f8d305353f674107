"""With --aws on the real lab: what AWS says and what the nodes feel are told as one cause."""

import pytest
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import ec2, elasticsearch, names

pytestmark = ON_THE_LAB


@pytest.fixture
def asked(lab, tmp_path):
    """Run the suite as an operator with an AWS profile does."""
    environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    return lambda: Ran(tmp_path, f"--aws-profile={ec2.PROFILE}", environ=environ)


def test_a_healthy_cluster_passes_what_aws_is_asked_for(asked):
    ran = asked()
    assert ran.differing() == {
        (check, node): "pass"
        for check in ("AWS-1", "AWS-2", "AWS-4", "AWS-5", "AWS-6", "AWS-7")
        for node in ("es-1", "es-2", "es-3")
    }
    assert ran.status == 0 and ran.diagnosis.causes == (), ran.text


def test_the_security_group_that_keeps_a_node_apart_is_named(lab, asked):
    master = elasticsearch.master(lab.nodes)
    victim = next(node for node in lab.nodes if node != master)
    run_lab("break", "sg-missing-peer", victim.name)
    try:
        ran = asked()
    finally:
        run_lab("heal")
    for check in ("AWS-1", "PORT-1", "PORT-2"):
        assert {node for (c, node), outcome in ran.differing().items() if c == check and outcome == "fail"} == {
            node.name for node in lab.nodes
        }, ran.text
    causes = ran.diagnosis.causes
    assert {cause.id for cause in causes} == {"port-blocked"}
    assert all(cause.confidence == "certain" and victim.name in cause.nodes for cause in causes), ran.text
    evidence = " ".join(line for cause in causes for line in cause.evidence)
    assert f"has no rule that lets {master.address} in on {names.TRANSPORT_PORT}" in evidence
    assert not any("AWS would let" in line for cause in causes for line in cause.evidence)


def test_a_route_cut_that_aws_does_not_know_of_is_no_route_tables_fault(lab, asked):
    """The router drops it, as a NAT gateway's or an appliance's filter would: the subnet's table is not to blame."""
    victim = lab.nodes[-1]
    run_lab("break", "route-drift-upstream", victim.name)
    try:
        ran = asked()
    finally:
        run_lab("heal")
    assert ("AWS-2", victim.name) in ran.differing() and ran.differing()["AWS-2", victim.name] == "pass"
    (cause,) = ran.diagnosis.causes
    assert cause.id == "route-upstream"
    assert any(line.startswith("AWS: rtb-") and "gateway endpoint vpce-" in line for line in cause.evidence), ran.text
