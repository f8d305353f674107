"""The suite against the real lab: nothing on a healthy cluster, and for each fault exactly what it declares.

Minutes long: real Elasticsearch is restarted and hosts are switched off. A lab that is already up is mended, used and
left up; else one is brought up and taken down.
"""

import json

import pytest
from judged import checks
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import faults, matrix, names, state

pytestmark = ON_THE_LAB


LONG, SHORT = (
    [cell for cell in matrix.cells(names.ES_VERSION, short=short) if matrix.subnets(cell) == 1]
    for short in (False, True)
)
"""The short form of versions on AWS SDK v1 is another: scripts/faults has it. Cells of a lab in three subnets are in
test_network_shapes.py."""


@pytest.fixture(scope="module")
def mended(lab):
    """What one test breaks the next one mends, which costs less than a healthy cluster in between; the last is mended
    here."""
    yield
    with state.lock():
        faults.heal(state.require())


@pytest.mark.parametrize(
    "cell", [pytest.param(cell, id=str(cell), marks=[] if cell in SHORT else [pytest.mark.long]) for cell in LONG]
)
def test_each_fault_is_found_on_its_node_with_its_cause_and_nothing_else(lab, mended, tmp_path, cell):
    with state.lock():
        broken = state.require()
        placed = matrix.bring_about(broken, cell)
    ran = matrix.run_suite(broken, placed, tmp_path)
    besides = faults.run_of(cell.row, broken, placed.by_who.get("victim")).besides.values()
    everybody = {*(node.name for node in lab.nodes), *besides}
    assert {(o.check, o.node) for o in ran.outcomes} == {(id, name) for id in checks() for name in everybody}
    judged = matrix.judge(ran, matrix.declared(broken, placed, set(checks())))
    assert judged.misses == (), ran.text


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
