"""The seam between the suite and whatever carries its bytes to a node."""

from __future__ import annotations

import socket
from typing import Literal, Protocol

import msgspec


class Completed(msgspec.Struct, frozen=True):
    """A command that ended by itself."""

    exit_status: int
    stdout: bytes
    stderr: bytes


class Stream(Protocol):
    """A program running on the node, its standard input and output open."""

    def send(self, data: bytes) -> None:
        """All of data to its standard input.

        Raises ConnectionLost, and CommandTimeout where the program leaves its input unread for 30 s.
        """

    def receive(self, deadline: float) -> bytes:
        """Some bytes of its standard output, b"" at its end.

        deadline: seconds from now. Raises CommandTimeout, ConnectionLost.
        """

    def stderr(self) -> bytes:
        """What it has written to standard error so far (the first 64 KiB)."""

    def exit_status(self) -> int | None:
        """Its exit status, None while it runs or where the carrier gave none."""

    def close(self) -> None:
        """Close its standard input and the channel; the program ends by itself."""


class Connection(Protocol):
    """One verified login on one node. Safe to use from several threads.

    user: who logged in; milliseconds: the login took
    host_key: "not verified" with --insecure-host-keys, "not applicable" where the carrier has none
    """

    carrier: str
    user: str
    milliseconds: float

    @property
    def host_key(self) -> Literal["verified", "not verified", "not applicable"]: ...

    def run(self, command: str, stdin: bytes = b"", deadline: float = 30.0) -> Completed:
        """Run a shell command to its end. deadline: seconds. Raises ConnectionFailed and its kinds."""

    def open(self, command: str) -> Stream:
        """Start a program and leave it running. Raises ConnectionFailed and its kinds."""

    def tunnel(self, host: str, port: int, deadline: float) -> socket.socket:
        """A socket to host:port as seen from the node. Raises ForwardingForbidden, TargetRefused, ConnectionLost."""

    def close(self) -> None:
        """End the login. Never raises."""
