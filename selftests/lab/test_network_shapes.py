"""Nodes in three subnets with a router between them: a healthy cluster is green, and what a subnet lacks is told of it.

A lab of its own: one that is up is taken down for it, and one like it is brought up again.
"""

import os
import sys

import pytest
from judged import checks
from suite_run import Ran, run_lab

from lab import ec2, faults, matrix, names, state

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]

CELLS = [cell for cell in matrix.cells(names.ES_VERSION) if matrix.subnets(cell) > 1]


@pytest.fixture(scope="module")
def apart(request):
    """The lab, its three nodes in three subnets."""
    version = request.config.getoption("lab_version")
    before = state.load()
    if before is not None:
        run_lab("down")
    run_lab("up", "--es-version", version, "--subnets", "3")
    yield state.require()
    run_lab("down")
    if before is not None:
        elasticsearch = ["--without-elasticsearch"] if before.version is None else ["--es-version", before.version]
        run_lab("up", "--nodes", str(before.count), "--subnets", str(before.subnets), *elasticsearch)


@pytest.fixture
def asked(tmp_path):
    """Run the suite as an operator with an AWS profile does."""
    environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    return lambda: Ran(tmp_path / "aws", f"--aws-profile={ec2.PROFILE}", environ=environ)


def outcomes(ran, check):
    return {o.node: o.outcome for o in ran.outcomes if o.check == check}


def test_three_subnets_with_a_router_between_them_are_green(apart, asked):
    ran = asked()
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert (ran.status, ran.diagnosis.causes) == (0, ()), ran.text
    assert set(outcomes(ran, "AWS-2").values()) == {"pass"}
    assert {(i.interfaces[0].subnet, i.interfaces[0].addresses[0]) for i in ran.survey.aws.instances} == {
        (instance.interfaces[0].subnet, node.address)
        for node in apart.nodes
        for instance in ran.survey.aws.instances
        if instance.id == node.instance_id
    }
    assert len({i.interfaces[0].subnet for i in ran.survey.aws.instances}) == 3
    peers = [path for node in ran.survey.nodes for path in node.paths if path.purpose.startswith("peer:")]
    assert {(path.kind, path.gateway) for path in peers} == {("gateway", node.subnet.gateway) for node in apart.nodes}


@pytest.fixture(scope="module")
def mended(apart):
    """What one test breaks the next one mends; the last is mended here."""
    yield
    with state.lock():
        faults.heal(state.require())


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_what_a_subnet_lacks_is_found_on_its_node_with_its_cause(apart, mended, asked, tmp_path, cell):
    """Without AWS by what the traffic feels; with it the subnet's table or ACL is named, and nothing else goes red."""
    with state.lock():
        broken = state.require()
        placed = matrix.bring_about(broken, cell)
    ran = Ran(tmp_path)
    assert {(o.check, o.node) for o in ran.outcomes} == {(id, node.name) for id in checks() for node in apart.nodes}
    judged = matrix.judge(ran, matrix.declared(broken, placed, set(checks())))
    assert judged.misses == (), ran.text

    victim = placed.by_who["victim"]
    told = asked()
    by_aws, cause = AWS_SAYS[cell.row]
    differing = told.differing()
    assert {key: value for key, value in differing.items() if key not in ran.differing() and value != "pass"} == {
        (by_aws, victim.name): "fail"
    }, told.text
    assert {found.id for found in told.diagnosis.causes} == {cause}, told.text
    assert all(found.nodes == (victim.name,) and found.confidence == "certain" for found in told.diagnosis.causes)
    evidence = " ".join(line for found in told.diagnosis.causes for line in found.evidence)
    assert NAMED[cell.row] in evidence, told.text


AWS_SAYS = {
    "route-table-swapped": ("AWS-2", "route-table"),
    "endpoint-not-associated": ("AWS-2", "route-table"),
    "nacl-return-path": ("AWS-1", "port-blocked"),
}
"""The check that AWS's control plane fails, and the cause that is then named."""

NAMED = {
    "route-table-swapped": "has no route to S3",
    "endpoint-not-associated": "has no route to S3",
    "nacl-return-path": "entry 100 of acl-",
}
"""What AWS is quoted for."""
