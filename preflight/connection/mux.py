"""The client's side of OpenSSH's connection sharing: what `ssh -S PATH` says to a ControlMaster, said without an ssh.

One process less a command, and three things `ssh -S` folds into its status 255 stay apart: a command that ended with
255, one that a signal ended, and a master that is gone. Source: PROTOCOL.mux of OpenSSH, version 4 (since 5.5).
"""

from __future__ import annotations

import itertools
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

VERSION = 4

_HELLO = 0x00000001
_NEW_SESSION = 0x10000002
_ALIVE_CHECK = 0x10000004
_TERMINATE = 0x10000005
_NEW_STDIO_FORWARD = 0x10000008
_OK = 0x80000001
_PERMISSION_DENIED = 0x80000002
_FAILURE = 0x80000003
_EXIT = 0x80000004
_ALIVE = 0x80000005
_OPENED = 0x80000006

_NO_ESCAPE = 0xFFFFFFFF
_LONGEST = 256 << 10


class MasterGone(Exception):
    """Nothing answers at the control socket."""


class MasterRefused(Exception):
    """The master answered that it could not, most often because the host would not."""


class Control:
    """One conversation with a master; a session or a forward lives as long as its conversation.

    Every method raises MasterGone, MasterRefused, and TimeoutError where the answer takes longer than `seconds`.
    """

    def __init__(self, path: str, seconds: float) -> None:
        self._numbers = itertools.count()
        self._received = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        until = time.monotonic() + seconds
        try:
            self._socket.settimeout(max(seconds, 0.001))
            self._socket.connect(path)
            self._send(struct.pack(">II", _HELLO, VERSION))
            kind, rest = self._packet(until)
            if kind != _HELLO or _number(rest, 0) != VERSION:
                raise MasterRefused(f"this ssh shares its connection in an unknown way (version {_number(rest, 0)})")
        except TimeoutError:
            self._socket.close()
            raise
        except OSError as error:
            self._socket.close()
            raise MasterGone(str(error)) from error
        except BaseException:
            self._socket.close()
            raise

    def session(self, command: str, streams: Sequence[socket.socket], seconds: float) -> None:
        """Start a command on those three: stdin, stdout, stderr. They may be closed afterwards."""
        flags = struct.pack(">IIIII", 0, 0, 0, 0, _NO_ESCAPE)  # no terminal, no X11, no agent, no subsystem
        body = _text(b"") + flags + _text(b"") + _text(command.encode())
        self._ask(_NEW_SESSION, body, _OPENED, seconds, streams)

    def forward(self, host: str, port: int, streams: Sequence[socket.socket], seconds: float) -> None:
        """Connect to host:port as seen from the node: what is read from the first goes there, what comes from
        there is written to the second."""
        body = _text(b"") + _text(host.encode()) + struct.pack(">I", port)
        self._ask(_NEW_STDIO_FORWARD, body, _OPENED, seconds, streams)

    def alive(self, seconds: float) -> None:
        """Returns where the master answers."""
        self._ask(_ALIVE_CHECK, b"", _ALIVE, seconds)

    def terminate(self, seconds: float) -> None:
        """End the master and all that runs over it, as `ssh -O exit` does."""
        with suppress(MasterGone):  # it may be gone before its answer has left
            self._ask(_TERMINATE, b"", _OK, seconds)

    def exit_status(self, seconds: float) -> int:
        """The exit status of the session's command. Raises MasterGone where the session ended without one."""
        until = time.monotonic() + seconds
        while True:
            kind, rest = self._packet(until)
            if kind == _EXIT:
                return _number(rest, 4)

    def end(self) -> None:
        """End what lives on this conversation, and wake whoever waits in it. Never raises."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket. Never raises."""
        self._socket.close()

    def _ask(self, kind: int, body: bytes, expected: int, seconds: float, handed: Sequence[socket.socket] = ()) -> None:
        until = time.monotonic() + seconds
        number = next(self._numbers)
        try:
            self._socket.settimeout(max(seconds, 0.001))
            self._send(struct.pack(">II", kind, number) + body)
            for one in handed:
                socket.send_fds(self._socket, [b"\0"], [one.fileno()])
        except TimeoutError:
            raise
        except OSError as error:
            raise MasterGone(str(error)) from error
        answer, rest = self._packet(until)
        if answer in (_FAILURE, _PERMISSION_DENIED):
            raise MasterRefused(rest[8:].decode(errors="replace"))
        if answer != expected:
            raise MasterRefused(f"an answer of kind {answer:#x}")

    def _send(self, payload: bytes) -> None:
        self._socket.sendall(struct.pack(">I", len(payload)) + payload)

    def _packet(self, until: float) -> tuple[int, bytes]:
        """The next message: its kind and what follows. What has come of one stays where the time is up."""
        while len(self._received) < 4 or len(self._received) < 4 + _number(self._received, 0):
            if len(self._received) >= 4 and not 4 <= _number(self._received, 0) <= _LONGEST:
                raise MasterRefused("no message of a master")
            self._socket.settimeout(max(until - time.monotonic(), 0.001))
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                raise
            except OSError as error:
                raise MasterGone(str(error)) from error
            if not more:
                raise MasterGone("the master ended the conversation")
            self._received += more
        size = _number(self._received, 0)
        message, self._received = self._received[4 : 4 + size], self._received[4 + size :]
        return _number(message, 0), message[4:]


def _text(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def _number(data: bytes, offset: int) -> int:
    return int.from_bytes(data[offset : offset + 4], "big")
