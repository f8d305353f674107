"""The way to the bucket but for its routes: the name's address, the clock."""

from __future__ import annotations

import pytest
import surveys
from judged import judged, not_passed
from msgspec.structs import replace
from surveys import clock_skew, dns_wrong, healthy, route_upstream, with_node

from preflight import remedy
from preflight.diagnosis import diagnose
from preflight.facts import CouldNotCheck, Marker, SignedList, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import clock, path, refusals, role, signing


def judge(survey, name="es-2", rule=clock.agrees):
    return rule(survey, survey.node(name))


def buckets(survey, name="es-2", **changes):
    return with_node(survey, name, buckets=tuple(replace(b, **changes) for b in survey.node(name).buckets))


def drifts(survey, name, seconds):
    """The node's own clock goes another way than the controller's."""
    return with_node(survey, name, system=replace(survey.node(name).system, clock_offset=seconds))


# PATH-2


@pytest.mark.parametrize("seconds", [0.0, 4.0, -4.0, 299.0, -299.0])
def test_less_than_five_minutes_is_no_finding(seconds):
    assert judge(clock_skew(healthy(), "es-2", seconds)) is None


@pytest.mark.parametrize(("seconds", "side"), [(301.0, "ahead of"), (-899.0, "behind")])
def test_from_five_minutes_it_is_worth_a_look(seconds, side):
    finding = judge(clock_skew(healthy(), "es-2", seconds))
    assert finding.warning and side in finding.observed and "refuses" not in finding.observed


def test_from_fifteen_s3_refuses():
    finding = judge(clock_skew(healthy(), "es-2", -1200.0))
    assert not finding.warning
    assert finding.observed == (
        "this node's clock is 20 minutes behind S3's: S3 refuses a signature by it (RequestTimeTooSkewed)"
    )
    assert finding.details == ("beside the clock of the machine this suite runs on: +0.0 s",)
    assert judge(clock_skew(healthy(), "es-2", -1200.0), "es-1") is None


def test_where_s3_did_not_answer_a_companion_s_answer_stands_in():
    """Both nodes' clocks are known beside the controller's: 16 minutes ahead of the companion is 16 ahead of S3."""
    cut = route_upstream(healthy(), "es-2")
    assert judge(cut) is None
    finding = judge(drifts(cut, "es-2", 960.0))
    assert not finding.warning and "16 minutes ahead" in finding.observed


def test_without_any_answer_of_s3_it_could_not_be_checked():
    survey = healthy()
    for name in ("es-1", "es-2", "es-3"):
        survey = buckets(survey, name, clock_offset=None)
    with pytest.raises(CouldNotCheck, match="no node had an answer from S3"):
        judge(survey)
    late = Unknown(reason="no answer to the second question")
    for name in ("es-1", "es-2", "es-3"):
        survey = with_node(survey, name, buckets=late)
    with pytest.raises(CouldNotCheck, match="second question"):
        judge(survey)


def test_behind_a_proxy_the_clock_is_nobody_s_to_compare():
    survey = surveys.yml_names(clock_skew(healthy(), "es-2"), "es-2", "s3.client.default.proxy.host")
    with pytest.raises(NotApplicable, match="through a proxy"):
        judge(survey)


def test_a_clock_that_verify_trips_over_explains_it_too():
    sentence = "The difference between the request time and the current time is too large."
    survey = surveys.verify_fails(clock_skew(healthy(), "es-2"), "es-2", sentence)
    assert refusals.meaning(sentence).kind == "clock"
    (cause,) = diagnose(survey, judged(survey)).causes
    assert (cause.id, set(cause.explains)) == ("clock-skew", {("PATH-2", "es-2"), ("REPO-1", "es-2")})


def test_no_clock_is_stepped_by_a_printed_command():
    commands = remedy.set_clock(healthy().node("es-2")).commands
    assert not any("makestep" in command.text or "set-time" in command.text for command in commands)


# The name


def named(survey, name="es-2"):
    (bucket,) = survey.node(name).buckets
    return path.misnamed(survey, survey.node(name), bucket)


def test_a_name_that_dns_and_the_others_have_elsewhere_is_the_cause():
    survey = dns_wrong(healthy(), "es-2")
    assert named(survey) == (
        f"line 4 of /etc/hosts gives {surveys.BUCKET} the address 198.18.1.99; DNS alone gives this node 198.18.1.10, "
        "es-1 reaches it at 198.18.1.10 and es-3 reaches it at 198.18.1.10"
    )
    assert "an address of /etc/hosts, line 4" in judge(survey, rule=path.reaches_buckets).observed


def test_a_line_of_hosts_that_works_is_nobody_s_finding():
    """As for an interface endpoint that DNS knows nothing of."""
    survey = buckets(healthy(), "es-2", addresses=("10.0.0.7",), hosts_lines=(9,), resolver=("52.219.1.1",))
    assert not_passed(judged(survey)) == {}


def test_a_line_that_all_have_and_one_cannot_reach_is_a_matter_of_routes():
    survey = route_upstream(healthy(), "es-2")
    for name in ("es-1", "es-2", "es-3"):
        survey = buckets(survey, name, addresses=("10.0.0.7",), hosts_lines=(9,), resolver=None)
    assert named(survey) is None
    assert [cause.id for cause in diagnose(survey, judged(survey)).causes] == ["route-upstream"]


def test_the_only_node_there_is_knows_it_from_dns():
    assert named(dns_wrong(healthy(1), "es-1"), "es-1").endswith("DNS alone gives this node 198.18.1.10")
    alone = buckets(dns_wrong(healthy(1), "es-1"), "es-1", resolver=None)
    assert named(alone, "es-1") is None


def test_a_name_without_an_address_where_others_have_one():
    gone = {"dns": "dns", "addresses": (), "tcp": None, "tls": None, "head_status": None, "bucket_region": None}
    survey = buckets(healthy(), "es-2", **gone, clock_offset=None)
    outcomes = judged(survey)
    assert not_passed(outcomes) == {("PATH-1", "es-2"): "fail"}
    (cause,) = diagnose(survey, outcomes).causes
    assert (cause.id, cause.title) == ("dns-wrong", "es-2: no address for S3's name, where other nodes have one")
    assert any("resolv.conf" in command.text for command in cause.remedy.commands)


def test_the_name_alone_is_taken_out_of_its_line_and_only_where_dns_has_another():
    survey = dns_wrong(healthy(), "es-2")
    mend = remedy.reach_bucket(survey, survey.node("es-2"))
    assert mend.caution is None
    assert mend.commands[1].text == (
        "sudo sed -i.before-preflight-20251124T104000Z -E "
        r"'4s/[[:blank:]]es-snapshots\.s3\.ap-northeast-2\.amazonaws\.com([[:blank:]]|$)/\1/I' /etc/hosts"
    )
    unsure = remedy.reach_bucket(survey, buckets(survey, resolver=None).node("es-2"))
    assert unsure.caution and not any("sed" in command.text for command in unsure.commands)


# The bucket


def test_a_read_only_repository_proves_no_snapshot():
    """`_verify` passes on it, by reading alone."""
    survey = surveys.repository_readonly(healthy(), "es-1")
    diagnosis = diagnose(survey, judged(survey))
    assert diagnosis.verdict == (
        "Nothing found wrong; snapshots to S3 are not proven (every S3 repository is registered as read-only)."
    )
    assert diagnosis.notes == ("registered as read-only: s3_backup; _verify reads there and writes nothing",)


def test_a_404_from_elsewhere_than_aws_says_nothing_of_a_bucket():
    survey = surveys.change_buckets(healthy(), "es-2", head_status=404, host="minio.internal")
    assert judge(survey, rule=path.reaches_buckets) is None


def test_a_missing_bucket_is_seen_without_verify_too():
    survey = surveys.bucket_missing(healthy(read_only=True), "es-2")
    finding = judge(survey, rule=path.reaches_buckets)
    assert finding.observed == (
        "s3_backup: S3 has no bucket es-snapshots-2019.s3.ap-northeast-2.amazonaws.com (HTTP 404 to HEAD)"
    )
    mend = remedy.reach_bucket(survey, survey.node("es-2"))
    assert mend.caution and not any("mb" in c.text or "create" in c.text or "DELETE" in c.text for c in mend.commands)


# The certificate


def test_the_jvm_s_own_store_decides_unless_verify_passes():
    survey = surveys.tls_untrusted(healthy(), "es-2")
    finding = judge(survey, rule=path.reaches_buckets)
    assert not finding.warning and finding.observed.endswith("by the JVM's /etc/ssl/certs/java/cacerts")
    works = surveys.with_cluster(survey, verifications=healthy().clusters[0].verifications)
    finding = judge(works, rule=path.reaches_buckets)
    assert finding.warning and finding.observed.endswith("yet _verify passes")


def test_the_host_s_store_is_said_to_be_that():
    survey = surveys.change_buckets(
        surveys.tls_untrusted(healthy(), "es-2"), "es-2", trust_store=None, host_trusts=None
    )
    works = surveys.with_cluster(survey, verifications=healthy().clusters[0].verifications)
    finding = judge(works, rule=path.reaches_buckets)
    assert finding.warning and finding.observed.endswith("that is this host's trust store, Elasticsearch has the JVM's")
    (cause,) = diagnose(survey, judged(survey)).causes
    assert (cause.id, cause.confidence) == ("tls-untrusted", "likely")


def test_what_is_printed_of_a_certificate_shows_both_sides_and_changes_nothing():
    survey = surveys.tls_untrusted(healthy(), "es-2")
    mend = remedy.reach_bucket(survey, survey.node("es-2"))
    assert [command.text.split()[0] for command in mend.commands] == ["openssl", "ls"]
    assert any("update-ca-certificates --fresh" in line for line in mend.advice)
    elsewhere = surveys.change_buckets(survey, "es-2", trust_store="/usr/share/elasticsearch/jdk/lib/security/cacerts")
    mend = remedy.reach_bucket(elsewhere, elsewhere.node("es-2"))
    assert "/usr/share/elasticsearch/jdk/bin/keytool -list" in mend.commands[1].text
    assert any("-Djavax.net.ssl.trustStore" in line for line in mend.advice)


# The marker


DENIED = SignedList(status=403, code="AccessDenied", message="Access Denied")
DONE = SignedList(status=200, code=None, message=None)


def tried(survey, name="es-2", **steps):
    steps = {
        "put": DONE,
        "get": DONE,
        "delete": SignedList(status=204, code=None, message=None),
        "left": False,
        **steps,
    }
    return surveys.change_buckets(survey, name, marker=Marker(key="prod/tests-preflight-1/marker.dat", **steps))


def test_a_marker_that_went_all_the_way_is_no_finding_and_proves_the_role():
    survey = tried(healthy())
    assert not_passed(judged(survey)) == {}
    assert role.unproven(survey.node("es-2"), survey.clusters[0].repositories) is None


def test_a_role_that_lists_and_may_not_write_is_no_proven_one():
    """The keys stay until the role can do what they do."""
    survey = tried(surveys.stale_keys(healthy(), "es-2"), put=DENIED, get=None, delete=None)
    mend = remedy.remove_static_keys(survey, survey.node("es-2"))
    assert mend.caution is not None
    assert role.unproven(survey.node("es-2"), survey.clusters[0].repositories) == (
        "S3 answers the role's put of a marker object with HTTP 403 AccessDenied: Access Denied"
    )
    survey = tried(healthy(), put=DENIED, get=None, delete=None)
    finding = judge(survey, rule=signing.reaches)
    assert "S3 refuses role es-node the put of a marker object: HTTP 403 AccessDenied" in finding.observed


def test_a_marker_that_could_not_be_deleted_is_named():
    survey = tried(healthy(), delete=DENIED, left=True)
    diagnosis = diagnose(survey, judged(survey))
    assert "prod/tests-preflight-1/marker.dat" in " ".join(diagnosis.notes)
    assert not_passed(judged(survey))[("ROLE-3", "es-2")] in ("fail", "warning")


def test_a_step_without_an_answer_could_not_be_checked():
    silent = SignedList(status=0, code=None, message="no answer (timeout)")
    with pytest.raises(CouldNotCheck, match="put of a marker object"):
        judge(tried(healthy(), put=silent, get=None), rule=signing.reaches)
