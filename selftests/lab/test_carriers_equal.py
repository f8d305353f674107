"""One broken lab, surveyed over every carrier: the same outcomes, findings, causes and facts, whatever brought them.

A further carrier is one more row of CARRIERS.
"""

import os
import re
import sys

import msgspec
import pytest
from suite_run import Ran

from lab import faults, state

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="the lab's namespaces and mounts need root on Linux"
    ),
]

BROKEN = (("stale-keystore", "es-2"), ("route-drift", "es-3"))

REFERENCE = "paramiko"
CARRIERS = {
    REFERENCE: ("--connection=paramiko",),
    "ssh": ("--connection=ssh",),
}
"""Carrier to the options that choose it for the inventory's nodes."""

MEASURED = {
    "started", "finished", "milliseconds", "slowest", "clock", "clock_offset", "first", "last", "expires", "youngest",
    "last_success", "last_failure", "fingerprint",
}  # fmt: skip
"""Fields that differ from run to run over one carrier too: times, and what hangs on a key drawn for the run."""

OF_THE_CARRIER = {"login"}


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
            runs[carrier] = Ran(tmp_path_factory.mktemp(carrier), *CARRIERS[carrier])
        return runs[carrier]

    yield over
    with state.lock():
        faults.heal(state.require())


def without_times(value):
    """The facts as plain values, without what a clock says."""
    if isinstance(value, dict):
        dropped = MEASURED | OF_THE_CARRIER
        return {key: without_times(part) for key, part in value.items() if key not in dropped}
    if isinstance(value, (list, tuple)):
        return [without_times(part) for part in value]
    if isinstance(value, str):
        return re.sub(r"\b\d+(\.\d+)? ?(ms|s|seconds|minutes)\b", "N s", value)
    return value


def test_the_lab_is_broken_as_meant(ran):
    """Else equal runs would prove nothing."""
    wrong = {outcome.node for outcome in ran(REFERENCE).outcomes if outcome.outcome == "fail"}
    assert {node for _, node in BROKEN} <= wrong
    assert ran(REFERENCE).status == 1


@pytest.mark.parametrize("carrier", [carrier for carrier in CARRIERS if carrier != REFERENCE])
def test_every_carrier_brings_the_same(ran, carrier):
    """Outcomes, findings with their remedies, causes, facts and exit status."""
    ours, theirs = ran(carrier), ran(REFERENCE)
    assert {node.login.carrier for node in ours.survey.nodes} == {carrier}
    assert without_times(msgspec.to_builtins(ours.outcomes)) == without_times(msgspec.to_builtins(theirs.outcomes))
    assert without_times(msgspec.to_builtins(ours.diagnosis)) == without_times(msgspec.to_builtins(theirs.diagnosis))
    assert without_times(msgspec.to_builtins(ours.survey)) == without_times(msgspec.to_builtins(theirs.survey))
    assert ours.status == theirs.status
