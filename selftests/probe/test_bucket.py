"""The way to a bucket: DNS, TCP, TLS, HEAD, a list signed as botocore signs, and to nobody but S3 of AWS."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import time

import msgspec
import pytest
from aws_servers import KEY, Served, certificate, imds_handler, s3_handler
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from preflight import facts as records
from preflight.probe.sections import bucket
from preflight.probe.sections.bucket import AWS_S3

LIST = "AWS_S3 = re.compile("
HOST = "es-snapshots.s3.localhost"
ASKED, HOME = (f"es-snapshots.s3.{region}.amazonaws.com" for region in ("us-east-1", "ap-northeast-2"))
OURS = (HOST, ASKED, HOME)
QUESTION = {
    "repository": "s3_backup",
    "bucket": "es-snapshots",
    "base_path": "prod/a b",
    "service": "s3.localhost",
    "host": HOST,
    "region": "ap-northeast-2",
    "path_style": False,
    "tls": True,
    "sign": True,
    "signer": "instance",
}


def is_long(request):
    return "x-preflight-padding" in {name.lower() for name in request[2]}


@pytest.fixture
def node(start, tmp_path):
    """node(s3 options) asks for one bucket on a loopback S3 that stands for AWS's: what came back, and what S3 saw."""
    running = []

    def ask(
        question=(), imds=None, names=(HOST,), trusted=True, python=None, aws=True, port=None, long_too=False, **options
    ):
        context, authority = certificate(tmp_path, *names)
        asked = {**QUESTION, **dict(question)}
        s3 = Served(s3_handler(**options), context if asked["tls"] else None)
        metadata = Served(imds_handler(**(imds or {})))
        running.extend((s3, metadata))
        # One name of ours for the resolver, and for the rule which hosts are AWS's: the rest is as on a node.
        replace = {
            'METADATA = ("169.254.169.254", 80)': f'METADATA = ("127.0.0.1", {metadata.port})',
            "socket.getaddrinfo(host, None": "socket.getaddrinfo("
            f"dict.fromkeys({OURS}, '127.0.0.1').get(host, host), None",
        }
        if aws:
            replace[LIST] = f"AWS_S3 = re.compile(r'{HOST}|'"
        keywords = {"python": python} if python else {}
        probe = start(
            replace=replace,
            env={"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(authority) if trusted else "/dev/null"},
            **keywords,
        )
        answer = probe.ask(
            {
                "ask": "paths",
                "dials": [],
                "destinations": [],
                "buckets": [{**asked, "port": port or s3.port}],
                "connect_timeout": 2,
                "deadline": 20,
            },
            20,
        )
        assert not [part for part in KEY if part in json.dumps(answer)]
        assert [path["purpose"] for path in answer["paths"]] == ["s3:s3_backup"] * bool(
            answer["buckets"][0]["addresses"]
        )
        # Of the request that is longer than a packet test_packets.py and one test here have more to say.
        seen = s3.seen if long_too else [one for one in s3.seen if not is_long(one)]
        return msgspec.convert(answer["buckets"][0], records.BucketPath), seen

    yield ask
    for one in running:
        one.close()


def test_the_whole_way_on_every_python(node, python):
    found, seen = node(python=python)
    assert (found.dns, found.addresses, found.tcp, found.tls) == ("ok", ("127.0.0.1",), "open", "ok")
    assert (found.head_status, found.bucket_region) == (403, "ap-northeast-2")
    assert abs(found.clock_offset) <= 1.5
    assert found.signed_list == records.SignedList(status=200, code=None, message=None)
    assert [(method, path) for method, path, _ in seen] == [
        ("HEAD", "/"),
        ("GET", "/?list-type=2&max-keys=1&prefix=prod%2Fa%20b%2F"),
    ]
    assert "authorization" not in {name.lower() for name in seen[0][2]}


def test_a_head_longer_than_a_packet_is_sent_once_to_whoever_answers_and_bears_nothing(node, python):
    found, seen = node(python=python, long_too=True)
    assert [(method, is_long((method, path, headers))) for method, path, headers in seen] == [
        ("HEAD", False), ("HEAD", True), ("GET", False),
    ]  # fmt: skip
    assert not {name.lower() for name in seen[1][2]} & {"authorization", "x-amz-security-token"}
    assert sum(map(len, seen[1][2].values())) < 8192
    assert found.packets.step is None and found.packets.path_mtu and not found.packets.unanswered
    _, seen = node({"path_style": True}, long_too=True)
    assert seen[1][1] == "/es-snapshots" and is_long(seen[1])


def test_path_style_names_the_bucket_in_the_path(node):
    found, seen = node({"path_style": True, "base_path": ""})
    assert found.signed_list.status == 200
    assert [path for _, path, _ in seen] == ["/es-snapshots", "/es-snapshots?list-type=2&max-keys=1"]


def hosted(headers):
    return next(value for name, value in headers.items() if name.lower() == "host").partition(":")[0]


def test_a_bucket_of_another_region_is_listed_there(node):
    """The path that was asked for stays as it was seen; the role is proven where the bucket is."""
    question = {"service": "s3.us-east-1.amazonaws.com", "host": ASKED, "region": "us-east-1"}
    found, seen = node(question, names=(ASKED, HOME), home=HOME)
    assert (found.host, found.head_status, found.bucket_region) == (ASKED, 301, "ap-northeast-2")
    assert found.signed_list.status == 200
    assert [(method, hosted(headers)) for method, _, headers in seen] == [
        ("HEAD", ASKED), ("HEAD", HOME), ("GET", HOME),
    ]  # fmt: skip


def test_a_line_of_hosts_that_gave_the_address_is_named(monkeypatch, tmp_path):
    file = tmp_path / "hosts"
    file.write_text(
        f"127.0.0.1 localhost\n# 10.0.0.9 {HOST}\n10.0.0.9\t{HOST.upper()} other # old endpoint\n10.0.0.8 {HOST}\n"
    )
    monkeypatch.setattr(bucket, "HOSTS", str(file))
    assert bucket.hosts_lines(HOST, ["10.0.0.9"]) == [3]
    assert bucket.hosts_lines(HOST, ["10.0.0.7"]) == []
    monkeypatch.setattr(bucket, "HOSTS", str(tmp_path / "none"))
    assert bucket.hosts_lines(HOST, ["10.0.0.9"]) == []


def test_dns_that_has_no_answer_is_none():
    assert bucket.from_dns("no-such-bucket.invalid", 5) is None


def test_what_s3_refuses_is_said_in_its_words_and_without_a_key(node):
    said = f"Key {KEY[0]} &amp; token {KEY[2]} and AKIAIOSFODNN7EXAMPLE do not exist"
    found, _ = node(
        refuse=f"<Error><Code>InvalidAccessKeyId</Code><Message>{said}</Message><AWSAccessKeyId>{KEY[0]}</AWSAccessKeyId></Error>"
    )
    assert found.signed_list.code == "InvalidAccessKeyId" and found.signed_list.status == 403
    assert found.signed_list.message == "Key (removed) & token (removed) and AKIA... do not exist"


def test_a_wrong_key_is_a_wrong_signature(node):
    found, _ = node(key=(KEY[0], "other", KEY[2]))
    assert found.signed_list.code == "SignatureDoesNotMatch"


KEY_OF_MARKER = "prod/a b/tests-preflight-1/marker.dat"
MARKER = {"key": KEY_OF_MARKER, "headers": {"x-amz-storage-class": "STANDARD_IA", "x-amz-acl": "private"}}
DENIED = records.SignedList(status=403, code="AccessDenied", message="Access Denied")


def test_the_role_puts_reads_and_deletes_a_marker_as_elasticsearch_would(node):
    objects = {}
    found, seen = node({"marker": MARKER}, objects=objects)
    assert found.marker.put.status == 200, found.marker
    steps = (found.marker.put.status, found.marker.get.status, found.marker.delete.status)
    assert (steps, found.marker.key, found.marker.left, objects) == ((200, 200, 204), KEY_OF_MARKER, False, {})
    assert [(method, path) for method, path, _ in seen[2:]] == [
        (method, "/prod/a%20b/tests-preflight-1/marker.dat") for method in ("PUT", "GET", "DELETE")
    ]
    sent = {name.lower(): value for name, value in seen[2][2].items()}
    assert (sent["x-amz-storage-class"], sent["x-amz-acl"]) == ("STANDARD_IA", "private")


def test_a_marker_that_may_not_be_written_leaves_nothing_and_one_that_may_not_be_deleted_is_named(node):
    refused, seen = node({"marker": MARKER}, denied=("PUT",))
    assert refused.marker == records.Marker(key=KEY_OF_MARKER, put=DENIED, get=None, delete=None, left=False)
    assert [method for method, _, _ in seen] == ["HEAD", "GET", "PUT"]
    objects = {}
    kept, _ = node({"marker": MARKER}, denied=("DELETE",), objects=objects)
    assert (kept.marker.get.status, kept.marker.delete, kept.marker.left) == (200, DENIED, True)
    assert list(objects) == ["/prod/a%20b/tests-preflight-1/marker.dat"]


def test_no_marker_where_none_was_asked_for_or_the_list_is_refused(node):
    found, seen = node()
    assert found.marker is None and [method for method, _, _ in seen] == ["HEAD", "GET"]
    found, seen = node({"marker": MARKER}, refuse="<Error><Code>AccessDenied</Code></Error>")
    assert found.marker is None and [method for method, _, _ in seen] == ["HEAD", "GET"]
    found, seen = node({"marker": MARKER}, aws=False)
    assert found.marker is None and [method for method, _, _ in seen] == ["HEAD"]


@pytest.mark.parametrize(
    ("question", "options", "words"),
    [
        ({"sign": False, "why_not": "no repository uses the role"}, {}, "no repository uses the role"),
        ({}, {"aws": False}, "shown to S3 of AWS over TLS only"),
        ({"tls": False}, {}, "shown to S3 of AWS over TLS only"),
        ({}, {"imds": {"role": None}}, "there are no credentials of a role"),
        ({}, {"imds": {"token_status": 403}}, "there are no credentials of a role"),
        ({}, {"imds": {"code": "Failed"}}, "there are no credentials of a role"),
    ],
)
def test_where_it_must_not_or_cannot_sign_nothing_signed_is_sent(node, question, options, words):
    found, seen = node(question, **options)
    assert words in found.signed_list.reason
    assert [method for method, _, _ in seen] == ["HEAD"] and found.head_status == 403


def test_plain_http_has_no_tls_word(node):
    found, _ = node({"tls": False})
    assert (found.tcp, found.tls, found.head_status) == ("open", None, 403)


def test_a_certificate_of_nobody_we_trust(node, python):
    found, seen = node(trusted=False, python=python)
    assert found.tcp == "open" and found.tls.startswith("certificate verify failed") and "_ssl" not in found.tls
    assert not seen and found.head_status is None and "no TLS connection" in found.signed_list.reason


def test_a_certificate_of_another_name(node, python):
    found, seen = node(names=("other.example",), python=python)
    assert found.tls and found.tls != "ok" and not seen


def test_a_name_without_address(node):
    found, _ = node({"host": "no-such-bucket.invalid"})
    assert (found.dns, found.addresses, found.tcp, found.tls) == ("dns", (), None, None)
    assert "no address" in found.signed_list.reason


def test_a_port_that_is_closed(node):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    found, _ = node(port=port)
    assert (found.dns, found.tcp, found.tls) == ("ok", "refused", None)


def test_a_server_that_is_no_tls(node):
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def talk():
            for _ in range(2):
                wire, _ = server.accept()
                with wire:
                    wire.settimeout(5)
                    if wire.recv(1000):
                        wire.sendall(b"HTTP/1.0 400 Bad\r\n\r\n")

        talker = threading.Thread(target=talk)
        talker.start()
        found, _ = node(port=server.getsockname()[1])
        talker.join()
    assert found.tcp == "open" and found.tls and found.tls != "ok"


@pytest.mark.parametrize(
    "host",
    [
        "es-snapshots.s3.ap-northeast-2.amazonaws.com",
        "s3.amazonaws.com",
        "my.bucket.s3.us-east-1.amazonaws.com",
        "b.s3-us-west-2.amazonaws.com",
        "b.s3.dualstack.eu-west-1.amazonaws.com",
        "b.s3-fips.us-gov-west-1.amazonaws.com",
        "s3.cn-north-1.amazonaws.com.cn",
        "bucket.vpce-0a-1b.s3.eu-west-1.vpce.amazonaws.com",
    ],
)
def test_hosts_that_are_s3_of_aws(host):
    assert AWS_S3.fullmatch(host)


@pytest.mark.parametrize(
    "host",
    [
        "s3.amazonaws.com.evil.example",
        "s3.example.org",
        "amazonaws.com",
        "evilamazonaws.com",
        "ec2-1-2-3-4.compute-1.amazonaws.com",
        "my-s3.elb.amazonaws.com",
        "s3.evil-amazonaws.com",
        "s3.amazonaws.com.cn.evil",
        "localhost",
        "127.0.0.1",
        "s3.amazonaws.com\n",
    ],
)
def test_hosts_that_are_not(host):
    assert not AWS_S3.fullmatch(host)


@given(
    path=st.sampled_from(["/", "/es-snapshots", "/a.b-c"]),
    prefix=st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20),
    token=st.from_regex(r"[A-Za-z0-9+/]{1,60}={0,2}", fullmatch=True),
)
def test_the_signature_is_botocore_s(path, prefix, token):
    now = time.gmtime(1_700_000_000)
    query = {"list-type": "2", "max-keys": "1", "prefix": prefix}
    key = ("AKIDEXAMPLE", "s", token)
    target, headers = bucket.signed("b.s3.eu-west-1.amazonaws.com", path, query, "eu-west-1", key, now)
    request = AWSRequest("GET", f"https://b.s3.eu-west-1.amazonaws.com{path}", params=query)
    request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(b"").hexdigest()
    request.headers["X-Amz-Date"] = headers["x-amz-date"]
    request.headers["X-Amz-Security-Token"] = token
    request.context["timestamp"] = headers["x-amz-date"]
    signer = S3SigV4Auth(Credentials(*key), "s3", "eu-west-1")
    expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert headers["authorization"].endswith(f"Signature={expected}") and target.startswith(path + "?")
