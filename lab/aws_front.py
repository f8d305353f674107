"""What stands between AWS's names and moto: the answers AWS gives and moto cannot while it enforces authentication.

moto answers an unsigned request with 500, ignores the region that a host name and a signature are for, and leaves its
switches open to everybody.
"""

from __future__ import annotations

import io
import re
import secrets
import sys
import threading
import time
import traceback
from calendar import timegm
from collections.abc import Callable, Iterable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from .aws_peers import Treatment
from .aws_server import Request, Response

BucketRegion = Callable[[str], str | None]
"""The region of a bucket, None for a bucket that does not exist."""

Caller = Callable[[str], str | None]
"""The ARN behind an access key id, None for a key that nobody has."""

GLOBAL_REGION = "us-east-1"

MOST_SKEW = 900.0
"""Seconds that a signature's time may be off S3's clock (MaxAllowedSkewMilliseconds in its answer)."""

_S3_HOST = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:\.(?P<region>[a-z0-9-]+))?\.amazonaws\.com")
_QUERY_HOST = re.compile(r"(?P<service>sts|iam|ec2)(?:\.[a-z0-9-]+)?\.amazonaws\.com")
_SCOPE = re.compile(r"Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


class Front:
    """Answers a request itself or lets a WSGI application (moto) answer it."""

    def __init__(
        self,
        application: Any,
        bucket_region: BucketRegion,
        caller: Caller = lambda key: None,
        treatment: Callable[[str], Treatment] = lambda peer: Treatment(),
        expired: Callable[[str], bool] = lambda key: False,
    ) -> None:
        self._application = application
        self._bucket_region = bucket_region
        self._caller = caller
        self._treatment = treatment
        self._expired = expired
        self.enforcing = threading.Event()
        """Set once the set-up is done: from then on only signed requests reach moto."""

    def __call__(self, request: Request) -> Response:
        url = urlsplit(request.target)
        signature = _SCOPE.search(request.headers.get("Authorization", ""))
        presigned = "X-Amz-Signature" in parse_qs(url.query)
        service = signature["service"] if signature else "s3"
        if host := _QUERY_HOST.fullmatch(request.host):
            service = host["service"]
        if url.path.startswith("/moto-api"):
            return _error(request, 403, "AccessDenied", "Access Denied")
        if service != "s3":
            if self.enforcing.is_set() and signature is None:
                return _query_error(403, "MissingAuthenticationToken", "Request is missing Authentication Token")
            if signature and self._expired(signature["key"]):
                return _query_error(403, "ExpiredToken", "The security token included in the request is expired")
            return self._moto(request)
        treatment = self._treatment(request.peer)
        return _dated(self._of_s3(request, signature, presigned, treatment), treatment.ahead)

    def _of_s3(
        self, request: Request, signature: re.Match[str] | None, presigned: bool, treatment: Treatment
    ) -> Response:
        url = urlsplit(request.target)
        bucket, key, host_region = _address(request.host, url.path)
        region = self._bucket_region(bucket) if bucket else None
        if region is not None:
            misdirected = _misdirected(request, bucket, region, host_region, signature and signature["region"])
            if misdirected is not None:
                return _s3(misdirected)
        if self.enforcing.is_set() and signature is None and not presigned:
            return _s3(_unsigned(request, bucket, key, region))
        if signature is not None and (skewed := _skewed(request, treatment.ahead)) is not None:
            return _s3(skewed)
        if signature is not None and self._expired(signature["key"]):
            return _s3(_error(request, 400, "ExpiredToken", "The provided token has expired."))
        caller = self._caller(signature["key"]) if signature and treatment.denied and region else None
        if caller is not None:
            # Only who authenticates gets as far as a policy: an unknown key goes on to hear of itself.
            return _s3(_denied(request, caller, bucket, key))
        response = self._moto(request)
        denied = response.status == 403 and b"<Code>AccessDenied</Code>" in response.body
        creating = request.method == "PUT" and not key and not url.query
        if denied and bucket and region is None and not creating:
            # S3 says so to whoever can authenticate; moto looks at the policy first.
            return _s3(_no_such_bucket(request, bucket))
        if request.method == "HEAD" and not key and region and response.status in (200, 403):
            response = _with(response, {"x-amz-bucket-region": region})
        return _s3(response)

    def _moto(self, request: Request) -> Response:
        try:
            return _call(self._application, request)
        except Exception:
            # moto raises for what it does not implement; AWS answers every failure of its own like this.
            traceback.print_exc(file=sys.stderr)
            return _error(request, 500, "InternalError", "We encountered an internal error. Please try again.")


def _address(host: str, path: str) -> tuple[str, str, str | None]:
    """Bucket, key and the region of the host name (None where the name has none), virtual-hosted or path-style."""
    match = _S3_HOST.fullmatch(host)
    path = unquote(path.lstrip("/"))
    if match and match["bucket"]:
        return match["bucket"], path, match["region"]
    bucket, _, key = path.partition("/")
    return bucket, key, match["region"] if match else None


def _misdirected(
    request: Request, bucket: str, region: str, host_region: str | None, signed_region: str | None
) -> Response | None:
    """S3's answer to a request for a bucket of another region, None where the region is right.

    Another region's endpoint answers 301; the right or the global one names the region it expected in the signature.
    Both carry x-amz-bucket-region, which SDKs with cross-region access follow.
    """
    found = {"x-amz-bucket-region": region}
    if host_region not in (None, region):
        return _error(
            request,
            301,
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. "
            "Please send all future requests to this endpoint.",
            {"Endpoint": f"{bucket}.s3.{region}.amazonaws.com", "Bucket": bucket},
            found,
        )
    if signed_region not in (None, region):
        return _error(
            request,
            400,
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; the region '{signed_region}' is wrong; expecting '{region}'",
            {"Region": region},
            found,
        )
    return None


def _unsigned(request: Request, bucket: str, key: str, region: str | None) -> Response:
    """S3 tells anybody whether a bucket exists and where, and nothing else."""
    if bucket and region is None:
        return _no_such_bucket(request, bucket)
    found = {"x-amz-bucket-region": region} if region and not key else {}
    return _error(request, 403, "AccessDenied", "Access Denied", {}, found)


def _skewed(request: Request, ahead: float) -> Response | None:
    """S3's answer to a signature of another time than its own, None where the two are near enough."""
    stamp = request.headers.get("X-Amz-Date", "")
    try:
        signed = timegm(time.strptime(stamp, "%Y%m%dT%H%M%SZ"))
    except ValueError:
        return None
    now = time.time() + ahead
    if abs(signed - now) <= MOST_SKEW:
        return None
    details = {
        "RequestTime": stamp,
        "ServerTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "MaxAllowedSkewMilliseconds": f"{MOST_SKEW * 1000:.0f}",
    }
    words = "The difference between the request time and the current time is too large."
    return _error(request, 403, "RequestTimeTooSkewed", words, details)


_ACTIONS = {"GET": "GetObject", "HEAD": "GetObject", "PUT": "PutObject", "POST": "PutObject", "DELETE": "DeleteObject"}


def _denied(request: Request, caller: str, bucket: str, key: str) -> Response:
    """What S3 says since 2024 to whom a bucket policy denies a request by an explicit statement."""
    action = _ACTIONS[request.method] if key else "ListBucket"
    if not key and request.method == "POST":
        action = "DeleteObject"
    resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    words = (
        f'User: {caller} is not authorized to perform: s3:{action} on resource: "{resource}" '
        "with an explicit deny in a resource-based policy"
    )
    return _error(request, 403, "AccessDenied", words)


def _no_such_bucket(request: Request, bucket: str) -> Response:
    return _error(request, 404, "NoSuchBucket", "The specified bucket does not exist", {"BucketName": bucket})


def _error(
    request: Request,
    status: int,
    code: str,
    message: str,
    details: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    request_id = secrets.token_hex(8).upper()
    elements = {"Code": code, "Message": message, **(details or {}), "RequestId": request_id}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in elements.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'.encode()
    sent = {"Content-Type": "application/xml", "x-amz-request-id": request_id, **(headers or {})}
    # S3 sends no body with HEAD, so an SDK has the status alone to go by.
    return Response(status, tuple(sent.items()), b"" if request.method == "HEAD" else body)


def _query_error(status: int, code: str, message: str) -> Response:
    """An error of STS, IAM and EC2, which word theirs differently from S3."""
    body = (
        f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        f"<RequestId>{secrets.token_hex(16)}</RequestId></ErrorResponse>"
    )
    return _with(Response(status, (("Content-Type", "text/xml"),), body.encode()), {})


def _s3(response: Response) -> Response:
    return _with(response, {"x-amz-request-id": secrets.token_hex(8).upper(), "Server": "AmazonS3"})


def _dated(response: Response, ahead: float) -> Response:
    """The response with the time of S3's own clock, whatever Date it has."""
    kept = tuple((name, value) for name, value in response.headers if name.lower() != "date")
    date = ("Date", formatdate(time.time() + ahead, usegmt=True))
    return Response(response.status, (*kept, date), response.body)


def _with(response: Response, headers: dict[str, str]) -> Response:
    """The response with these headers and a Date, each only where it has none yet."""
    wanted = {"Date": formatdate(usegmt=True), **headers}
    added = tuple((name, value) for name, value in wanted.items() if response.header(name) is None)
    return Response(response.status, response.headers + added, response.body)


def _call(application: Any, request: Request) -> Response:
    """One request through a WSGI application. source of the variables: PEP 3333; RAW_URI: what moto matches keys by."""
    url = urlsplit(request.target)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(url.path, "latin-1"),
        "QUERY_STRING": url.query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "REMOTE_ADDR": request.peer,
        "SERVER_NAME": "amazonaws.com",
        "SERVER_PORT": "443" if request.scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(request.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": request.scheme,
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in request.headers.items():
        variable = name.upper().replace("-", "_")
        if variable == "CONTENT_TYPE":
            environ[variable] = value
        elif variable not in ("CONTENT_LENGTH", "TRANSFER_ENCODING"):
            environ[f"HTTP_{variable}"] = value
    started: list[tuple[int, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
        started.append((int(status.split()[0]), headers))

    chunks: Iterable[bytes] = application(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = started[-1]
    return Response(status, tuple(headers), body)
