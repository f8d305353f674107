"""An HTTP/1.1 server for the AWS stand-in: keep-alive, `Expect: 100-continue`, TLS.

Werkzeug's own closes every connection after one answer: S3 does not, and it would cost every request a TLS handshake.
"""

from __future__ import annotations

import contextlib
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

HANDSHAKE_SECONDS = 10.0
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Request:
    """One request, its body read to the end. target: path and query as sent; peer: the client's address."""

    scheme: str
    method: str
    target: str
    headers: Message
    body: bytes
    peer: str

    @property
    def host(self) -> str:
        """The Host header without a port, in lower case."""
        name, _, port = self.headers.get("Host", "").lower().rpartition(":")
        return name if port.isdigit() else self.headers.get("Host", "").lower()


@dataclass(frozen=True)
class Response:
    """One answer. headers: without Content-Length, which the server sets except for HEAD's, kept where given."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


Answer = Callable[[Request], Response]


class Server(ThreadingHTTPServer):
    """A listener; context: TLS where given. Port 0 takes a free one: server_address says which."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], answer: Answer, context: ssl.SSLContext | None = None) -> None:
        self.answer = answer
        self.context = context
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks the address up in DNS, which waits where there is none.
        TCPServer.server_bind(self)

    def finish_request(self, request: Any, client_address: Any) -> None:
        if self.context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(HANDSHAKE_SECONDS)
        try:
            encrypted = self.context.wrap_socket(request, server_side=True)
        except OSError as error:
            # Port scans and clients without the lab's CA end here; the second is worth a line.
            print(f"TLS with {client_address[0]}: {error}", file=sys.stderr, flush=True)
            return
        with encrypted:
            super().finish_request(encrypted, client_address)
            encrypted.settimeout(1.0)
            with contextlib.suppress(OSError, ValueError):
                encrypted.unwrap()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    wbufsize = -1  # head and body leave in one segment
    server: Server

    def handle_expect_100(self) -> bool:
        proceed = super().handle_expect_100()
        self.wfile.flush()
        return proceed

    def log_message(self, format: str, *args: object) -> None:
        print(f"{self.client_address[0]} {format % args}", file=sys.stderr, flush=True)

    def serve(self) -> None:
        began = time.monotonic()
        request = Request(
            scheme="http" if self.server.context is None else "https",
            method=self.command,
            target=self.path,
            headers=self.headers,
            body=self._body(),
            peer=self.client_address[0],
        )
        response = self.server.answer(request)
        self.send_response_only(response.status)
        for name, value in response.headers:
            self.send_header(name, value)
        if response.header("Content-Length") is None and response.status != 204:
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        spent = (time.monotonic() - began) * 1000
        path = self.path.partition("?")[0]
        self.log_message("%s %s%s %d %.1f ms", self.command, request.host, path, response.status, spent)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline() not in (b"\r\n", b"\n", b""):
            pass
        return b"".join(chunks)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = serve  # noqa: N815
