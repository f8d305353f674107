"""Nodes outside the others' cluster or in one of their own, and addresses at which another node answers."""

from __future__ import annotations

import subprocess

import pytest
import surveys
import yaml
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import STARTED, configured, healthy, node_id, with_member, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import NO_CLUSTER, CouldNotCheck
from preflight.rules import cluster, joining, ports, repository, tls


def viewed(survey, name, **changes):
    return with_node(survey, name, view=replace(survey.node(name).view, **changes))


def test_the_larger_cluster_is_meant_by_members_that_were_not_given_too():
    """One of three was given, and the one that stands apart: two nodes, and no majority among them."""
    survey = surveys.cluster_split(healthy(), "es-3")
    survey = replace(survey, nodes=(survey.node("es-1"), survey.node("es-3")))

    assert joining.usual(survey) == surveys.UUID
    assert cluster.membership(survey, survey.node("es-1")) is None
    assert cluster.membership(survey, survey.node("es-3")).observed.startswith("es-3 is a member of es-lab (")


def test_of_two_clusters_of_one_size_neither_is_called_right():
    """Both fail, under one cause without a command that changes anything."""
    survey = surveys.cluster_split(healthy(2), "es-2")
    outcomes = judged(survey)

    assert {("CLUSTER-1", "es-1"), ("CLUSTER-1", "es-2")} <= not_passed(outcomes).keys()
    (cause,) = [c for c in diagnose(survey, outcomes).causes if c.id == "cluster-split"]
    assert cause.nodes == ("es-1", "es-2")
    assert cause.title.endswith("which of them is meant is not known")
    assert all("_cat/indices" in command.text for command in cause.remedy.commands)


def test_the_split_is_told_with_what_made_it():
    """And nothing is put aside by a command before somebody has looked."""
    survey = surveys.cluster_split(healthy(), "es-2")
    (cause,) = diagnose(survey, judged(survey)).causes

    assert cause.title == "two clusters: es-2 apart from es-1 and es-3"
    assert any("discovery.seed_hosts names nobody" in line for line in cause.evidence)
    assert any("cluster.initial_master_nodes names this node alone" in line for line in cause.evidence)
    assert cause.remedy.caution and all(" mv " not in command.text for command in cause.remedy.commands)
    moved = "sudo mv -T /var/lib/elasticsearch /var/lib/elasticsearch.before"
    assert any(moved in line for line in cause.remedy.advice)


@pytest.mark.parametrize("uuid", [surveys.UUID, NO_CLUSTER])
def test_a_node_without_a_master_is_compared_with_the_cluster_it_is_missing_from(uuid):
    """It knows it by its data, or it has never joined one; its other checks go on."""
    survey = viewed(surveys.node_outside(healthy(), "es-2"), "es-2", cluster_uuid=uuid)
    outcomes = judged(survey)

    unchecked = {(check, "es-2"): "could not check" for check in ("CLUSTER-3", "REPO-1", "SNAP-1")}
    assert not_passed(outcomes) == {("CLUSTER-1", "es-2"): "fail", **unchecked}
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.nodes) == ("node-outside-cluster", ("es-2",))


def test_data_of_another_cluster_is_no_case_for_a_restart():
    """Its cluster would not let it in, and whose data that is has to be known first."""
    survey = viewed(surveys.node_outside(healthy(), "es-2"), "es-2", cluster_uuid="Another" + "A" * 15)
    mend = remedy.join(survey, survey.node("es-2"))

    assert "another cluster" in mend.caution
    assert not any("restart" in command.text for command in mend.commands)


def test_where_no_node_sees_a_master_none_is_outside():
    """Then the cluster has none, and that is what each is told."""
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = viewed(survey, name, master_id=None)
    survey = surveys.with_cluster(survey, master_id=None)

    assert [joining.outside(survey, node) for node in survey.nodes] == [None] * 3
    assert {o for (check, _), o in not_passed(judged(survey)).items() if check == "CLUSTER-1"} == {"fail"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"discovery__seed_hosts": "10.0.0.9, 10.0.0.8:9301"}, "names 10.0.0.8 and 10.0.0.9, where no member is seen"),
        ({"discovery__seed_hosts": ""}, "names nobody, so it looks on its own host alone"),
        ({"discovery__seed_hosts": "es-seeds.internal"}, None),
        ({"discovery__seed_hosts": "10.0.0.9,198.18.0.13:9300"}, None),
        ({"discovery__seed_hosts": "[::ffff]:9300", "discovery__seed_providers": "ec2"}, None),
        ({"discovery__seed_hosts": "", "discovery__seed_providers": "file"}, None),
    ],
)
def test_whom_it_looks_for_is_wrong_only_where_that_is_shown(settings, said):
    """A name may lead anywhere, a provider knows what elasticsearch.yml does not."""
    survey = configured(surveys.node_outside(healthy(), "es-2"), "es-2", **settings)
    found = joining.misled(survey.node("es-2"), survey.clusters[0], survey)

    assert [one.text for one in found] == ([f"discovery.seed_hosts {said}"] if said else [])
    mend = remedy.join(survey, survey.node("es-2"))
    assert any("systemctl restart" in command.text for command in mend.commands) is bool(said)
    assert bool(mend.caution) is not bool(said)


def test_another_cluster_name_is_put_right():
    """The others' is known from what they answer."""
    survey = viewed(surveys.node_outside(healthy(), "es-2"), "es-2", cluster_name="es-lag")
    survey = configured(survey, "es-2", cluster__name="es-lag", discovery__seed_hosts="198.18.0.11")
    (found,) = joining.misled(survey.node("es-2"), survey.clusters[0], survey)

    assert found.text == "cluster.name is es-lag, and the others' is es-lab"
    assert "'cluster.name: es-lab'" in remedy.join(survey, survey.node("es-2")).commands[0].text


FILES = {
    "a list in lines": "node.name: es-2\ndiscovery.seed_hosts:\n  - 10.0.0.9\n\n  - 10.0.0.8\nhttp.port: 9200\n",
    "a list in one line": 'discovery.seed_hosts: ["10.0.0.9", "10.0.0.8"]\nnode.name: es-2\nhttp.port: 9200',
    "brackets over lines": 'node.name: es-2\ndiscovery.seed_hosts: [\n  "10.0.0.9",\n]\nhttp.port: 9200\n',
    "two lists in a row": "discovery.seed_hosts:\n- 10.0.0.9\ncluster.initial_master_nodes:\n- es-2\nnode.name: es-2\n"
    "http.port: 9200\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_printed_change_of_the_file_leaves_the_rest_of_it(text, tmp_path):
    """Typed as printed on real files, but for sudo; the copy is the file as it was."""
    file = tmp_path / "elasticsearch.yml"
    file.write_text(text)
    survey = surveys.cluster_split(healthy(), "es-2")
    node = survey.node("es-2")
    config = replace(node.config, path=str(file), names=tuple(yaml.safe_load(text)))
    survey = with_node(survey, "es-2", config=config)
    settings = {"discovery.seed_hosts", "cluster.initial_master_nodes"} & set(config.names)
    (command,) = remedy.joining.change_settings(survey, survey.node("es-2"), survey.clusters[0], settings)
    subprocess.run(["bash", "-ec", command.text.replace("sudo ", "")], check=True, timeout=10, capture_output=True)

    wanted = {"node.name": "es-2", "http.port": 9200}
    wanted["discovery.seed_hosts"] = ["198.18.0.11", "198.18.0.12", "198.18.0.13"]
    assert yaml.safe_load(file.read_text()) == wanted
    (copy,) = tmp_path.glob("*.before-preflight-*")
    assert copy.read_text() == text


def test_nested_keys_are_left_alone(tmp_path):
    """A second, flat one beside them would end the next start."""
    text = "discovery:\n  seed_hosts: [10.0.0.9]\n"
    file = tmp_path / "elasticsearch.yml"
    file.write_text(text)
    survey = surveys.node_outside(healthy(), "es-2")
    survey = with_node(survey, "es-2", config=replace(survey.node("es-2").config, path=str(file)))
    settings = {"discovery.seed_hosts"}
    (command,) = remedy.joining.change_settings(survey, survey.node("es-2"), survey.clusters[0], settings)
    done = subprocess.run(["bash", "-c", command.text.replace("sudo ", "")], timeout=10, capture_output=True)

    assert done.returncode != 0
    assert file.read_text() == text


def met(survey, source, target, fingerprint):
    dials = tuple(
        replace(d, chain=(fingerprint,)) if (d.member, d.port) == (node_id(target), "http") else d
        for d in survey.node(source).dials
    )
    return with_node(survey, source, dials=dials)


@pytest.fixture
def crossed():
    return met(healthy(), "es-1", "es-2", surveys.certificate(3).fingerprint)


def test_who_answers_is_told_by_the_certificate_that_it_shows_itself(crossed):
    """One source alone: it is told of that one, and TLS-1 holds nothing against the node that is meant."""
    assert ports.http(crossed, crossed.node("es-1")).observed == (
        "seen from es-1, es-3 answers at 198.18.0.12:9200, the address of es-2"
    )
    assert ports.http(crossed, crossed.node("es-3")) is None
    assert tls.valid(crossed, crossed.node("es-2")) is None


def test_one_certificate_for_all_nodes_tells_them_apart_nowhere():
    """A wildcard, or a list of names: healthy, and quiet."""
    survey = healthy()
    for source in ("es-1", "es-2", "es-3"):
        for target in ("es-1", "es-2", "es-3"):
            survey = met(survey, source, target, surveys.certificate(1).fingerprint)

    assert not_passed(judged(survey)) == {}


def test_an_address_that_its_host_does_not_have_tells_nothing(crossed):
    """Behind a translated address a node need not meet itself there."""
    survey = with_node(crossed, "es-2", routing=surveys.routing("10.9.0.2"))

    assert ports.http(survey, survey.node("es-1")) is None


def test_a_balanced_address_shows_whom_it_likes():
    """Several members publish one: each dial may meet another of them."""
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = with_member(survey, name, http="198.18.0.99:9200")
    survey = met(survey, "es-1", "es-2", surveys.certificate(3).fingerprint)

    assert tls.valid(survey, survey.node("es-2")) is None


@pytest.mark.parametrize(("started", "offset", "judged_by"), [(-60, 0, True), (3, 0, False), (3, 2.5, True)])
def test_verify_of_a_process_that_has_ended_is_not_held_against_the_next(started, offset, judged_by):
    """By its own clock put right: neither its failure nor its success is this one's."""
    survey = surveys.verify_asked(surveys.verify_fails(healthy(), "es-2", surveys.STALE), STARTED + 2)
    node = survey.node("es-2")
    process = replace(node.process, started=STARTED + started)
    survey = with_node(survey, "es-2", process=process, system=replace(node.system, clock_offset=offset))

    if judged_by:
        assert repository.verifies(survey, survey.node("es-2")).observed.startswith("_verify of s3_backup failed")
    else:
        with pytest.raises(CouldNotCheck, match="was started after _verify of s3_backup had been called"):
            repository.verifies(survey, survey.node("es-2"))
    assert repository.verifies(survey, survey.node("es-3")) is None


@pytest.mark.parametrize("cut", [("es-1", "es-3"), ("es-1",)])
def test_a_node_that_opens_nobodys_transport_is_outside_because_of_that(cut):
    """Nothing in its settings is told to be wrong then; where one peer's port opens it is no explanation."""
    survey = surveys.node_outside(healthy(), "es-2")
    survey = configured(survey, "es-2", discovery__seed_hosts="198.18.0.11,198.18.0.13")
    for target in cut:
        survey = surveys.port_fails(survey, "es-2", target, "timeout")
    causes = {cause.id: cause for cause in diagnose(survey, judged(survey)).causes}

    if len(cut) == 1:
        assert ("CLUSTER-1", "es-2") in causes["node-outside-cluster"].explains
        return
    assert list(causes) == ["port-blocked"]
    assert {("PORT-1", "es-2"), ("CLUSTER-1", "es-2")} <= set(causes["port-blocked"].explains)
    assert any("sees no elected master" in line for line in causes["port-blocked"].evidence)


def test_shut_ports_are_no_reason_to_keep_silent_on_settings_that_lead_elsewhere():
    survey = surveys.node_outside(healthy(), "es-2")
    for target in ("es-1", "es-3"):
        survey = surveys.port_fails(survey, "es-2", target, "timeout")
    causes = [cause.id for cause in diagnose(survey, judged(survey)).causes]

    assert causes == ["port-blocked", "node-outside-cluster"]
