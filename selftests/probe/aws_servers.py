"""A metadata service and an S3 on loopback: real HTTP, real TLS, Signature Version 4 checked by botocore."""

from __future__ import annotations

import datetime
import hashlib
import json
import re
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

KEY = ("ASIACANARYCANARY1234", "canary/SECRET+key/that/must/stay/here/aa", "canary//TOKEN//that+must+stay==")
EXPIRES = "2031-01-02T03:04:05Z"


class Served:
    """A handler's server on a port of its own, in a thread; `seen` lists what was asked."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.seen = self.seen = []
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def say(self, status, body="", **headers):
        octets = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(octets)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(octets)


def imds_handler(
    *, role="es-node", code="Success", token_status=200, document=True, role_status=200, tokenless=False, delay=0.0
):
    """IMDSv2: a PUT for the token, and nothing without it unless tokenless; delay: seconds before each answer."""
    paths = {
        "/latest/meta-data/instance-id": "i-0123456789abcdef0",
        "/latest/meta-data/placement/region": "ap-northeast-2",
        "/latest/meta-data/placement/availability-zone": "ap-northeast-2a",
    }
    if document:
        paths["/latest/dynamic/instance-identity/document"] = json.dumps(
            {"instanceId": "i-0123456789abcdef0", "region": "ap-northeast-2", "availabilityZone": "ap-northeast-2a"}
        )
    if role:
        paths["/latest/meta-data/iam/security-credentials/"] = role
        paths[f"/latest/meta-data/iam/security-credentials/{role}"] = json.dumps(
            {"Code": code, "AccessKeyId": KEY[0], "SecretAccessKey": KEY[1], "Token": KEY[2], "Expiration": EXPIRES}
        )

    class Imds(Answering):
        def do_PUT(self):
            self.server.seen.append(("PUT", self.path, dict(self.headers)))
            time.sleep(delay)
            good = self.path == "/latest/api/token" and self.headers["X-aws-ec2-metadata-token-ttl-seconds"]
            self.say(token_status if good else 400, "the-token" if token_status == 200 else "")

        def do_GET(self):
            self.server.seen.append(("GET", self.path, dict(self.headers)))
            time.sleep(delay)
            if self.headers["X-aws-ec2-metadata-token"] != "the-token" and not tokenless:
                self.say(401)
            elif self.path.endswith("/security-credentials/") and role_status != 200:
                self.say(role_status)
            elif self.path in paths:
                self.say(200, paths[self.path])
            else:
                self.say(404, "<html>not found</html>")

    return Imds


def s3_handler(
    *,
    key=KEY,
    region="ap-northeast-2",
    refuse=None,
    home=None,
    denied=(),
    objects=None,
    markers=(200, "<ListBucketResult/>"),
):
    """One bucket: HEAD answers 403 unsigned; all else is answered where botocore computes the same signature.

    refuse: the answer to a list; denied: methods that a policy forbids; objects: path to content, for the test to see
    markers: the answer to a list of what begins with tests-
    home: the one host that the bucket is reached at, any other answers 301
    """
    objects = {} if objects is None else objects

    class S3(Answering):
        def do_HEAD(self):
            self.server.seen.append(("HEAD", self.path, dict(self.headers)))
            elsewhere = home is not None and self.headers["host"].partition(":")[0] != home
            self.say(301 if elsewhere else 403, x_amz_bucket_region=region)

        def answer(self):
            body = self.rfile.read(int(self.headers["content-length"] or 0))
            self.server.seen.append((self.command, self.path, dict(self.headers)))
            split = urlsplit(self.path)
            if refuse and split.query:
                return self.say(403, refuse)
            signed = re.search("SignedHeaders=([^,]+)", self.headers["authorization"])[1].split(";")
            own = {name: self.headers[name] for name in signed if name not in ("host", "x-amz-date")}
            request = AWSRequest(
                self.command,
                f"https://{self.headers['host']}{split.path}",
                params=dict(parse_qsl(split.query, keep_blank_values=True)),
                headers=own,
                data=body,
            )
            signer = S3SigV4Auth(Credentials(*key), "s3", region)
            signer.add_auth(request)
            # add_auth takes the time from its own clock: sign again with the request's.
            request.context["timestamp"] = self.headers["x-amz-date"]
            del request.headers["X-Amz-Date"], request.headers["Authorization"]
            request.headers["X-Amz-Date"] = self.headers["x-amz-date"]
            expected = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
            right = self.headers["x-amz-content-sha256"] == hashlib.sha256(body).hexdigest()
            if not right or not self.headers["authorization"].endswith(f"Signature={expected}"):
                return self.say(403, "<Error><Code>SignatureDoesNotMatch</Code><Message>No match.</Message></Error>")
            if self.command in denied:
                return self.say(403, "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
            if self.command == "PUT":
                objects[split.path] = body
                return self.say(200)
            if self.command == "DELETE":
                objects.pop(split.path, None)
                return self.say(204)
            if dict(parse_qsl(split.query)).get("prefix", "").endswith("tests-"):
                return self.say(*markers)
            return self.say(200, "<ListBucketResult/>" if split.query else objects[split.path].decode())

        do_GET = do_PUT = do_DELETE = answer  # noqa: N815

    return S3


def certificate(folder: Path, *names: str) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS with a certificate for those names, and its authority's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "probe selftests")])
    now = datetime.datetime.now(datetime.timezone.utc)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "server.pem", folder / "server.key"
    public.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    return context, public
