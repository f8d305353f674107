"""Logging in and running things with paramiko: the Connection of paramiko://."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import paramiko

from preflight.inventory import Node

from . import Completed, Connection, Stream
from .carrier import ProxyProcess, dial, joined
from .channels import CHUNK, Transport, close, end_input, send_all
from .errors import (
    CommandTimeout,
    ConnectionLost,
    ForwardingForbidden,
    SessionRefused,
    TargetRefused,
)
from .login import end, log_in
from .running import STALLED, STDERR_KEPT, run_to_end
from .ssh_config import Settings, settings_for
from .way import Admission, Jump, at_once, close_all, label, last_hop, ssh_command, through

logging.getLogger("paramiko").addHandler(logging.NullHandler())  # else its tracebacks of handled errors reach stderr

_PROHIBITED = 1  # RFC 4254, section 5.1


def connect(
    node: Node,
    *,
    connect_timeout: float,
    insecure_host_keys: bool,
    jump: Jump | None = None,
    via: tuple[str, ...] = (),
    admission: Admission = at_once,
) -> ParamikoConnection:
    """Log in to the node, once.

    connect_timeout: seconds until sshd has agreed on keys, for each jump host again; the node's own comes first
    jump: where jump hosts' logins come from; None: the connection makes them and closes them with itself
    via: hosts whose way leads through this one; admission: when it may begin, no timeout runs before
    Raises ConnectionFailed and its kinds.
    """
    timeout = node.connect_timeout or connect_timeout
    settings = settings_for(
        node.host,
        port=node.port,
        user=node.user,
        identity_file=node.identity_file,
        config=node.ssh_config,
        proxy_jump=node.proxy_jump,
    )
    closing: list[Callable[[], None]] = []
    proxy: ProxyProcess | None = None

    def own_jump(hop: Node, leading: tuple[str, ...]) -> Connection:
        login = connect(hop, connect_timeout=timeout, insecure_host_keys=insecure_host_keys, via=leading)
        closing.append(login.close)
        return login

    try:
        hop = last_hop(node, settings.proxy_jump, via)
        login = (jump or own_jump)(hop, (*via, label(node))) if hop else None
        with admission(hop):
            started = time.monotonic()
            deadline = started + timeout
            if login and hop:
                with through(hop, settings.hostname, settings.port, timeout):
                    stream = login.tunnel(settings.hostname, settings.port, timeout)
                deadline = time.monotonic() + timeout
            elif settings.proxy_command:
                proxy = ProxyProcess(settings.proxy_command)
                closing.append(proxy.close)
                stream = proxy.stream
            else:
                stream = dial(settings, deadline)
            try:
                transport = log_in(
                    stream,
                    settings,
                    ssh=ssh_command(node),
                    password=node.password,
                    timeout=timeout,
                    deadline=deadline,
                    verify_host_key=not insecure_host_keys,
                )
            except ConnectionLost as error:
                if proxy and (complaint := proxy.complaint()):
                    raise ConnectionLost(
                        f"the ProxyCommand for {node.host} ended: {complaint}", error.remedy
                    ) from error
                raise
    except BaseException:
        close_all(closing)
        raise
    return ParamikoConnection(
        transport,
        stream,
        settings,
        closing,
        host_key="not verified" if insecure_host_keys else "verified",
        milliseconds=(time.monotonic() - started) * 1000,
    )


class ParamikoConnection:
    """One login; see the Connection it implements.

    user: who logged in; host_key: verified | not verified; milliseconds: the login took
    """

    carrier = "paramiko"

    def __init__(
        self,
        transport: Transport,
        stream: socket.socket,
        settings: Settings,
        closing: list[Callable[[], None]],
        *,
        host_key: Literal["verified", "not verified"],
        milliseconds: float,
    ) -> None:
        self.user = settings.user
        self.host_key = host_key
        self.milliseconds = milliseconds
        self._host = settings.alias
        self._transport = transport
        self._stream = stream
        self._closing = closing
        # A session that ends is still counted by sshd for a moment: one at a time keeps clear of its MaxSessions.
        self._opening = threading.Lock()

    def run(self, command: str, stdin: bytes = b"", deadline: float = 30.0) -> Completed:
        """See Connection.run."""
        until = time.monotonic() + deadline
        program = self._start(command, until, deadline)
        return run_to_end(program, command, stdin, until, deadline, self._host)

    def open(self, command: str, deadline: float = 30.0) -> Stream:
        """See Connection.open."""
        return self._start(command, time.monotonic() + deadline, deadline, keep=STDERR_KEPT)

    def tunnel(self, host: str, port: int, deadline: float) -> socket.socket:
        """See Connection.tunnel."""
        target = f"{host} port {port}"
        try:
            channel = self._open_channel("direct-tcpip", deadline, (host, port))
        except paramiko.ChannelException as error:
            if error.code == _PROHIBITED:
                raise ForwardingForbidden(
                    f"sshd on {self._host} forbids forwarding to {target}",
                    "AllowTcpForwarding and PermitOpen in sshd_config",
                ) from error
            raise TargetRefused(f"{target} does not accept a connection from {self._host}") from error
        except CommandTimeout as error:
            raise CommandTimeout(f"{target} does not answer {self._host} within {deadline:g} s") from error
        channel.settimeout(None)

        def send(data: bytes) -> None:
            send_all(channel, data)

        return joined(lambda: channel.recv(CHUNK), send, lambda: close(channel), _nothing, deadline)

    def close(self) -> None:
        """See Connection.close."""
        with suppress(Exception):
            end(self._transport, self._stream)
        close_all(self._closing)

    def _start(self, command: str, until: float, deadline: float, keep: int | None = None) -> _Program:
        try:
            if not self._opening.acquire(timeout=max(deadline, 0)):
                raise CommandTimeout(f"{self._host} is busy opening channels")
            try:
                channel = self._open_channel("session", until - time.monotonic())
            finally:
                self._opening.release()
        except paramiko.ChannelException as error:
            raise SessionRefused(
                f"sshd on {self._host} opens no further session on this login", "raise MaxSessions in its sshd_config"
            ) from error
        except CommandTimeout as error:
            raise CommandTimeout(f"{self._host} does not answer within {deadline:g} s") from error
        program = _Program(channel, self._host, keep)
        try:
            program.start(command, until - time.monotonic())
        except CommandTimeout as error:
            raise CommandTimeout(f"{self._host} does not answer within {deadline:g} s") from error
        return program

    def _open_channel(
        self, kind: Literal["session", "direct-tcpip"], deadline: float, target: tuple[str, int] = ("", 0)
    ) -> paramiko.Channel:
        """A channel. Raises ChannelException as sshd answered, CommandTimeout, ConnectionLost."""
        try:
            return self._transport.open_in_turn(kind, target, max(deadline, 0.001))
        except paramiko.ChannelException:
            raise
        except (paramiko.SSHException, EOFError, OSError) as error:
            if self._transport.is_active() and "Timeout" in str(error):
                raise CommandTimeout(f"{self._host} does not answer") from error
            raise ConnectionLost(
                f"the connection to {self._host} is lost ({str(error) or type(error).__name__})"
            ) from error


def _nothing() -> None:
    """A closed channel holds nothing more."""


class _Program:
    """One command on the node: the Stream of the seam, and what `run` stands on.

    Standard error is always drained, so that a program that writes much of it cannot stand still.
    """

    def __init__(self, channel: paramiko.Channel, host: str, keep: int | None) -> None:
        self._channel = channel
        self._host = host
        self._keep = keep
        self._stderr = bytearray()
        self._drain = threading.Thread(target=self._drain_stderr, name="stderr", daemon=True)

    def start(self, command: str, deadline: float) -> None:
        """Raises CommandTimeout, SessionRefused, ConnectionLost."""
        until = time.monotonic() + deadline
        # paramiko waits for sshd's answer without end; closing the channel is what wakes it.
        watchdog = threading.Timer(max(deadline, 0.001), self.close)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as error:
            self.close()
            if time.monotonic() >= until:
                raise CommandTimeout(f"{self._host} does not start the command in time") from error
            if self._channel.get_transport().is_active():
                raise SessionRefused(f"sshd on {self._host} runs no command for this user") from error
            raise self._lost() from error
        finally:
            watchdog.cancel()
        self._drain.start()

    def send(self, data: bytes) -> None:
        """See Stream.send. Raises CommandTimeout too, where the program does not read on."""
        try:
            send_all(self._channel, data, STALLED)
        except TimeoutError as error:
            raise CommandTimeout(f"the program on {self._host} does not read its input") from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise self._lost() from error

    def feed(self, data: bytes) -> None:
        """Send all of data and end the input; a program that reads only part of it is its own affair."""
        with suppress(ConnectionLost, CommandTimeout):
            self.send(data)
            self.finish_input()

    def finish_input(self) -> None:
        """End of file on its standard input."""
        end_input(self._channel)

    def receive(self, deadline: float) -> bytes:
        """See Stream.receive."""
        self._channel.settimeout(max(deadline, 0.001))
        try:
            data = self._channel.recv(CHUNK)
        except TimeoutError as error:
            raise CommandTimeout(f"nothing came from {self._host} in time") from error
        if not data and not self._channel.eof_received and self.exit_status() is None:
            raise self._lost()
        return data

    def wait(self, deadline: float) -> int:
        """Its exit status. Raises CommandTimeout, ConnectionLost: a program without one has not answered."""
        until = time.monotonic() + deadline
        if not self._channel.status_event.wait(max(deadline, 0.001)):
            raise CommandTimeout(f"{self._host} sent no exit status in time")
        self._drain.join(max(until - time.monotonic(), 0.001))
        status = self.exit_status()
        if status is None:
            if self._channel.get_transport().is_active():
                raise ConnectionLost(f"a signal ended the command on {self._host}")
            raise self._lost()
        return status

    def stderr(self) -> bytes:
        """See Stream.stderr."""
        return bytes(self._stderr)

    def exit_status(self) -> int | None:
        """See Stream.exit_status."""
        if not self._channel.exit_status_ready() or self._channel.exit_status == -1:
            return None
        return self._channel.exit_status

    def close(self) -> None:
        """See Stream.close."""
        close(self._channel)

    def _drain_stderr(self) -> None:
        with suppress(OSError, EOFError, paramiko.SSHException):
            while data := self._channel.recv_stderr(CHUNK):
                room = len(data) if self._keep is None else max(self._keep - len(self._stderr), 0)
                self._stderr += data[:room]

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self._host} was lost while a command ran")
