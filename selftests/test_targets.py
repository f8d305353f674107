"""What a node is told to try."""

import re

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, node_id

from preflight import targets
from preflight.facts import Config, Repository, Unknown


def test_every_other_members_published_ports_are_dialled():
    survey = healthy()
    dials = targets.members(survey.clusters[0], node_id("es-1"))
    assert [(d["member"], d["port"], d["target"]) for d in dials if d["member"] != node_id("es-1")] == [
        (node_id(f"es-{n}"), port, f"198.18.0.1{n}:{number}")
        for n in (2, 3)
        for port, number in (("transport", 9300), ("http", 9200))
    ]


def test_a_nodes_own_http_is_dialled_for_its_certificate_alone():
    dials = targets.members(healthy().clusters[0], node_id("es-1"))
    assert [d for d in dials if d["member"] == node_id("es-1")] == [
        {"member": node_id("es-1"), "port": "http", "target": "198.18.0.11:9200", "tls": True, "show": True}
    ]
    plain = surveys.with_member(healthy(), "es-1", http_tls=False).clusters[0]
    assert node_id("es-1") not in {d["member"] for d in targets.members(plain, node_id("es-1"))}


def test_behind_a_nat_a_nodes_own_http_is_dialled_where_it_listens():
    """There need be no way from within to the address that it publishes."""
    dials = targets.members(healthy().clusters[0], node_id("es-1"), "172.17.0.2:9200")
    assert [d["target"] for d in dials if d["member"] == node_id("es-1")] == ["172.17.0.2:9200"]
    assert {d["target"] for d in dials if d["port"] == "http"} == {
        "172.17.0.2:9200",
        "198.18.0.12:9200",
        "198.18.0.13:9200",
    }


def test_only_http_that_is_known_to_speak_tls_is_shown_a_handshake():
    dials = targets.members(surveys.with_member(healthy(), "es-2", http_tls=False).clusters[0], None)
    assert [d["member"] for d in dials if d.get("tls")] == [node_id("es-1"), node_id("es-3")]
    assert not [d for d in dials if d["port"] == "transport" and "tls" in d]


def test_of_a_large_cluster_every_certificate_is_handed_on_by_three_nodes():
    cluster = healthy(9).clusters[0]
    handed_on = [
        dial["member"] for member in cluster.members for dial in targets.members(cluster, member.id) if dial.get("show")
    ]
    assert {handed_on.count(member.id) for member in cluster.members} == {3}


@pytest.mark.parametrize("address", ["127.0.0.1:9200", "169.254.7.7:9200", "[fe80::1]:9200"])
def test_an_address_that_stays_on_its_host_is_nobody_elses_to_dial(address):
    cluster = surveys.with_member(healthy(), "es-3", http=address).clusters[0]
    assert address not in {d["target"] for d in targets.members(cluster, node_id("es-1"))}


def test_without_a_cluster_what_the_others_listen_on_is_assumed():
    survey = healthy()
    process = replace(survey.nodes[0].process, listeners=("0.0.0.0:9301", "[::ffff:10.0.0.2]:9201"))
    dials = targets.assumed([("es-2", "10.0.0.2", process), ("es-3", "10.0.0.3", None)])
    assert [d["target"] for d in dials] == ["10.0.0.2:9301", "[::ffff:10.0.0.2]:9201", "10.0.0.3:9300", "10.0.0.3:9200"]


def test_an_assumed_ipv6_address_stands_in_brackets():
    assert [d["target"] for d in targets.assumed([("es-2", "fd00::2", None)])] == ["[fd00::2]:9300", "[fd00::2]:9200"]


def test_a_node_whose_listeners_cannot_be_seen_is_the_one_member_at_its_address():
    survey = healthy()
    node, cluster, hidden = survey.nodes[1], survey.clusters[0], Unknown(reason="no sudo", remedy="use --sudo")
    found = targets.matched("es-2", "es-2", hidden, node.routing, cluster, survey.nodes[0].view)
    assert found.node_id == node_id("es-2")
    twin = replace(cluster.members[1], id="another", transport="198.18.0.12:9301")
    crowded = replace(cluster, members=(*cluster.members, twin))
    assert targets.matched("es-2", "es-2", hidden, node.routing, crowded, survey.nodes[0].view) == hidden


@pytest.mark.parametrize(
    ("listeners", "settings", "expected"),
    [
        (("198.18.0.11:9200", "198.18.0.11:9300"), {}, ["https://198.18.0.11:9200", "http://198.18.0.11:9200"]),
        (("0.0.0.0:9201",), {"xpack.security.http.ssl.enabled": "true"}, ["https://127.0.0.1:9201"]),
        (("[fd00::1]:9200",), {"xpack.security.http.ssl.enabled": "false"}, ["http://[fd00::1]:9200"]),
        (
            ("10.0.0.1:9200", "10.0.0.1:19200"),
            {"http.port": "19200"},
            ["https://10.0.0.1:19200", "http://10.0.0.1:19200"],
        ),
        (("127.0.0.1:9200",), {"xpack.security.http.ssl.enabled": "true"}, ["https://127.0.0.1:9200"]),
        (
            ("10.0.0.1:9300", "10.0.0.1:19201"),
            {"http.port": "19200-19300", "xpack.security.http.ssl.enabled": "true"},
            ["https://10.0.0.1:19201"],
        ),
    ],
)
def test_where_a_nodes_own_http_is_asked(listeners, settings, expected):
    process = replace(healthy().nodes[0].process, listeners=listeners)
    config = Config(path="/etc/elasticsearch/elasticsearch.yml", modified=0.0, settings=settings, names=())
    assert targets.http(process, config, healthy().nodes[0].routing) == expected


def test_what_listens_everywhere_in_a_namespace_of_its_own_is_asked_at_its_address_there():
    """The host's loopback is another; an engine may listen there for it."""
    process = replace(
        healthy().nodes[0].process, listeners=("[::]:9200",), own_network_namespace=True, addresses=("172.17.0.2",)
    )
    config = Config(path="", modified=0.0, settings={"xpack.security.http.ssl.enabled": "true"}, names=())
    found = targets.http(process, config, healthy().nodes[0].routing)
    assert found == [f"https://{host}:9200" for host in ("172.17.0.2", "127.0.0.1", "198.18.0.11")]


def test_where_no_listener_can_be_seen_loopback_and_then_the_hosts_addresses_are_tried():
    assert targets.http(Unknown(reason="no sudo"), Unknown(reason="no sudo"), healthy().nodes[0].routing) == [
        "https://127.0.0.1:9200",
        "http://127.0.0.1:9200",
        "https://198.18.0.11:9200",
        "http://198.18.0.11:9200",
    ]


def test_the_roles_credentials_are_for_aws_alone():
    survey = healthy()
    other = Repository(name="minio", type="s3", bucket="b", endpoint="https://minio.internal")
    cluster = replace(survey.clusters[0], repositories=(*survey.clusters[0].repositories, other))
    wanted = {
        question["repository"]: question for question in targets.buckets(survey.nodes[0], cluster, write="always")
    }
    assert wanted["s3_backup"]["sign"] is True
    assert wanted["minio"]["sign"] is False
    assert "minio.internal is not AWS" in wanted["minio"]["why_not"]
    assert wanted["s3_backup"]["marker"] and wanted["minio"]["marker"] is None


def marker(survey, write, **settings):
    (repository,) = survey.clusters[0].repositories
    cluster = replace(survey.clusters[0], repositories=(replace(repository, **settings),))
    return targets.buckets(survey.nodes[0], cluster, write=write)[0]["marker"]


def test_a_marker_is_written_as_the_repository_writes_and_never_twice_under_one_key():
    found = marker(healthy(), "always", server_side_encryption=True, canned_acl="private", storage_class="standard_ia")
    assert found["headers"] == {
        "x-amz-server-side-encryption": "AES256", "x-amz-acl": "private", "x-amz-storage-class": "STANDARD_IA",
    }  # fmt: skip
    assert re.fullmatch(r"prod/tests-preflight-[0-9a-f-]{36}/marker.dat", found["key"])
    assert marker(healthy(), "always", base_path="")["key"].startswith("tests-preflight-")
    assert marker(healthy(), "always") != marker(healthy(), "always")


@pytest.mark.parametrize("fault", [surveys.stale_keys, surveys.env_keys])
def test_a_fix_that_hangs_on_the_role_asks_for_a_marker_unbidden(fault):
    assert marker(healthy(), "for a fix") is None
    assert marker(fault(healthy(), "es-1"), "for a fix") is not None
    assert marker(fault(healthy(), "es-1"), "for a fix", client="other") is None or fault is surveys.env_keys
    assert marker(fault(healthy(), "es-1"), "never") is None


def test_nothing_is_written_into_a_read_only_repository():
    assert marker(healthy(), "always", readonly=True) is None


def test_without_a_role_nothing_is_signed():
    survey = healthy()
    node = replace(survey.nodes[0], imds=replace(survey.nodes[0].imds, role=None))
    assert [q["why_not"] for q in targets.buckets(node, survey.clusters[0], write="always")] == ["IMDS names no role"]
