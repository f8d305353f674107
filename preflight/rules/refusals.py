"""What a failing request to S3 means, read from its sentence or code. One table for every AWS SDK.

SDK v1 prints S3's error code, SDK v2 (8.19, 9.1 and newer) only the sentence; S3 itself has changed "Id" to "ID" and
left out "AWS" over the years.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec

from ..facts import VerifyFailure


class Meaning(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of failure. kind: what it says about credentials and network; words: for a sentence about it.

    key refused: S3 was reached and does not accept the key itself; denied: the key is good, a policy says no
    no credentials: nothing to sign with; connection: S3 was not reached; clock: signed at another time than S3's
    bucket: there is none of that name; region: it is in another one than was asked
    plugin: nothing on the node knows repositories of that type
    """

    pattern: str
    kind: Literal["key refused", "denied", "no credentials", "connection", "clock", "bucket", "region", "plugin"]
    words: str


UNKNOWN_KEY = r"access key id you provided does not exist in our records|InvalidAccessKeyId"

MEANINGS = (
    Meaning(
        pattern=UNKNOWN_KEY,
        kind="key refused",
        words="the key id is unknown to AWS: deleted, rotated, or of another partition",
    ),
    Meaning(
        pattern=r"request signature we calculated does not match|SignatureDoesNotMatch",
        kind="key refused",
        words="the key id exists, but the secret is not its own",
    ),
    Meaning(
        pattern=r"(provided|security) token (included in the request )?(has|is) expired|ExpiredToken",
        kind="key refused",
        words="the session token has expired",
    ),
    Meaning(
        pattern=r"token is malformed or otherwise invalid|token included in the request is invalid|InvalidToken",
        kind="key refused",
        words="the session token does not belong to the key",
    ),
    Meaning(
        pattern=r"difference between the request time and the current time is too large|RequestTimeTooSkewed",
        kind="clock",
        words="the node's clock and S3's are more than 15 minutes apart",
    ),
    Meaning(
        pattern=r"specified bucket does not exist|NoSuchBucket",
        kind="bucket",
        words="S3 has no bucket of that name",
    ),
    Meaning(
        pattern=r"must be addressed using the specified endpoint|PermanentRedirect"
        r"|authorization header is malformed; the region|AuthorizationHeaderMalformed",
        kind="region",
        words="the bucket is in another region than the one the request was made for",
    ),
    Meaning(
        pattern=r"\baccess ?denied\b|is not authorized to perform",
        kind="denied",
        words="AWS knows the caller and its policies forbid the request",
    ),
    Meaning(
        pattern=r"unable to (load|find) (aws )?credentials|failed to connect to service endpoint"
        r"|requested metadata is not found at|http response code: 401 for url: http://169\.254\.169\.254"
        r"|no aws credentials|failed to load credentials|credentials received have been expired",
        kind="no credentials",
        words="no key in the keystore and no role from the metadata service",
    ),
    Meaning(
        # 8.x keeps the repository as one of unknown type; 7.17 has none for a name that the cluster state has.
        pattern=r"repository type \[[^\]]*\] (is unknown|does not exist)|^\[[^\]]+\] missing$",
        kind="plugin",
        words="Elasticsearch on the node has no plugin for repositories of that type",
    ),
    Meaning(
        # A blackhole route ends in SocketException: Invalid argument.
        pattern=r"timed? ?out|socketexception|connection (refused|reset)|no route to host|network is unreachable"
        r"|unknownhost|name or service not known|unable to execute http request|pkix path building failed",
        kind="connection",
        words="S3 was not reached",
    ),
)
"""The first that matches counts: what S3 said comes before how the request ended."""


def meaning(text: str) -> Meaning | None:
    """What a sentence, code or chain of causes means; None for one the table does not know."""
    return next((m for m in MEANINGS if re.search(m.pattern, text, re.IGNORECASE)), None)


def of(failure: VerifyFailure) -> Meaning | None:
    """What one failure of `_verify` means: by its innermost sentence, else by the causes around it.

    A connection that failed is told apart by what it was for: SDK v1 says so around the bare "Connection refused".
    """
    innermost, around = meaning(failure.sentence), meaning("\n".join(failure.chain))
    if innermost is not None and innermost.kind == "connection" and around and around.kind == "no credentials":
        return around
    return innermost or around


def unknown_key(text: str) -> bool:
    """S3 says of the key id itself that it does not know it, whatever it was used for."""
    return re.search(UNKNOWN_KEY, text, re.IGNORECASE) is not None
