"""The byte stream an SSH login runs over: a TCP connection, a ProxyCommand's pipe, or a channel through a jump host."""

from __future__ import annotations

import errno
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import paramiko

from .channels import CHUNK
from .errors import ConnectionFailed, ConnectionLost, ConnectRefused, ConnectTimeout, NameNotResolved, NoRoute
from .ssh_config import Settings


class _PromptSocket(socket.socket):
    """A TCP connection that acknowledges at once and sends at once.

    sshd leaves Nagle's algorithm on where there is no terminal, so that its second small packet waits for our
    acknowledgement of the first, which Linux else delays by 40 ms: of the first command after a login always.
    """

    def __init__(self, family: int, kind: int, protocol: int) -> None:
        super().__init__(family, kind, protocol)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def recv(self, size: int, flags: int = 0) -> bytes:
        data = super().recv(size, flags)
        if _QUICKACK is not None:
            with suppress(OSError):  # closed meanwhile
                self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)  # the kernel forgets it again
        return data


_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux only


def dial(settings: Settings, deadline: float) -> socket.socket:
    """A TCP connection to the host, its addresses in turn. deadline: time.monotonic() to give up at.

    Raises NameNotResolved, ConnectRefused, NoRoute, ConnectTimeout: of the address that came nearest.
    """
    where = f"{settings.hostname} port {settings.port}"
    try:
        found = socket.getaddrinfo(settings.hostname, settings.port, settings.family, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        reason = error.strerror if isinstance(error, socket.gaierror) else "not a host name"
        raise NameNotResolved(
            f"{settings.hostname} has no address ({reason})", "correct the name in --hosts, the inventory or ssh_config"
        ) from error
    failures: list[ConnectionFailed] = []
    for family, kind, protocol, _, address in found:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            connection = _PromptSocket(family, kind, protocol)
        except OSError as error:  # a kernel without IPv6
            failures.append(_failure(error, where))
            continue
        try:
            connection.settimeout(left / (len(found) - len(failures)))
            if settings.bind_address:
                connection.bind((settings.bind_address, 0))
            connection.connect(address)
        except OSError as error:
            connection.close()
            failures.append(_failure(error, where))
        else:
            return connection
    raise next((f for f in failures if isinstance(f, ConnectRefused)), failures[0] if failures else _silent(where))


def _silent(where: str) -> ConnectTimeout:
    return ConnectTimeout(
        f"{where} does not answer", "check that the host is up and that its firewall or security group lets you in"
    )


def _failure(error: OSError, where: str) -> ConnectionFailed:
    if isinstance(error, TimeoutError):
        return _silent(where)
    if isinstance(error, ConnectionRefusedError):
        return ConnectRefused(f"{where} refuses the connection", "start sshd there, or correct the port")
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return NoRoute(f"there is no route to {where} ({error.strerror})")
    return ConnectionLost(f"connecting to {where} failed ({error.strerror or error})")


class ProxyProcess:
    """A ProxyCommand on one end of a socket pair; the other end is the stream."""

    def __init__(self, command: str) -> None:
        self.stream, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  closed in close()
        with theirs:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"], stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=self._errors
            )

    def complaint(self) -> str:
        """The last line it wrote to standard error, "" for none."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._errors.seek(0)
        lines = self._errors.read(CHUNK).decode(errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def close(self) -> None:
        """End it and reap it."""
        self.stream.close()
        self._process.terminate()
        try:
            self._process.wait(2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()


def joined(
    receive: Callable[[], bytes],
    send: Callable[[bytes], None],
    end: Callable[[], None],
    release: Callable[[], None],
    timeout: float,
) -> socket.socket:
    """A real socket joined to a forwarded connection by two threads: TLS, polling and timeouts just work on it.

    receive: some bytes from the node, b"" at their end; send: all of them to it; end: wakes both, release: lets go of
    what they stood on. Both raise what their carrier raises at its end
    timeout: seconds, of every operation on the socket. Closing the socket ends the connection.
    """
    near, far = socket.socketpair()
    near.settimeout(timeout)
    inward = threading.Thread(target=_inward, args=(receive, far), name="tunnel inward", daemon=True)
    outward = threading.Thread(
        target=_outward, args=(send, end, release, inward, far), name="tunnel outward", daemon=True
    )
    inward.start()
    outward.start()
    return near


def _outward(
    send: Callable[[bytes], None],
    end: Callable[[], None],
    release: Callable[[], None],
    inward: threading.Thread,
    far: socket.socket,
) -> None:
    """Ends when the socket's other end is closed, and is the one who closes all."""
    with far:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while data := far.recv(CHUNK):
                send(data)
        end()
        with suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)
        inward.join()
    release()


def _inward(receive: Callable[[], bytes], far: socket.socket) -> None:
    """What the node sent is read to its end before the socket's reader sees that end."""
    with suppress(OSError, EOFError, paramiko.SSHException):
        while data := receive():
            far.sendall(data)
    with suppress(OSError):
        far.shutdown(socket.SHUT_WR)
