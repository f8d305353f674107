"""Which headers a signature covers, for moto: those that the request names, as AWS has it."""

from __future__ import annotations

from typing import Any


def verify_every_signed_header() -> None:
    """Have moto verify SDK v1's signatures, which cover the User-Agent.

    moto signs a request anew through botocore and compares; botocore never signs User-Agent, so that every request of
    SDK v1 would be a SignatureDoesNotMatch.
    """
    from botocore.auth import S3SigV4Auth, SigV4Auth
    from botocore.compat import HTTPHeaders
    from moto.iam.access_control import IAMRequest, S3IAMRequest

    def signed(request: Any) -> HTTPHeaders:
        # moto has already dropped the headers that SignedHeaders does not name.
        headers = HTTPHeaders()
        for name, value in request.headers.items():
            headers[name.lower()] = value
        return headers

    for request, algorithm in ((IAMRequest, SigV4Auth), (S3IAMRequest, S3SigV4Auth)):

        def create_auth(self: Any, credentials: Any, algorithm: Any = algorithm) -> Any:
            auth = algorithm(credentials, self._service, self._region)
            auth.headers_to_sign = signed
            return auth

        request._create_auth = create_auth  # type: ignore[method-assign]
