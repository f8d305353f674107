"""What it costs to judge what AWS says, by the processor's time: it must not grow with the square of the nodes."""

import time

import judged as judging
import pytest
import surveys
from fleets import fleet
from msgspec.structs import replace

CHECKS = {id: found for id, found in judging.checks().items() if id.startswith("AWS-")}
MOST_MILLISECONDS = 2.0
"""For all of AWS's checks on one node, of 300."""


def milliseconds_a_node(survey):
    """Processor's time, and how often each (check, outcome) came."""
    began, counts = time.process_time(), {}
    for node in survey.nodes:
        for check, function in CHECKS.values():
            key = (check.id, judging.outcome(check, function, survey, node.name).outcome)
            counts[key] = counts.get(key, 0) + 1
    return (time.process_time() - began) * 1000 / len(survey.nodes), counts


@pytest.fixture(scope="module")
def many():
    with pytest.MonkeyPatch.context() as patch:
        yield fleet(300, patch)


def test_a_healthy_fleet_of_300(many, record_property):
    spent, counts = milliseconds_a_node(many)
    record_property("milliseconds a node", round(spent, 2))
    print(f"healthy: {spent:.2f} ms a node")
    assert {outcome for _, outcome in counts} <= {"pass", "not applicable"}
    assert spent < MOST_MILLISECONDS


def _all_time_out(node):
    return tuple(d if d.member == surveys.node_id(node.name) else replace(d, outcome="timeout") for d in node.dials)


def test_300_that_no_group_lets_through_to_one_another(many, record_property):
    """Every pair times out on both ports: 179,400 pairs."""
    closed = tuple(replace(group, rules=group.rules[1:]) for group in many.aws.groups)
    survey = replace(many, aws=replace(many.aws, groups=closed))
    nodes = tuple(replace(n, dials=_all_time_out(n)) for n in survey.nodes)
    survey = replace(survey, nodes=nodes)
    spent, counts = milliseconds_a_node(survey)
    record_property("milliseconds a node", round(spent, 2))
    print(f"every pair closed: {spent:.2f} ms a node")
    assert counts["AWS-1", "fail"] == 300
    # Linear in its 598 closed pairs, about 20 microseconds each; 29 ms before what pairs share was asked once.
    assert spent < 25
