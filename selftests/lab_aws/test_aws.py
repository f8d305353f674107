"""The lab's AWS answers the node role, a deleted key and nobody at all as AWS does."""

import datetime
import http.client
import io
import json
import socket
import ssl
from email.utils import parsedate_to_datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from lab import names
from lab.aws import EXPIRED, credentials_file, instances
from lab.aws_peers import Treatment, treat
from lab.errors import LabError

REGION_HOST = f"s3.{names.REGION}.amazonaws.com"
BUCKET_HOST = f"{names.BUCKET}.{REGION_HOST}"
STALE = "The AWS Access Key Id you provided does not exist in our records."


def refused(call, **arguments):
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


def ask(aws, method, host, path="/", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", aws.http, timeout=10)
    try:
        connection.request(method, path, headers={"Host": host, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()
    finally:
        connection.close()


# The role of the nodes


def test_the_role_writes_reads_lists_and_deletes_in_the_bucket(aws):
    s3 = aws.client("s3", aws.role_keys())
    s3.put_object(Bucket=names.BUCKET, Key="prod/a b+c", Body=b"content")
    assert s3.get_object(Bucket=names.BUCKET, Key="prod/a b+c")["Body"].read() == b"content"
    assert [o["Key"] for o in s3.list_objects_v2(Bucket=names.BUCKET, Prefix="prod/")["Contents"]] == ["prod/a b+c"]
    assert s3.head_bucket(Bucket=names.BUCKET)["BucketRegion"] == names.REGION
    assert s3.get_bucket_location(Bucket=names.BUCKET)["LocationConstraint"] == names.REGION
    deleted = s3.delete_objects(Bucket=names.BUCKET, Delete={"Objects": [{"Key": "prod/a b+c"}]})
    assert [o["Key"] for o in deleted["Deleted"]] == ["prod/a b+c"]
    assert s3.list_objects_v2(Bucket=names.BUCKET)["KeyCount"] == 0


def test_the_role_uploads_in_parts_and_may_abort(aws):
    s3 = aws.client("s3", aws.role_keys())
    upload = s3.create_multipart_upload(Bucket=names.BUCKET, Key="prod/parts")["UploadId"]
    s3.upload_part(Bucket=names.BUCKET, Key="prod/parts", UploadId=upload, PartNumber=1, Body=b"x")
    assert len(s3.list_parts(Bucket=names.BUCKET, Key="prod/parts", UploadId=upload)["Parts"]) == 1
    s3.abort_multipart_upload(Bucket=names.BUCKET, Key="prod/parts", UploadId=upload)
    assert s3.list_multipart_uploads(Bucket=names.BUCKET).get("Uploads", []) == []


def test_the_role_has_no_more_than_snapshots_need(aws):
    location = {"LocationConstraint": names.REGION}
    s3 = aws.client("s3", aws.role_keys())
    assert refused(s3.create_bucket, Bucket="another", CreateBucketConfiguration=location)[:2] == (403, "AccessDenied")
    assert refused(aws.client("iam", aws.role_keys()).list_users)[0] == 403
    assert refused(aws.client("ec2", aws.role_keys()).describe_instances)[0] == 403


def test_each_node_is_the_role_under_its_own_instance_id(aws):
    for node, instance in {"es-1": "i-0e500000000000001", "es-2": "i-0e500000000000002"}.items():
        identity = aws.client("sts", aws.role_keys(node)).get_caller_identity()
        assert identity["Arn"] == f"arn:aws:sts::{names.ACCOUNT}:assumed-role/{names.ROLE}/{instance}"


def held(aws, variant):
    document = json.loads(credentials_file(aws.state, "es-1", variant).read_text())
    return document["AccessKeyId"], document["SecretAccessKey"], document["Token"]


def test_another_role_may_do_the_same_and_a_bare_one_nothing(aws):
    assert aws.client("s3", held(aws, names.OTHER_ROLE)).list_objects_v2(Bucket=names.BUCKET)["KeyCount"] >= 0
    assert aws.client("sts", held(aws, names.OTHER_ROLE)).get_caller_identity()["Arn"].split("/")[1] == "es-node-b"
    bare = aws.client("s3", held(aws, names.BARE_ROLE))
    assert refused(bare.list_objects_v2, Bucket=names.BUCKET)[:2] == (403, "AccessDenied")


def test_credentials_that_have_expired_are_refused_as_such(aws):
    s3, sts = (aws.client(service, held(aws, EXPIRED)) for service in ("s3", "sts"))
    assert refused(s3.list_objects_v2, Bucket=names.BUCKET) == (400, "ExpiredToken", "The provided token has expired.")
    assert refused(sts.get_caller_identity)[:2] == (403, "ExpiredToken")


def test_role_credentials_last_six_hours_and_are_for_root_alone(aws):
    file = aws.state / "credentials" / "es-1.json"
    document = json.loads(file.read_text())
    expiration = datetime.datetime.fromisoformat(document["Expiration"].replace("Z", "+00:00"))
    left = expiration - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(hours=5, minutes=50) < left <= datetime.timedelta(hours=6)
    assert document["AccessKeyId"].startswith("ASIA")
    for secret in (file, aws.state / "aws.json"):
        assert secret.stat().st_mode & 0o777 == 0o600


def test_a_role_key_without_its_token_is_unknown(aws):
    s3 = aws.client("s3", aws.role_keys()[:2])
    assert refused(s3.list_objects_v2, Bucket=names.BUCKET) == (403, "InvalidAccessKeyId", STALE)


# The deleted key


def test_the_deleted_key_gets_awss_sentence_from_s3(aws):
    s3 = aws.client("s3", aws.keys("stale_key"))
    assert aws.keys("stale_key")[0].startswith("AKIA")
    assert refused(s3.put_object, Bucket=names.BUCKET, Key="k", Body=b"") == (403, "InvalidAccessKeyId", STALE)
    assert refused(s3.list_objects_v2, Bucket=names.BUCKET) == (403, "InvalidAccessKeyId", STALE)
    assert refused(s3.head_bucket, Bucket=names.BUCKET)[0] == 403


def test_the_deleted_key_is_unknown_to_sts_and_ec2(aws):
    keys = aws.keys("stale_key")
    assert refused(aws.client("sts", keys).get_caller_identity)[:2] == (403, "InvalidClientTokenId")
    assert refused(aws.client("ec2", keys).describe_instances)[:2] == (401, "AuthFailure")


# The administrator


def test_the_administrator_sees_what_was_set_up(aws):
    iam = aws.client("iam", aws.keys("admin_key"))
    profile = iam.get_instance_profile(InstanceProfileName=names.ROLE)["InstanceProfile"]
    assert [role["RoleName"] for role in profile["Roles"]] == [names.ROLE]
    buckets = aws.client("s3", aws.keys("admin_key")).list_buckets()["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == [names.BUCKET, names.OTHER_BUCKET]


def test_a_wrong_secret_is_told_apart_from_an_unknown_key(aws):
    s3 = aws.client("s3", (aws.keys("admin_key")[0], "wrong"))
    assert refused(s3.list_objects_v2, Bucket=names.BUCKET)[:2] == (403, "SignatureDoesNotMatch")


# Nobody


@pytest.mark.parametrize(("host", "path"), [(BUCKET_HOST, "/"), (REGION_HOST, f"/{names.BUCKET}")])
def test_anybody_is_told_where_a_bucket_is(aws, host, path):
    status, headers, body = ask(aws, "HEAD", host, path)
    assert (status, headers["x-amz-bucket-region"], body) == (403, names.REGION, "")
    age = datetime.datetime.now(datetime.timezone.utc) - parsedate_to_datetime(headers["Date"])
    assert abs(age) < datetime.timedelta(seconds=5)
    assert headers["x-amz-request-id"]


def test_anybody_is_told_that_a_bucket_does_not_exist(aws):
    status, headers, _ = ask(aws, "HEAD", f"nobody-has-it.{REGION_HOST}")
    assert (status, headers["x-amz-bucket-region"]) == (404, None)
    assert "<Code>NoSuchBucket</Code>" in ask(aws, "GET", f"nobody-has-it.{REGION_HOST}")[2]


def test_nobody_reads_or_lists_unsigned(aws):
    for method, path in (("GET", "/"), ("GET", "/prod/k"), ("PUT", "/prod/k"), ("DELETE", "/prod/k")):
        status, headers, body = ask(aws, method, BUCKET_HOST, path)
        assert (status, "<Code>AccessDenied</Code>" in body) == (403, True), method
        assert headers["Date"] and headers["x-amz-request-id"]


def test_nobody_asks_sts_or_switches_authentication_off(aws):
    status, _, body = ask(aws, "POST", f"sts.{names.REGION}.amazonaws.com")
    assert (status, "MissingAuthenticationToken" in body) == (403, True)
    assert ask(aws, "POST", REGION_HOST, "/moto-api/reset-auth", {"Content-Type": "text/plain"})[0] == 403
    assert ask(aws, "GET", REGION_HOST, "/moto-api/data.json")[0] == 403


def test_a_signed_request_for_a_missing_bucket_says_so(aws):
    s3 = aws.client("s3", aws.role_keys())
    assert refused(s3.list_objects_v2, Bucket="nobody-has-it")[:2] == (404, "NoSuchBucket")


# Regions


def signed(aws, host, region):
    request = AWSRequest("GET", f"http://{host}/?list-type=2", headers={"Host": host})
    S3SigV4Auth(Credentials(*aws.role_keys()), "s3", region).add_auth(request)
    return ask(aws, "GET", host, "/?list-type=2", dict(request.headers))


def test_another_regions_endpoint_names_the_right_one(aws):
    status, headers, body = signed(aws, f"{names.BUCKET}.s3.us-east-1.amazonaws.com", "us-east-1")
    assert (status, headers["x-amz-bucket-region"]) == (301, names.REGION)
    assert f"<Endpoint>{BUCKET_HOST}</Endpoint>" in body


def test_a_signature_for_another_region_is_malformed(aws):
    for host in (BUCKET_HOST, f"{names.BUCKET}.s3.amazonaws.com"):
        status, headers, body = signed(aws, host, "us-east-1")
        assert (status, headers["x-amz-bucket-region"]) == (400, names.REGION)
        assert "the region 'us-east-1' is wrong; expecting 'ap-northeast-2'" in body
    assert signed(aws, BUCKET_HOST, names.REGION)[0] == 200


def test_an_sdk_follows_the_bucket_into_its_region(aws):
    s3 = aws.client("s3", aws.role_keys(), region="us-east-1")
    assert s3.list_objects_v2(Bucket=names.BUCKET)["ResponseMetadata"]["HTTPStatusCode"] == 200


# One peer


@pytest.fixture
def treated(running_aws):
    """treated(Treatment) holds for this machine's address until the test ends."""
    yield lambda how: treat(running_aws.state, "127.0.0.1", how)
    treat(running_aws.state, "127.0.0.1", Treatment())


def test_a_signature_of_another_time_is_refused_with_s3s_own_time(aws, treated):
    treated(Treatment(ahead=1200))
    status, headers, body = signed(aws, BUCKET_HOST, names.REGION)
    assert status == 403 and "<Code>RequestTimeTooSkewed</Code>" in body
    assert "<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>" in body
    ahead = parsedate_to_datetime(headers["Date"]) - datetime.datetime.now(datetime.timezone.utc)
    assert datetime.timedelta(minutes=19) < ahead < datetime.timedelta(minutes=21)
    treated(Treatment(ahead=600))
    assert signed(aws, BUCKET_HOST, names.REGION)[0] == 200


def test_a_bucket_policy_denies_one_address_what_is_signed_and_nothing_else(aws, treated):
    treated(Treatment(denied=True))
    s3 = aws.client("s3", aws.role_keys())
    status, code, words = refused(s3.put_object, Bucket=names.BUCKET, Key="prod/k", Body=b"")
    assert (status, code) == (403, "AccessDenied")
    role = f"arn:aws:sts::{names.ACCOUNT}:assumed-role/{names.ROLE}/i-0e500000000000001"
    assert words == (
        f"User: {role} is not authorized to perform: s3:PutObject on resource: "
        f'"arn:aws:s3:::{names.BUCKET}/prod/k" with an explicit deny in a resource-based policy'
    )
    assert "s3:ListBucket on resource" in refused(s3.list_objects_v2, Bucket=names.BUCKET)[2]
    stale = aws.client("s3", aws.keys("stale_key"))
    assert refused(stale.list_objects_v2, Bucket=names.BUCKET)[1] == "InvalidAccessKeyId"
    assert ask(aws, "HEAD", BUCKET_HOST)[1]["x-amz-bucket-region"] == names.REGION


# The wire


def test_a_signature_covers_what_it_names_and_no_less(aws, monkeypatch):
    """SDK v1 signs its User-Agent, which botocore leaves out."""
    monkeypatch.setattr("botocore.auth.SIGNED_HEADERS_BLACKLIST", [])
    request = AWSRequest("GET", f"http://{BUCKET_HOST}/", headers={"User-Agent": "aws-sdk-java/1.12.270"})
    S3SigV4Auth(Credentials(*aws.role_keys()), "s3", names.REGION).add_auth(request)
    headers = dict(request.headers.items())
    assert "user-agent" in headers["Authorization"]
    assert ask(aws, "GET", BUCKET_HOST, headers=headers)[0] == 200
    status, _, body = ask(aws, "GET", BUCKET_HOST, headers={**headers, "User-Agent": "another"})
    assert (status, "SignatureDoesNotMatch" in body) == (403, True)


def test_one_connection_carries_many_requests(aws):
    connection = http.client.HTTPSConnection("127.0.0.1", aws.https, timeout=10, context=aws.context())
    connection.sock = aws.context().wrap_socket(
        socket.create_connection(("127.0.0.1", aws.https), timeout=10), server_hostname=BUCKET_HOST
    )
    first = connection.sock
    for method in ("HEAD", "GET", "PUT", "HEAD"):
        connection.request(method, "/k", body=b"12345" if method == "PUT" else None, headers={"Host": BUCKET_HOST})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 403
        assert connection.sock is first
    connection.close()


def test_an_upload_may_wait_for_100_continue(aws):
    with socket.create_connection(("127.0.0.1", aws.http), timeout=10) as wire:
        head = f"PUT /k HTTP/1.1\r\nHost: {BUCKET_HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        wire.sendall(head.encode())
        assert wire.recv(1000).startswith(b"HTTP/1.1 100 ")
        wire.sendall(b"12345")
        assert wire.recv(1000).startswith(b"HTTP/1.1 403 ")


def test_an_upload_in_aws_chunks_arrives_without_them(aws):
    s3 = aws.client("s3", aws.role_keys())
    content = bytes(range(256)) * 1000
    s3.put_object(Bucket=names.BUCKET, Key="prod/chunks", Body=io.BytesIO(content), ChecksumAlgorithm="CRC32")
    assert s3.get_object(Bucket=names.BUCKET, Key="prod/chunks")["Body"].read() == content
    s3.delete_object(Bucket=names.BUCKET, Key="prod/chunks")


def test_a_client_that_does_not_trust_the_lab_leaves_the_listener_working(aws):
    with (
        socket.create_connection(("127.0.0.1", aws.https), timeout=10) as wire,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        ssl.create_default_context().wrap_socket(wire, server_hostname=BUCKET_HOST)
    assert aws.client("s3", aws.role_keys()).head_bucket(Bucket=names.BUCKET)


# The command line


def test_instances_are_pairs():
    assert instances("es-1=i-0a,es-2=i-0b") == {"es-1": "i-0a", "es-2": "i-0b"}
    assert instances("") == {}
    for wrong in ("es-1", "es-1=", "=i-0a", "es-1=0a"):
        with pytest.raises(LabError, match="NODE=INSTANCE-ID"):
            instances(wrong)
