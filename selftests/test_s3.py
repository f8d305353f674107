"""Where a node's requests for a repository go."""

import pytest
from msgspec.structs import replace
from surveys import healthy

from preflight.facts import Repository, S3Client
from preflight.s3 import endpoint, is_aws, region_of


def asked(repository=None, *, client=None, node=None):
    survey = healthy()
    found = node or survey.nodes[0]
    member = survey.member_of(survey.nodes[0])
    if client is not None:
        member = replace(member, clients=(client,))
    return endpoint(found, member, repository or Repository(name="r", type="s3", bucket="b-1"))


def test_a_client_with_a_region_only_goes_to_awss_host_of_that_region():
    found = asked()
    assert (found.host, found.port, found.tls) == ("b-1.s3.ap-northeast-2.amazonaws.com", 443, True)
    assert (found.region, found.source, found.aws) == ("ap-northeast-2", "client", True)


@pytest.mark.parametrize(
    ("version", "host"),
    [
        ("7.17.29", "b-1.s3.amazonaws.com"),
        ("8.18.0", "b-1.s3.amazonaws.com"),
        ("8.19.21", "b-1.s3.ap-northeast-2.amazonaws.com"),
        ("9.0.4", "b-1.s3.amazonaws.com"),
        ("9.5.2", "b-1.s3.ap-northeast-2.amazonaws.com"),
    ],
)
def test_aws_sdk_v1_asks_for_the_global_host_whatever_the_region(version, host):
    """As running, and as installed where nothing runs."""
    survey = healthy(version=version)
    node, repository = survey.nodes[0], Repository(name="r", type="s3", bucket="b-1")
    found = endpoint(node, survey.member_of(node), repository)
    assert (found.host, found.region) == (host, "ap-northeast-2")
    installed = replace(node, install=replace(node.install, version=version))
    assert endpoint(installed, None, repository).host == host


def test_the_repositorys_own_settings_beat_the_clients():
    repository = Repository(name="r", type="s3", bucket="b-1", region="eu-west-1")
    assert (asked(repository).region, asked(repository).source) == ("eu-west-1", "repository")


def test_an_endpoint_that_is_not_aws_is_not_aws():
    found = asked(client=S3Client(name="default", endpoint="http://minio.internal:9000", path_style_access=True))
    assert (found.host, found.port, found.tls, found.aws) == ("minio.internal", 9000, False, False)


def test_an_endpoint_without_a_scheme_takes_the_clients_protocol():
    found = asked(client=S3Client(name="default", endpoint="minio.internal", protocol="http"))
    assert (found.host, found.port, found.tls) == ("b-1.minio.internal", 80, False)


def test_a_regional_endpoint_gives_the_region():
    found = asked(client=S3Client(name="default", endpoint="s3.eu-central-1.amazonaws.com"))
    assert (found.region, found.source, found.aws) == ("eu-central-1", "endpoint", True)


def test_imds_gives_the_region_where_nothing_else_does():
    found = asked(client=S3Client(name="default"))
    assert (found.region, found.source) == ("ap-northeast-2", "IMDS")


@pytest.mark.parametrize("bucket", ["with.dots", "UPPER", "a_b"])
def test_a_bucket_that_cannot_stand_in_a_host_name_stands_in_the_path(bucket):
    found = asked(Repository(name="r", type="s3", bucket=bucket))
    assert (found.host, found.path_style) == ("s3.ap-northeast-2.amazonaws.com", True)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3.amazonaws.com", "us-east-1"),
        ("s3-fips.us-west-2.amazonaws.com", "us-west-2"),
        ("s3.ap-northeast-2.amazonaws.com", "ap-northeast-2"),
        ("s3-us-west-1.amazonaws.com", "us-west-1"),
        ("s3.dualstack.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("bucket.vpce-0a1b.s3.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
        ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("storage.example.com", None),
    ],
)
def test_the_region_in_a_host_name(host, region):
    assert region_of(host) == region


def test_a_name_that_only_contains_awss_is_not_aws():
    assert not is_aws("s3.amazonaws.com.example.com")
    assert not is_aws("notamazonaws.com")
    assert is_aws("s3.cn-north-1.amazonaws.com.cn")
