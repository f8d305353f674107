"""One broken lab, surveyed over every carrier: the same outcomes, findings, causes and facts, whatever brought them.

A further carrier is one more row of CARRIERS.
"""

import os
import re

import msgspec
import pytest
from suite_run import ON_THE_LAB, Ran

from lab import faults, names, state

pytestmark = ON_THE_LAB


def over_ssh(carrier):
    """The inventory's nodes, logged in to by that carrier."""

    def run(lab, directory):
        return Ran(directory, f"--connection={carrier}")

    return run


def over_ssm(lab, directory):
    """The same nodes as instances; Elasticsearch is asked through sessions, by the lab's stand-in for the plugin."""
    return Ran(
        directory,
        hosts=",".join(f"ssm://{node.name}" for node in lab.nodes),
        environ={
            "AWS_CONFIG_FILE": str(names.AWS_STATE / "config"),
            "PATH": f"{names.PLUGIN}{os.pathsep}{os.environ['PATH']}",
        },
    )


REFERENCE = "paramiko"
CARRIERS = {REFERENCE: over_ssh("paramiko"), "ssh": over_ssh("ssh"), "ssm": over_ssm}

BY_LOGIN = [carrier for carrier in CARRIERS if carrier not in (REFERENCE, "ssm")]
"""Carriers that ask every node for everything: ssm:// brings no fingerprints."""

BROKEN = (("stale-keystore", "es-2"), ("route-drift", "es-3"))

MEASURED = {
    "started", "finished", "milliseconds", "slowest", "clock", "clock_offset", "first", "last", "expires", "youngest",
    "last_success", "last_failure", "fingerprint", "count", "folders",
}  # fmt: skip
"""Fields that differ from run to run over one carrier too: times, what hangs on a key drawn for the run, and what an
earlier run's _verify has left in logs and in the bucket."""


OF_ONE_RUN = re.compile(
    r"\b\d+(\.\d+)? ?(ms|s|seconds|minutes)\b"  # how long it took
    r"|(?<=its log has it )(at|[\d,]+ times since) [\d: -]+UTC(, last at [\d: -]+UTC)?"  # every _verify adds to it
    r"|\btests-[\w-]+|(?<=before-preflight-)\w+"  # markers and copies
    r"|(?<=Request ID: )[^,)]+"
)


@pytest.fixture(scope="module")
def ran(lab, tmp_path_factory):
    """The suite on the broken lab over one carrier, once."""
    with state.lock():
        broken = state.require()
        faults.heal(broken)
        for fault, node in BROKEN:
            faults.break_(broken, fault, node)
    # The first `_verify` leaves its lines in the nodes' logs, which every run after it finds there.
    CARRIERS[REFERENCE](lab, tmp_path_factory.mktemp("before"))
    runs = {}

    def over(carrier):
        if carrier not in runs:
            runs[carrier] = CARRIERS[carrier](lab, tmp_path_factory.mktemp(carrier))
        return runs[carrier]

    yield over
    with state.lock():
        faults.heal(state.require())


OF_A_CARRIER = {"host", "ssh", "carrier", "access_keys"}
"""Fields that ssm:// has otherwise: how a node is named and logged in to, what reached its Elasticsearch, and keys that
are compared under the run's own."""


def without_the_run(value, besides=()):
    """Plain values, without the login and what belongs to one run. besides: further fields to leave out"""
    value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        left_out = {*MEASURED, "login", *besides}
        return {key: without_the_run(part, besides) for key, part in value.items() if key not in left_out}
    if isinstance(value, list | tuple):
        parts = [without_the_run(part, besides) for part in value]
        # _verify's failures stand in the order in which they came.
        nodes = all(isinstance(part, dict) and "node_id" in part for part in parts)
        return sorted(parts, key=lambda part: str(part["node_id"])) if nodes else parts
    if isinstance(value, str):
        return OF_ONE_RUN.sub("…", value)
    return value


def found(ran):
    """What a user is told of every check, but for the commands: those go the carrier's way."""
    seen = ("outcome", "severity", "observed", "expected")
    return {(o.check, o.node): without_the_run([getattr(o, field) for field in seen]) for o in ran.outcomes}


def test_the_lab_is_broken_as_meant(ran):
    """Else equal runs would prove nothing."""
    wrong = {outcome.node for outcome in ran(REFERENCE).outcomes if outcome.outcome == "fail"}
    assert {node for _, node in BROKEN} <= wrong
    assert ran(REFERENCE).status == 1


@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if carrier != REFERENCE])
def test_every_carrier_finds_the_same(ran, carrier):
    ours, theirs = ran(carrier), ran(REFERENCE)
    assert {node.login.carrier for node in ours.survey.nodes} == {carrier}
    assert found(ours) == found(theirs)
    assert [(c.id, c.nodes) for c in ours.diagnosis.causes] == [(c.id, c.nodes) for c in theirs.diagnosis.causes]
    assert ours.status == theirs.status


@pytest.mark.parametrize("carrier", BY_LOGIN)
def test_every_login_brings_the_same_facts_and_remedies(ran, carrier):
    ours, theirs = ran(carrier), ran(REFERENCE)
    assert without_the_run(ours.survey) == without_the_run(theirs.survey)
    assert without_the_run(ours.outcomes) == without_the_run(theirs.outcomes)
    assert without_the_run(ours.diagnosis) == without_the_run(theirs.diagnosis)


def test_commands_and_sessions_bring_the_same_facts(ran):
    ours, theirs = (without_the_run(ran(carrier).survey, OF_A_CARRIER) for carrier in ("ssm", REFERENCE))
    assert ours == theirs
    assert {node.view.carrier for node in ran("ssm").survey.nodes} == {"session"}
