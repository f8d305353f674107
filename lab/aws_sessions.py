"""Session Manager's port forwarding for moto: sessions that it starts and ends, and the gateway that their bytes pass.

As AWS has it: StartSession for AWS's two documents only, for an instance whose agent is online; a token that opens that
session alone and no longer than it lives; the connection to the port is made on the instance. The wire between plugin
and gateway is not AWS's: one line of JSON with session and token, one line back, and then the bytes of a connection to
the port; a connection that wants none stands for as long as the session.
"""

from __future__ import annotations

import json
import secrets
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

DOCUMENTS = {
    "AWS-StartPortForwardingSession": {"portNumber", "localPortNumber"},
    "AWS-StartPortForwardingSessionToRemoteHost": {"host", "portNumber", "localPortNumber"},
}
LONGEST_LINE = 4096
HELLO_SECONDS = 10.0
DIAL_SECONDS = 30.0

Online = Callable[[str], bool]
Dial = Callable[[str, str, int], socket.socket]
"""A connection to host and port made on an instance. Raises OSError."""


@dataclass
class Session:
    """One that was started and has not ended. wires: its connections"""

    instance: str
    host: str
    port: int
    token: str
    wires: list[socket.socket] = field(default_factory=list)


class Gateway(socketserver.ThreadingTCPServer):
    """Where the plugin's connections arrive. Port 0 takes a free one: server_address says which."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], online: Online, dial: Dial) -> None:
        self.online, self._dial = online, dial
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def begin(self, name: str, instance: str, host: str, port: int) -> dict[str, str]:
        """StartSession's answer."""
        session = Session(instance, host, port, secrets.token_urlsafe(32))
        with self._lock:
            self._sessions[name] = session
        where, number = self.server_address[:2]
        return {"SessionId": name, "TokenValue": session.token, "StreamUrl": f"ws://{where!s}:{number}/{name}"}

    def end(self, name: str) -> None:
        """The session and its connections are over; one that is not known is no error, as at AWS."""
        with self._lock:
            session = self._sessions.pop(name, None)
        for wire in session.wires if session else ():
            _shut(wire)

    def serve(self, wire: socket.socket) -> None:
        """One connection of a plugin's, to its end."""
        wire.settimeout(HELLO_SECONDS)
        hello = json.loads(_line(wire) or b"{}")
        with self._lock:
            session = self._sessions.get(str(hello.get("SessionId")))
        if session is None or not secrets.compare_digest(session.token, str(hello.get("TokenValue"))):
            wire.sendall(b"the session's token is not valid\n")
            return
        if not self.online(session.instance):
            wire.sendall(b"the instance is not connected\n")
            return
        wire.sendall(b"ok\n")
        wire.settimeout(None)
        if hello.get("Connect") is not True:
            with self._held(session, wire):
                wire.recv(1)
            return
        try:
            far = self._dial(session.instance, session.host, session.port)
        except OSError:
            return  # the plugin's client sees its connection closed, as over AWS's
        with far, self._held(session, wire, far):
            carry(wire, far)

    @contextmanager
    def _held(self, session: Session, *wires: socket.socket) -> Iterator[None]:
        """Connections that end with their session."""
        with self._lock:
            session.wires += wires
        try:
            yield
        finally:
            with self._lock:
                session.wires = [one for one in session.wires if one not in wires]


class _Handler(socketserver.BaseRequestHandler):
    server: Gateway

    def handle(self) -> None:
        with suppress(OSError, ValueError):
            self.server.serve(self.request)


def install(gateway: Gateway, allowed: Callable[[], bool] = lambda: True) -> None:
    """Have moto's SSM start and end sessions. Once a process. allowed: starting one, beside what moto's IAM says"""
    from moto.core.responses import ActionResult
    from moto.ssm import responses as motos_responses
    from moto.ssm.exceptions import SSMException

    def start_session(self: Any) -> Any:
        instance, document = self._get_param("Target"), self._get_param("DocumentName")
        given = self._get_param("Parameters", {})
        if not allowed():
            raise SSMException("AccessDeniedException", f"not authorized to perform: ssm:StartSession on {instance}")
        if document not in DOCUMENTS:
            raise SSMException("InvalidDocument", f"no document {document}")
        if set(given) - DOCUMENTS[document] or not all(isinstance(value, list) for value in given.values()):
            raise SSMException("InvalidParameters", f"{document} does not take these parameters")
        if not gateway.online(instance):
            raise SSMException("TargetNotConnected", f"{instance} is not connected.")
        host, port = given.get("host", ["localhost"])[0], int(given.get("portNumber", ["80"])[0])
        name = f"operator-0{secrets.token_hex(8)}"
        return ActionResult(gateway.begin(name, instance, host, port))

    def terminate_session(self: Any) -> Any:
        gateway.end(self._get_param("SessionId"))
        return ActionResult({"SessionId": self._get_param("SessionId")})

    answers: Any = motos_responses.SimpleSystemManagerResponse
    answers.start_session, answers.terminate_session = start_session, terminate_session


def _line(wire: socket.socket) -> bytes:
    """Bytes up to a line's end, read one by one: what follows is somebody else's."""
    line = b""
    while len(line) < LONGEST_LINE and (octet := wire.recv(1)):
        if octet == b"\n":
            return line
        line += octet
    raise OSError("no line")


def carry(near: socket.socket, far: socket.socket) -> None:
    """What either of two connections brings to the other, until both have ended."""
    back = threading.Thread(target=_copy, args=(far, near), daemon=True)
    back.start()
    _copy(near, far)
    back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Until the source ends; then the sink's reader sees that end too."""
    with suppress(OSError):
        while octets := source.recv(65536):
            sink.sendall(octets)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _shut(wire: socket.socket) -> None:
    with suppress(OSError):
        wire.shutdown(socket.SHUT_RDWR)
