"""REGION: the region each client really uses, by version and source."""

from __future__ import annotations

import pytest
import surveys
from msgspec.structs import replace
from surveys import healthy, region_missing, with_cluster, with_member, with_node

from preflight.facts import CouldNotCheck, Repository, S3Client, Unknown
from preflight.judgement import NotApplicable
from preflight.rules import region


def agrees(survey, name="es-2"):
    return region.agrees(survey, survey.node(name))


def blind(survey):
    """Nobody was told the bucket's region."""
    for node in survey.nodes:
        survey = with_node(survey, node.name, buckets=tuple(replace(b, bucket_region=None) for b in node.buckets))
    return with_cluster(survey, verifications=Unknown(reason="_verify was not called"))


def using(survey, name, value):
    return with_member(survey, name, clients=(S3Client(name="default", region=value),))


def test_another_region_than_the_buckets():
    """The bucket is right, whatever the majority says; only the node that contradicts it fails."""
    survey = using(using(healthy(), "es-2", "us-east-1"), "es-3", "us-east-1")

    assert agrees(survey, "es-1") is None
    finding = agrees(survey, "es-2")
    assert finding.observed == ("s3_backup (client default): us-east-1 from s3.client settings in elasticsearch.yml")
    assert finding.expected == "ap-northeast-2, the bucket's region"


def test_nodes_differ_where_the_bucket_is_silent():
    """Off the strict majority fails; the majority itself cannot be proven right."""
    survey = blind(using(healthy(), "es-2", "eu-west-1"))

    assert agrees(survey, "es-2").observed.endswith("es-1 uses ap-northeast-2 and es-3 uses ap-northeast-2")
    with pytest.raises(CouldNotCheck, match="no node could ask S3"):
        agrees(survey, "es-1")


def test_two_nodes_that_differ_both_fail():
    """Without a majority nobody can say which of them is right."""
    survey = blind(using(healthy(2), "es-2", "eu-west-1"))

    assert agrees(survey, "es-1") is not None
    assert agrees(survey, "es-2") is not None


def test_agreement_that_nobody_could_hold_against_the_bucket_is_no_pass():
    """All three may be wrong."""
    with pytest.raises(CouldNotCheck, match="no node could ask S3"):
        agrees(blind(healthy()))


def test_only_a_regions_name_is_taken_for_one():
    """What S3's header says is printed in a command."""
    survey = surveys.with_node(healthy(1), "es-1", buckets=(replace(surveys.bucket(), bucket_region="x|e;id #"),))

    assert region.bucket_region(survey, survey.node("es-1"), "s3_backup") is None


def test_a_good_verify_is_s3s_own_word():
    """Behind a proxy no node can ask S3 itself; what it accepts is signed for its region."""
    survey = with_cluster(blind(healthy()), verifications=healthy().clusters[0].verifications)

    assert agrees(survey) is None


@pytest.mark.parametrize(
    ("version", "endpoint", "red"),
    [
        ("7.17.29", "s3.amazonaws.com", False),
        ("8.18.0", "https://s3.amazonaws.com", False),
        ("8.19.21", "s3.amazonaws.com", True),
        ("7.17.29", "s3.eu-west-1.amazonaws.com", True),
    ],
)
def test_the_default_endpoint_written_out(version, endpoint, red):
    """SDK v1 goes there anyway and finds the bucket; SDK v2 takes it for us-east-1."""
    survey = with_member(healthy(version=version), "es-2", clients=(S3Client(name="default", endpoint=endpoint),))

    assert (agrees(survey) is not None) is red


def test_a_companion_that_reached_s3_is_believed():
    """The node's own path is cut; the bucket's region is known all the same."""
    assert agrees(surveys.s3_cut_off(healthy(), "es-2")) is None
    assert agrees(using(surveys.s3_cut_off(healthy(), "es-2"), "es-2", "us-east-1")) is not None


def test_nothing_gives_a_region():
    """8.19 without setting, environment or IMDS falls back to us-east-1."""
    survey = region_missing(healthy(), "es-2")
    survey = with_node(survey, "es-2", imds=replace(survey.node("es-2").imds, region=None))

    assert "falls back to us-east-1" in agrees(survey).observed


@pytest.mark.parametrize(
    ("version", "warned"), [("8.19.0", True), ("9.1.0", True), ("9.5.2", True), ("8.18.3", False), ("9.0.1", False)]
)
def test_imds_alone_is_worth_a_warning_only_where_it_is_asked(version, warned):
    """AWS SDK v2 asks IMDS at start; SDK v1 asks the bucket."""
    survey = region_missing(healthy(version=version), "es-2")
    finding = region.not_from_imds_alone(survey, survey.node("es-2"))

    assert (finding is not None) is warned
    assert agrees(survey) is None


@pytest.mark.parametrize(
    ("changes", "source"),
    [
        ({"region_property": "ap-northeast-2", "region_environment": "eu-west-1"}, "-Daws.region"),
        ({"region_environment": "ap-northeast-2"}, "AWS_REGION"),
        ({}, "IMDS"),
    ],
)
def test_order_of_what_a_start_gives(changes, source):
    """Property before variable before IMDS."""
    survey = region_missing(healthy(), "es-2")
    survey = with_node(survey, "es-2", process=replace(survey.node("es-2").process, **changes))
    (repository,) = region.judged(survey, survey.node("es-2"))

    assert region.used(survey, survey.node("es-2"), repository) == ("ap-northeast-2", source)


def test_the_repositorys_own_region_wins():
    """Since 7.7 a repository may carry client settings of its own."""
    mine = Repository(name="s3_backup", type="s3", bucket="es-snapshots", region="eu-west-1")
    finding = agrees(with_cluster(healthy(), repositories=(mine,)))

    assert finding.observed == "s3_backup (client default): eu-west-1 from the repository's own settings"


def test_unknown_imds_leaves_the_region_undecided():
    """Only IMDS could give it, and nobody could see IMDS."""
    survey = with_node(region_missing(healthy(), "es-2"), "es-2", imds=Unknown(reason="IMDS was not asked"))

    with pytest.raises(CouldNotCheck, match="IMDS was not asked"):
        agrees(survey)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (lambda: healthy(version="7.6.2"), "has no region setting"),
        (lambda: with_cluster(healthy(), repositories=()), "no S3 repository"),
        (lambda: with_member(healthy(), "es-2", roles=("ingest",)), "never reads or writes snapshots"),
    ],
)
def test_where_no_region_is_needed(shape, reason):
    """Not applicable, each with its reason."""
    with pytest.raises(NotApplicable, match=reason):
        agrees(shape())


@pytest.mark.parametrize(
    "setting", ["cloud.aws.region", "cloud.aws.s3.region", "repositories.s3.region", "cloud.aws.access_key"]
)
def test_removed_settings_are_named(setting):
    """The node runs today and will not start tomorrow."""
    config = healthy().node("es-2").config
    survey = with_node(healthy(), "es-2", config=replace(config, names=(*config.names, setting)))
    finding = region.removed_settings(survey.node("es-2"))

    assert finding.observed == f"{setting} in elasticsearch.yml: this node will not start again (unknown setting)"
    assert region.removed_settings(healthy().node("es-2")) is None


def test_two_clusters_are_not_compared():
    """A run over two clusters compares each within itself."""
    survey = blind(using(healthy(2), "es-2", "eu-west-1"))
    other = replace(survey.clusters[0], uuid="another-uuid-another-uu")
    view = replace(survey.node("es-2").view, cluster_uuid=other.uuid)
    survey = replace(with_node(survey, "es-2", view=view), clusters=(*survey.clusters, other))

    with pytest.raises(CouldNotCheck, match="no node could ask S3"):
        agrees(survey, "es-2")
