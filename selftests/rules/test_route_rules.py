"""ROUTE and PATH: what is compared, with whom, and what the diff shows."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, route, route_own, route_upstream, routing, with_node

from preflight.facts import ChosenPath, CouldNotCheck, Rule, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import path, routes


def judge(survey, name="es-2", rule=routes.taken):
    return rule(survey, survey.node(name))


def drifted(name="es-2", count=3, **options):
    return route_own(healthy(count, **options), name)


def test_the_odd_one_out_fails_with_a_diff():
    """Off the strict majority; the diff names the routes as each host has them."""
    finding = judge(drifted())

    assert not finding.warning
    assert finding.observed == (
        "traffic to S3 (s3_backup) goes through host 254 of its own subnet; "
        "es-1's through its own subnet or its subnet's gateway"
    )
    assert finding.details == (
        "--- es-1",
        "+++ es-2",
        "@@ -1,2 +1,2 @@",
        "-default via its subnet's gateway    [default via 198.18.0.1 dev eth0]",
        "+default via host 254 of its own subnet    [default via 198.18.0.254 dev eth0]",
        " its own subnet",
    )
    assert judge(drifted(), "es-1") is None


def test_the_majority_is_no_reference_for_itself():
    """A drifted first node is compared with the others, not they with it."""
    assert "es-2's through" in judge(drifted("es-1"), "es-1").observed
    assert judge(drifted("es-1"), "es-2") is None


def test_two_that_differ_are_a_warning_on_both():
    """Nobody can say which is right."""
    survey = drifted(count=2)

    for name in ("es-1", "es-2"):
        finding = judge(survey, name)
        assert finding.warning
        assert finding.expected.endswith("or the other way round: no majority")


def test_a_named_reference_decides():
    """--reference turns the majority round."""
    survey = drifted(reference="es-2")

    assert not judge(survey, "es-1").warning
    assert "as on es-2" in judge(survey, "es-1").expected
    with pytest.raises(NotApplicable, match="this is the reference node"):
        judge(survey, "es-2")


@pytest.mark.parametrize("reference", ["es-9"])
def test_a_reference_that_was_not_given(reference):
    """Said, with what to type."""
    with pytest.raises(CouldNotCheck, match="none of the given nodes"):
        judge(drifted(reference=reference))


def test_a_reference_that_could_not_be_surveyed():
    """Its own reason is given."""
    survey = surveys.host_down(healthy(reference="es-1"), "es-1")

    with pytest.raises(CouldNotCheck, match="es-1 could not be surveyed"):
        judge(survey)


@pytest.mark.parametrize("kind", ["blackhole", "unreachable", "prohibit", "none"])
def test_a_dead_route_fails_whatever_the_others_have(kind):
    """Even where every node has it, S3 is cut off."""
    survey = healthy()
    for node in survey.nodes:
        dead = tuple(replace(p, kind=kind, gateway=None) if p.purpose.startswith("s3:") else p for p in node.paths)
        survey = with_node(survey, node.name, paths=dead)
    finding = judge(survey)

    assert not finding.warning
    assert finding.observed == f"the route to S3 (s3_backup) is {kind}"


def test_one_node_alone_cannot_be_compared():
    """Not applicable rather than green."""
    with pytest.raises(NotApplicable, match="no other surveyed node"):
        judge(healthy(1), "es-1")


def test_unknown_paths_are_no_pass():
    """And the others are compared without it."""
    survey = with_node(healthy(), "es-2", paths=Unknown(reason="ip is not installed"))

    with pytest.raises(CouldNotCheck, match="ip is not installed"):
        judge(survey)
    assert judge(survey, "es-1") is None


def test_a_peer_behind_another_gateway_is_a_difference():
    """Traffic between members takes a detour on one node."""
    node = healthy().node("es-2")
    paths = tuple(
        replace(p, kind="gateway", gateway="198.18.0.9") if p.purpose.startswith("peer:") else p for p in node.paths
    )
    finding = judge(with_node(healthy(), "es-2", paths=paths))

    assert finding.observed.startswith("traffic to its peers goes through host 9 of its own subnet")


def test_another_route_is_a_warning_of_route_2():
    """No traffic takes it today."""
    survey = with_node(
        healthy(), "es-2", routing=routing("198.18.0.12", extra=[route("10.9.0.0/16", gateway="198.18.0.9")])
    )
    finding = judge(survey, rule=routes.rest)

    assert judge(survey) is None
    assert finding.warning
    assert finding.observed == "routing tables differ from es-1's: +10.9.0.0/16 via host 9 of its own subnet"
    assert "+10.9.0.0/16 via host 9 of its own subnet    [10.9.0.0/16 via 198.18.0.9 dev eth0]" in finding.details
    assert judge(survey, "es-1", routes.rest) is None


def test_what_route_1_says_is_not_repeated():
    """The default route that S3's traffic takes is ROUTE-1's; the rest of the table is as the others'."""
    assert judge(drifted(), rule=routes.rest) is None


def test_both_where_both_differ():
    """A drifted default and a stray route beside it."""
    survey = drifted()
    table = survey.node("es-2").routing
    stray = route("10.9.0.0/16", gateway="198.18.0.9")
    survey = with_node(survey, "es-2", routing=replace(table, routes=(*table.routes, stray)))
    finding = judge(survey, rule=routes.rest)

    assert judge(survey) is not None
    assert [line for line in finding.details if line.startswith(("+1", "+d", "-d"))] == [
        "+10.9.0.0/16 via host 9 of its own subnet    [10.9.0.0/16 via 198.18.0.9 dev eth0]"
    ]


def test_path_says_where_to_look():
    """The same failure, its table as its peers' or not."""
    upstream = judge(route_upstream(healthy(), "es-2"), rule=path.reaches_buckets)
    own = judge(drifted(), rule=path.reaches_buckets)

    assert upstream.observed == (
        "s3_backup: TCP to es-snapshots.s3.ap-northeast-2.amazonaws.com:443 (198.18.1.10): timeout after 3002 ms"
    )
    assert upstream.observed == own.observed
    assert upstream.details == (
        "own routing table: its traffic takes the same routes as es-1's, so the fault lies behind them",
    )
    assert own.details == ("own routing table: differs from the others', or leads nowhere (ROUTE-1)",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dns": "dns", "tcp": None, "tls": None, "addresses": ()}, "has no address (dns)"),
        ({"tcp": "refused", "tls": None}, "refused after 2 ms"),
        ({"tcp": "no-route", "tls": None}, "no route after 2 ms"),
        ({"tls": "certificate has expired"}, "TLS to es-snapshots.s3.ap-northeast-2.amazonaws.com:443: certificate"),
    ],
)
def test_each_step_of_the_path_is_told_apart(changes, said):
    """DNS, TCP and TLS have different owners."""
    survey = with_node(healthy(), "es-2", buckets=(replace(surveys.bucket(), **changes),))

    assert said in judge(survey, rule=path.reaches_buckets).observed


PRIVATE = "certificate verify failed: unable to get local issuer certificate"


@pytest.mark.parametrize(
    ("service", "verified", "warning"),
    [
        ("minio.example.net", True, True),
        ("minio.example.net", None, True),
        ("minio.example.net", False, False),
        ("s3.ap-northeast-2.amazonaws.com", True, True),
        ("s3.ap-northeast-2.amazonaws.com", None, False),
        ("s3.ap-northeast-2.amazonaws.com", False, False),
    ],
)
def test_an_authority_that_only_the_jvm_knows(service, verified, warning):
    """Elasticsearch asks the JVM's trust store: a warning where `_verify` passes, or where MinIO was not verified."""
    survey = surveys.with_member(healthy(), "es-2", clients=(surveys.S3Client(name="default", endpoint=service),))
    survey = with_node(survey, "es-2", buckets=(replace(surveys.bucket(), tls=PRIVATE),))
    if verified is None:
        survey = surveys.with_cluster(survey, verifications=Unknown(reason="_verify was not called"))
    elif not verified:
        survey = surveys.verify_fails(survey, "es-2", "PKIX path building failed")
    finding = judge(survey, rule=path.reaches_buckets)

    assert finding.warning is warning
    assert not any("routing table" in line for line in finding.details)


@pytest.mark.parametrize("changes", [{"tcp": None, "tls": None}, {"tls": None}])
def test_a_step_that_was_not_tried_is_no_pass(changes):
    """Not tried is not fine."""
    survey = with_node(healthy(), "es-2", buckets=(replace(surveys.bucket(), **changes),))

    with pytest.raises(CouldNotCheck, match="was not tried"):
        judge(survey, rule=path.reaches_buckets)


def test_a_bucket_that_was_not_tried_is_no_pass():
    """Registered between the two questions."""
    with pytest.raises(CouldNotCheck, match="was not tried"):
        judge(with_node(healthy(), "es-2", buckets=()), rule=path.reaches_buckets)


def test_a_reference_in_another_cluster_is_nobodys():
    """Comparisons stay within one cluster."""
    survey = healthy(reference="es-1")
    view = replace(survey.node("es-1").view, cluster_uuid="Z" * 22)
    survey = replace(
        with_node(survey, "es-1", view=view),
        clusters=(*survey.clusters, replace(survey.clusters[0], uuid="Z" * 22)),
    )

    with pytest.raises(NotApplicable, match="is in another cluster"):
        judge(survey)


def stray(survey, name="es-2"):
    extra = [route("10.9.0.0/16", gateway="198.18.0.9")]
    return with_node(survey, name, routing=routing(f"198.18.0.1{name[-1]}", extra=extra))


def test_the_rest_of_the_tables_beside_a_named_reference():
    """The reference itself is never judged; the others are, whatever the majority has."""
    survey = stray(healthy(reference="es-2"))

    assert judge(survey, "es-1", routes.rest).expected == "the same tables as es-2 (--reference)"
    with pytest.raises(NotApplicable, match="this is the reference node"):
        judge(survey, "es-2", routes.rest)
    with pytest.raises(CouldNotCheck, match="of the reference node es-2 is unknown"):
        judge(with_node(survey, "es-2", routing=Unknown(reason="no ip")), "es-1", routes.rest)


def test_the_rest_of_two_tables_that_differ():
    """Both are warned, and told that nobody knows which is right."""
    survey = stray(healthy(2))

    for name in ("es-1", "es-2"):
        assert judge(survey, name, routes.rest).expected.endswith("or the other way round: no majority")


def test_a_link_route_outside_the_own_subnets_is_a_difference():
    """S3 is not on this wire."""
    node = healthy().node("es-2")
    paths = tuple(replace(p, kind="on-link", gateway=None) if p.purpose.startswith("s3:") else p for p in node.paths)

    assert "directly, though outside its own subnets" in judge(with_node(healthy(), "es-2", paths=paths)).observed


def off_ec2(survey, *gateways):
    """Nodes of one subnet that are no instances, each with that default gateway."""
    for number, gateway in enumerate(gateways, start=1):
        name = f"es-{number}"
        none = replace(survey.node(name).imds, outcome="timeout", token_status=None, instance_id=None)
        paths = tuple(replace(p, gateway=gateway) if p.gateway else p for p in survey.node(name).paths)
        survey = with_node(survey, name, imds=none, routing=routing(f"198.18.0.1{number}", gateway), paths=paths)
    return survey


def test_off_ec2_a_gateway_is_the_subnets_where_all_its_hosts_say_so():
    """Two gateways in one subnet are a difference there too, and the reference says why it is one."""
    alike = off_ec2(healthy(), "198.18.0.254", "198.18.0.254", "198.18.0.254")
    assert [judge(alike, name) for name in ("es-1", "es-2", "es-3")] == [None] * 3
    assert routes.shape(alike, alike.node("es-1"))[-1] == ("its peers", (routes.NEAR,))

    odd = off_ec2(healthy(), "198.18.0.254", "198.18.0.9", "198.18.0.254")
    assert judge(odd, "es-1") is None
    finding = judge(odd)
    assert "through host 9 of its own subnet; es-1's through host 254 of its own subnet" in finding.observed
    assert finding.expected == "as on es-1 (2 of 3 nodes take these routes)"


def dns(survey, name, *kinds):
    asked = tuple(ChosenPath(purpose="dns", target=f"198.18.0.{2 + at}", kind=kind) for at, kind in enumerate(kinds))
    return with_node(survey, name, paths=(*survey.node(name).paths, *asked))


def test_a_resolver_that_no_route_leads_to():
    """One of two is no loss, all of them are."""
    survey = healthy()
    for name in ("es-1", "es-3"):
        survey = dns(survey, name, "on-link")
    assert judge(dns(survey, "es-2", "blackhole", "on-link")) is None
    assert "the route to DNS is blackhole" in judge(dns(survey, "es-2", "blackhole")).observed


def test_what_answers_a_peer_from_the_published_address_counts_too():
    """Its own connections go well; what leaves from the address that the others know goes into a blackhole."""
    survey = healthy()
    found = survey.node("es-2").paths
    answers = tuple(replace(p, kind="blackhole") for p in found if p.purpose.startswith("peer:"))
    assert "the route to its peers is blackhole" in judge(with_node(survey, "es-2", paths=found + answers)).observed


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        (route("default", gateway="198.18.0.254", table="7"), "from 198.18.0.12 lookup 7"),
        (route("default", gateway="198.18.0.1", table="7"), "from all to 10.0.0.0/8 lookup 7"),
        (route("default", gateway="198.18.0.1", table="7"), "from 198.18.0.12 prohibit"),
    ],
)
def test_a_policy_that_sends_something_another_way_is_shown(extra, rule):
    """A warning: what traffic takes today is as on the others."""
    rules = (Rule(family="inet", priority=100, text=rule),)
    table = replace(routing("198.18.0.12", extra=[extra]), rules=rules)
    finding = judge(with_node(healthy(), "es-2", routing=table), rule=routes.rest)
    assert finding.warning and "+rule from" in finding.observed
