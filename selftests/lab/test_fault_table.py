"""What each fault declares: read as the outcomes of a whole lab."""

import pytest

from lab import faults
from lab.state import Lab

CHECKS = (
    "NODE-1",
    "KEY-1",
    "REPO-1",
    "PORT-1",
    "PATH-1",
    "ROUTE-1",
    "REGION-2",
    "SRC-1",
    "SRC-2",
    "CLUSTER-1",
    "CLUSTER-2",
)


@pytest.fixture
def lab():
    return Lab(3, "8.19.21", "", complete=True)


def expected(lab, fault, victim, is_master=False):
    return faults.expected(fault, CHECKS, lab, lab.node(victim), is_master=is_master)


def test_a_stale_key_on_a_data_node_is_that_nodes_alone(lab):
    assert expected(lab, "stale-keystore", "es-2") == {("KEY-1", "es-2"): "fail", ("REPO-1", "es-2"): "fail"}


def test_a_stale_key_on_the_master_keeps_verify_from_everybody_else(lab):
    assert expected(lab, "stale-keystore", "es-2", is_master=True) == {
        ("KEY-1", "es-2"): "fail",
        ("REPO-1", "es-2"): "fail",
        ("REPO-1", "es-1"): "could not check",
        ("REPO-1", "es-3"): "could not check",
    }


@pytest.mark.parametrize(("victim", "peer"), [("es-1", "es-2"), ("es-2", "es-3"), ("es-3", "es-1")])
def test_a_dropped_port_is_seen_by_one_peer(lab, victim, peer):
    assert expected(lab, "port-dropped", victim) == {("PORT-1", peer): "fail"}


def test_a_refused_port_is_seen_by_all_others(lab):
    assert expected(lab, "port-refused", "es-2") == {("PORT-1", "es-1"): "fail", ("PORT-1", "es-3"): "fail"}


def test_a_host_that_is_off_blocks_every_other_check_of_its_own(lab):
    found = expected(lab, "host-down", "es-3")
    assert found.pop(("NODE-1", "es-3")) == "could not check"
    assert found == {(check, "es-3"): "blocked" for check in CHECKS[1:] if check != "CLUSTER-2"}


def test_a_missing_region_says_nothing_to_versions_whose_sdk_asks_s3(lab):
    assert expected(lab, "region-missing", "es-1") == {("REGION-2", "es-1"): "warning"}
    lab.version = "8.18.0"
    assert expected(lab, "region-missing", "es-1") == {}


@pytest.mark.parametrize("fault", ["env-keys", "jvm-option-keys"])
def test_keys_from_the_start_are_ignored_before_8_19(lab, fault):
    assert expected(lab, fault, "es-1") == {("SRC-1", "es-1"): "fail", ("REPO-1", "es-1"): "fail"}
    assert ("REPO-1", "es-3") in expected(lab, fault, "es-1", is_master=True)
    lab.version = "8.18.0"
    assert expected(lab, fault, "es-1", is_master=True) == {("SRC-2", "es-1"): "warning"}


def test_who_has_left_is_no_member(lab):
    lab.broken = [("host-down", "es-1"), ("stale-keystore", "es-2")]
    assert [node.name for node in faults.expected_members(lab)] == ["es-2", "es-3"]


def test_every_row_says_what_it_breaks_and_has_an_outcome():
    for name, fault in faults.FAULTS.items():
        harmless = name == "repository-readonly"
        assert fault.what and bool(fault.then.cause) == bool(fault.then.outcomes) == (not harmless), name
        assert not (fault.restarts and fault.leaves), name
