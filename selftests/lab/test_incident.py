"""The suite against the real lab: nothing on a healthy cluster, and for each fault exactly what it declares.

Minutes long: real Elasticsearch is restarted and hosts are switched off. A lab that is already up is mended, used and
left up; else one is brought up and taken down.
"""

import json
import os
import sys

import pytest
from judged import checks
from suite_run import Ran, run_lab

from lab import elasticsearch, faults, names, state

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]


def test_a_healthy_cluster_passes_every_check_and_nothing_but(lab, tmp_path):
    ran = Ran(tmp_path)
    assert ran.differing() == {}, ran.text
    assert ran.status == 0
    assert len(ran.outcomes) == 22 * 3
    assert ran.diagnosis.causes == ()


@pytest.mark.parametrize("who", ["data node", "elected master"])
@pytest.mark.parametrize("fault", list(faults.FAULTS))
def test_each_fault_is_found_on_its_node_with_its_cause_and_nothing_else(lab, tmp_path, fault, who):
    master = elasticsearch.master(lab.nodes)
    victim = master if who == "elected master" else next(node for node in reversed(lab.nodes) if node != master)
    row = faults.FAULTS[fault]
    run_lab("break", fault, victim.name)
    try:
        broken = state.require()
        is_master = who == "elected master" and not row.leaves
        then = faults.expectation(fault, broken)
        expected = faults.expected(fault, list(checks()), broken, victim, is_master=is_master)
        ran = Ran(tmp_path)
    finally:
        run_lab("heal")
    assert ran.differing() == expected, ran.text
    causes = ran.diagnosis.causes
    assert [cause.id for cause in causes] == [*filter(None, [then.cause]), *then.besides], ran.text
    if then.cause is None:
        return
    peers = {node for (_, node) in expected if node != victim.name} if then.cause == "port-blocked" else set()
    assert victim.name in causes[0].nodes and set(causes[0].nodes) <= {victim.name, *peers}, ran.text
    assert ran.diagnosis.causes[0].title in " ".join(ran.text.split())
    red = "fail" in expected.values()
    assert ran.status == (1 if red else 10 if {"could not check", "blocked"} & set(expected.values()) else 0)


def test_two_causes_at_once_are_told_apart(lab, tmp_path):
    """Stale keys on one node, a route upstream of another: the incident. Each with its own evidence."""
    master = elasticsearch.master(lab.nodes)
    stale, cut = (node for node in lab.nodes if node != master)
    try:
        for fault, node in (("stale-keystore", stale), ("route-drift-upstream", cut)):
            run_lab("break", fault, node.name)
        ran = Ran(tmp_path)
    finally:
        run_lab("heal")
    assert ran.differing() == {
        ("KEY-1", stale.name): "fail",
        ("REPO-1", stale.name): "fail",
        ("PATH-1", cut.name): "fail",
        ("REPO-1", cut.name): "fail",
    }, ran.text
    by_id = {cause.id: cause for cause in ran.diagnosis.causes}
    assert set(by_id) == {"stale-static-keys", "route-upstream"}
    assert any("does not exist in our records" in line for line in by_id["stale-static-keys"].evidence)
    assert not any("does not exist in our records" in line for line in by_id["route-upstream"].evidence)


def test_no_secret_of_the_lab_stands_in_any_output(lab, tmp_path):
    """The stale key, the role's credentials and the login's password, at the loudest settings there are."""
    run_lab("break", "stale-keystore", "es-1")
    try:
        ran = Ran(tmp_path, "-vvv", "-l", "--log-level=DEBUG", "--tb=long", "-s")
    finally:
        run_lab("heal")
    cloud = json.loads((names.AWS_STATE / "aws.json").read_text())
    secrets = {*cloud["stale_key"].values(), *cloud["admin_key"].values()}
    for file in (names.AWS_STATE / "credentials").iterdir():
        held = json.loads(file.read_text())
        secrets |= {held[name] for name in ("AccessKeyId", "SecretAccessKey", "Token")}
    secrets.add(names.PREFLIGHT_PASSWORD.read_text().strip())
    written = ran.text + "".join(p.read_text(errors="replace") for p in ran.report.resolve().iterdir() if p.is_file())
    assert ran.status == 1
    assert [secret[:4] + "…" for secret in secrets if secret in written] == []
