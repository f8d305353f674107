"""One broken lab, surveyed over every carrier: the same outcomes, findings, causes and facts, whatever brought them.

A further carrier is one more row of CARRIERS.
"""

import os
import re
import sys

import msgspec
import pytest
from suite_run import Ran

from lab import elasticsearch, faults, names, state

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]


def over_ssh(carrier):
    """The inventory's nodes, logged in to by that carrier."""

    def run(lab, directory):
        return Ran(directory, f"--connection={carrier}")

    return run


def over_ssm(lab, directory):
    """The same nodes as instances; Elasticsearch is asked at an address, which is never told to AWS."""
    return Ran(
        directory,
        f"--es-url=https://{elasticsearch.master(lab.nodes).address}:{names.HTTP_PORT}",
        f"--es-ca={names.CERTIFICATES / 'elasticsearch-ca.crt'}",
        hosts=",".join(f"ssm://{node.name}" for node in lab.nodes),
        environ={"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")},
    )


REFERENCE = "paramiko"
CARRIERS = {REFERENCE: over_ssh("paramiko"), "ssh": over_ssh("ssh"), "ssm": over_ssm}

BY_LOGIN = [carrier for carrier in CARRIERS if carrier not in (REFERENCE, "ssm")]
"""Carriers that ask every node for everything: ssm:// brings neither fingerprints nor a node's view of the cluster."""

BROKEN = (("stale-keystore", "es-2"), ("route-drift", "es-3"))

MEASURED = {
    "started", "finished", "milliseconds", "slowest", "clock", "clock_offset", "first", "last", "expires", "youngest",
    "last_success", "last_failure", "fingerprint",
}  # fmt: skip
"""Fields that differ from run to run over one carrier too: times, and what hangs on a key drawn for the run."""


OF_ONE_RUN = re.compile(
    r"\b\d+(\.\d+)? ?(ms|s|seconds|minutes)\b"  # how long it took
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
    runs = {}

    def over(carrier):
        if carrier not in runs:
            runs[carrier] = CARRIERS[carrier](lab, tmp_path_factory.mktemp(carrier))
        return runs[carrier]

    yield over
    with state.lock():
        faults.heal(state.require())


def without_the_run(value):
    """Plain values, without the login and what belongs to one run."""
    value = msgspec.to_builtins(value)
    if isinstance(value, dict):
        return {key: without_the_run(part) for key, part in value.items() if key not in {*MEASURED, "login"}}
    if isinstance(value, list | tuple):
        return [without_the_run(part) for part in value]
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
