"""Remote clusters: read from settings, dialled by who opens connections to them, and never a reason for a red mark."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import SEED, healthy, node_id, with_cluster, with_member, with_node, with_remote

from preflight import answers, targets
from preflight.diagnosis import diagnose, packets
from preflight.facts import Remote, Unknown

VICTIM = "es-2"


def outcomes(survey):
    return {o.node: o.outcome for o in judged(survey) if o.check == "PORT-3"}


def test_one_node_that_does_not_reach_it_is_a_warning_and_its_cause():
    survey = with_remote(healthy(), shut=(VICTIM,), skip_unavailable=False)
    assert not_passed(judged(survey)) == {("PORT-3", VICTIM): "warning"}
    (cause,) = diagnose(survey, judged(survey)).causes
    assert (cause.id, cause.nodes, cause.explains) == (
        "remote-cluster-unreachable",
        (VICTIM,),
        (("PORT-3", VICTIM),),
    )
    assert cause.title == "es-2: remote cluster archive not reached; snapshots do without"
    assert cause.evidence == (
        "es-2 to archive 10.9.0.7:9300: timeout after 5001 ms, tried twice",
        "es-1 and es-3 reach it",
        "archive: searches that name it fail (skip_unavailable)",
    )
    assert [command.text for command in cause.remedy.commands][:2] == [
        "ip route get 10.9.0.7",
        "sudo nft list ruleset || sudo iptables -S",
    ]
    assert cause.remedy.caution and cause.remedy.commands[2].text.endswith("/_remote/info'")


def test_one_that_all_reach_is_quiet_and_its_path_is_no_members():
    survey = with_remote(healthy())
    assert outcomes(survey) == dict.fromkeys(("es-1", "es-2", "es-3"), "pass")
    assert not_passed(judged(survey)) == {}
    for name in ("es-1", "es-2", "es-3"):
        dials = tuple(replace(d, path_mtu=1500 if d.port == "remote" else 9001) for d in survey.node(name).dials)
        survey = with_node(survey, name, dials=dials)
    assert packets.notes(survey) == ()


def test_one_seed_of_several_is_enough():
    survey = with_remote(healthy(), addresses=("10.9.0.8:9300", SEED))
    dials = tuple(replace(d, outcome="refused") if d.target == SEED else d for d in survey.node(VICTIM).dials)
    assert outcomes(with_node(survey, VICTIM, dials=dials))[VICTIM] == "pass"


def test_who_opens_no_connections_there_is_not_asked():
    survey = with_member(with_remote(healthy(), shut=(VICTIM,)), VICTIM, roles=("data", "master"))
    assert outcomes(survey)[VICTIM] == "not applicable"
    cluster = survey.clusters[0]
    dialled = {
        name: [t for t in targets.members(cluster, node_id(name)) if t["port"] == "remote"] for name in ("es-1", VICTIM)
    }
    assert dialled == {"es-1": [{"member": "archive", "port": "remote", "target": SEED}], VICTIM: []}
    before_roles = with_member(survey, VICTIM, version="7.6.2")
    assert targets.members(before_roles.clusters[0], node_id(VICTIM))[-1]["port"] == "remote"


def test_none_configured_is_not_applicable_even_where_a_node_cannot_say_which_it_is():
    survey = with_node(healthy(), VICTIM, view=Unknown(reason="no answer"))
    assert set(outcomes(survey).values()) == {"not applicable"}


def test_settings_that_may_not_be_read_are_no_pass():
    told = Unknown(reason="Elasticsearch forbids this", remedy="give it the role")
    members = tuple(replace(member, remotes=told) for member in healthy().clusters[0].members)
    assert set(outcomes(with_cluster(healthy(), members=members)).values()) == {"could not check"}


FILE = {"cluster.remote.archive.seeds": ["10.0.0.1:9300", "es-a:9300"], "cluster.remote.old.seeds": "10.0.0.2:9300"}


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, [Remote(name="archive", mode="sniff", addresses=("10.0.0.1:9300", "es-a:9300")),
              Remote(name="old", mode="sniff", addresses=("10.0.0.2:9300",))]),
        ({"persistent": {"cluster.remote.old.seeds": [], "cluster.remote.archive.skip_unavailable": "true"}},
         [Remote(name="archive", mode="sniff", addresses=("10.0.0.1:9300", "es-a:9300"), skip_unavailable=True)]),
        ({"persistent": {"cluster.remote.archive.mode": "proxy", "cluster.remote.archive.server_name": "a.example",
                         "cluster.remote.archive.proxy_address": "proxy.example:9443"},
          "transient": {"cluster.remote.old.seeds": ["[2001:db8::1]:9301"]}},
         [Remote(name="archive", mode="proxy", addresses=("proxy.example:9443",)),
          Remote(name="old", mode="sniff", addresses=("[2001:db8::1]:9301",))]),
        ({"persistent": {"cluster.remote.old.proxy": "10.0.0.9:9400", "cluster.remote.archive.seeds": ["nonsense"],
                         "cluster.remote.initial_connect_timeout": "30s"}},
         [Remote(name="old", mode="sniff", addresses=("10.0.0.9:9400",))]),
    ],
)  # fmt: skip
def test_the_clusters_settings_come_before_the_files(settings, found):
    assert list(answers.remotes(FILE, settings)) == found
