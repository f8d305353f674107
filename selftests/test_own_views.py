"""Whose Elasticsearch a survey over ssm:// asks: few of many, and whoever those did not tell of."""

import threading

import msgspec
import pytest
from surveys import healthy

from preflight import own_views, survey
from preflight.asked import PENDING, Asked
from preflight.connection.connections import Connections
from preflight.facts import Unknown
from preflight.inventory import Node
from preflight.questions import Settings, Wanted


class Api:
    """An Elasticsearch that answers for one cluster."""

    def __init__(self, cluster):
        self.given = cluster

    def cluster(self, view, asked):
        return msgspec.structs.replace(self.given, asked=asked)


@pytest.fixture
def gathering(monkeypatch):
    """A run over ssm:// in which every node has told its facts; asked: whose Elasticsearch was asked, in turn."""

    def make(nodes, clusters, refused=()):
        settings = Settings(connections=Connections(5.0, False))
        wanted = Wanted.of(frozenset({"cluster"}))
        given = [Node(name=facts.name, host=f"i-{at:017x}", carrier="ssm") for at, facts in enumerate(nodes)]
        made = survey._Gathering(given, settings, wanted, lambda line: None, threading.Event())
        facts_of, made.turns = {facts.name: facts for facts in nodes}, []
        for asked in made.asked:
            facts = facts_of[asked.node.name]
            asked.sections |= {"process": facts.process, "routing": facts.routing}
            asked.write(view=PENDING, answered=True, login=facts.login)

        def ask_view(asked):
            made.turns.append(asked.node.name)
            if asked.node.name in refused:
                asked.write(view=Unknown(reason="refused"))
                return
            view = facts_of[asked.node.name].view
            api = Api(next(cluster for cluster in clusters if cluster.uuid == view.cluster_uuid))
            asked.write(view=msgspec.structs.replace(view, carrier="session"), api=api)

        monkeypatch.setattr(Asked, "ask_view", ask_view)
        return made

    return make


def test_up_to_ten_nodes_are_each_asked_themselves(gathering):
    seen = healthy()
    run = gathering(seen.nodes, seen.clusters)
    (cluster,) = run._find_clusters()
    assert sorted(run.turns) == [node.name for node in seen.nodes] and cluster.uuid == seen.clusters[0].uuid


def test_of_more_the_others_have_the_view_of_the_cluster_that_was_told_of(gathering, monkeypatch):
    monkeypatch.setattr(own_views, "AT_ONCE", 1)
    seen = healthy()
    run = gathering(seen.nodes, seen.clusters)
    run._find_clusters()
    first, *others = run.asked
    assert run.turns == [first.node.name]
    assert [asked.view.node_id for asked in run.asked] == [node.view.node_id for node in seen.nodes]
    assert all(asked.api is first.api for asked in others)
    published = {member.id: member.http for member in seen.clusters[0].members}
    assert [a.view.url.partition("://")[2] for a in others] == [published[a.view.node_id] for a in others]


def test_who_is_in_no_cluster_that_was_told_of_is_asked_next(gathering, monkeypatch):
    monkeypatch.setattr(own_views, "AT_ONCE", 1)
    seen = healthy()
    (whole,) = seen.clusters
    *rest, apart = seen.nodes
    alone = msgspec.structs.replace(apart.view, cluster_uuid="another")
    members = {member.id: member for member in whole.members}
    clusters = (
        msgspec.structs.replace(whole, members=tuple(m for m in whole.members if m.id != alone.node_id)),
        msgspec.structs.replace(whole, uuid="another", members=(members[alone.node_id],)),
    )
    run = gathering((*rest, msgspec.structs.replace(apart, view=alone)), clusters)
    assert {cluster.uuid for cluster in run._find_clusters()} == {whole.uuid, "another"}
    assert run.turns == [rest[0].name, apart.name]


def test_where_the_first_tell_of_none_the_others_are_not_asked(gathering, monkeypatch):
    """A login that is refused is not tried on a fleet; the plugin that is missing is so for all."""
    monkeypatch.setattr(own_views, "AT_ONCE", 1)
    seen = healthy()
    first = seen.nodes[0]
    run = gathering(seen.nodes, seen.clusters, refused={first.name})
    assert run._find_clusters() == [] and run.turns == [first.name]
    assert all("was not asked: over ssm://" in asked.view.reason for asked in run.asked[1:])


def test_no_more_than_the_most_are_asked(gathering, monkeypatch):
    monkeypatch.setattr(own_views, "AT_ONCE", 1)
    monkeypatch.setattr(own_views, "MOST", 2)
    seen = healthy()
    (whole,) = seen.clusters
    views = [msgspec.structs.replace(node.view, cluster_uuid=node.name) for node in seen.nodes]
    nodes = [msgspec.structs.replace(node, view=view) for node, view in zip(seen.nodes, views, strict=True)]
    clusters = [
        msgspec.structs.replace(
            whole, uuid=v.cluster_uuid, members=tuple(m for m in whole.members if m.id == v.node_id)
        )
        for v in views
    ]
    run = gathering(nodes, clusters)
    run._find_clusters()
    assert len(run.turns) == 2
    assert [isinstance(asked.view, Unknown) for asked in run.asked] == [False, False] + [True] * (len(nodes) - 2)
