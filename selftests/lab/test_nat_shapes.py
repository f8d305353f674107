"""Elasticsearch in a network namespace of its own behind NAT on its host, as a container engine has it: green, and what
breaks on the host is told of that node."""

import re

import behind_nat
import pytest
from judged import checks
from suite_run import ON_THE_LAB, Ran

from lab import elasticsearch, faults, host, matrix, names, state
from lab.faults.fault import YML

pytestmark = ON_THE_LAB


class Engine:
    """Moves nodes' Elasticsearch behind their hosts, and back."""

    def __init__(self, nodes):
        self.nodes = nodes
        self.given = {node: host.execute(node, ["cat", YML]) for node in nodes}
        self.inside = []

    def move_in(self, nodes, bind):
        def move(node):
            self.inside.append(node)
            elasticsearch.systemctl(node, "stop")
            behind_nat.move_in(node)
            text = re.sub("^network[.]host:.*$", behind_nat.settings(node, bind), self.given[node], flags=re.MULTILINE)
            self.start(node, text)

        self.everywhere(nodes, move)

    def move_out(self):
        def move(node):
            elasticsearch.systemctl(node, "stop")
            behind_nat.move_out(node)
            self.start(node, self.given[node])

        self.everywhere(self.inside, move)

    def start(self, node, text):
        host.execute(node, ["sh", "-c", f"cat >{YML}"], stdin=text)
        elasticsearch.systemctl(node, "start")

    def everywhere(self, nodes, act):
        elasticsearch.everywhere(list(nodes), act)
        elasticsearch.wait_for_members(self.nodes)
        elasticsearch.wait_for_repository(self.nodes)


@pytest.fixture(scope="module")
def engine(lab):
    engine = Engine(lab.nodes)
    yield engine
    engine.move_out()


@pytest.fixture(scope="module")
def one(lab, engine):
    """One node behind its host: the one that the matrix breaks as a data node."""
    master = elasticsearch.master(lab.nodes)
    node = lab.nodes[-1] if lab.nodes[-1] != master else lab.nodes[-2]
    engine.move_in([node], behind_nat.ADDRESS)
    return node


def assert_green(ran, behind):
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text
    assert (ran.status, ran.diagnosis.causes) == (0, ()), ran.text
    for node in behind:
        found = ran.survey.node(node.name)
        assert (found.process.own_network_namespace, found.process.addresses) == (True, (behind_nat.ADDRESS,))
        assert found.view.url == f"https://{behind_nat.ADDRESS}:{names.HTTP_PORT}"
        assert (found.imds.in_namespace, found.imds.role) == (True, names.ROLE)
        assert all(bucket.signed_list.status == 200 for bucket in found.buckets)
        assert {path.source for path in found.paths if path.purpose.startswith("s3:")} == {node.address}
        assert {dial.outcome for dial in found.dials} == {"open"}
        assert f"{node.address}:{names.TRANSPORT_PORT}" in {m.transport for m in ran.survey.clusters[0].members}


def test_one_node_behind_its_host(one, tmp_path):
    """It is asked where it listens, its role is proven from where it asks, and the host's routes are compared."""
    ran = Ran(tmp_path / "all")
    assert_green(ran, [one])
    assert not any(node.imds.in_namespace for node in ran.survey.nodes if node.name != one.name)
    alone = Ran(tmp_path / "alone", hosts=one.name)
    assert_green(alone, [one])
    assert len(alone.outcomes) == len(checks())


def test_without_sudo_what_is_seen_from_the_host_is_not_taken_for_the_namespace_s(one, tmp_path):
    """Nobody but root may enter it."""
    ran = Ran(tmp_path, "--sudo-user=elasticsearch")
    found = ran.survey.node(one.name)
    assert (found.process.own_network_namespace, found.imds.in_namespace) == (True, False)
    assert "network namespace of its own" in found.buckets[0].signed_list.reason
    assert {o.outcome for o in ran.outcomes} <= {"pass", "not applicable"}, ran.text


def test_a_default_route_of_the_host_that_leads_nowhere(lab, one, tmp_path):
    """The host's own table is to blame, though the node's own namespace has no fault."""
    with state.lock():
        broken = state.require()
        placed = matrix.bring_about(broken, matrix.Cell("route-drift", matrix.DATA))
        behind_nat.end_connections(one, names.AWS_ADDRESS)
    try:
        assert placed.by_who["victim"] == one
        ran = Ran(tmp_path)
        assert matrix.judge(ran, matrix.declared(broken, placed, set(checks()))).misses == (), ran.text
    finally:
        with state.lock():
            faults.heal(state.require())


def test_every_node_behind_its_host_with_the_same_address_there(lab, engine, one, tmp_path):
    """As in an image: they listen on every address they have."""
    engine.move_in([node for node in lab.nodes if node != one], "0.0.0.0")
    ran = Ran(tmp_path)
    assert_green(ran, lab.nodes)
    assert {node.view.node_name for node in ran.survey.nodes} == {node.name for node in lab.nodes}
