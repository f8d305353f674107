"""Logging in and running things with this machine's OpenSSH: the Connection of ssh://.

One ControlMaster a host holds the login; commands, streams and tunnels are sessions on it, asked for over its control
socket. So whatever OpenSSH can do for a login (host certificates, GSSAPI, FIDO keys, `Match exec`) works here.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

from preflight.inventory import Node

from . import Completed, Connection, Stream
from .carrier import joined
from .errors import (
    CommandTimeout,
    ConnectionFailed,
    ConnectionLost,
    ForwardingForbidden,
    SessionRefused,
    TargetRefused,
)
from .mux import Control, MasterGone, MasterRefused
from .openssh_master import Directory, Master, ask_config
from .openssh_program import CHUNK, OpenSshProgram
from .running import STDERR_KEPT, run_to_end
from .way import Admission, Jump, at_once, close_all, label, last_hop, ssh_command, through


def connect(
    node: Node,
    *,
    connect_timeout: float,
    insecure_host_keys: bool,
    directory: Directory,
    jump: Jump | None = None,
    via: tuple[str, ...] = (),
    admission: Admission = at_once,
) -> OpenSshConnection:
    """Log in to the node, once.

    connect_timeout: seconds until sshd has agreed on keys, for each jump host again; the node's own comes first
    directory: where the control socket goes; jump: where jump hosts' logins come from; None: the connection makes them
    and closes them with itself
    via: hosts whose way leads through this one; admission: when it may begin, no timeout runs before
    Raises ConnectionFailed and its kinds.
    """
    timeout = node.connect_timeout or connect_timeout
    words = _words(node)
    resolved = ask_config([*(["-J", node.proxy_jump] if node.proxy_jump else []), *words], node.host, timeout)
    closing: list[Callable[[], None]] = []

    def own_jump(hop: Node, leading: tuple[str, ...]) -> Connection:
        login = connect(
            hop, connect_timeout=timeout, insecure_host_keys=insecure_host_keys, directory=directory, via=leading
        )
        closing.append(login.close)
        return login

    try:
        hop = last_hop(node, resolved.proxy_jump, via)
        login = (jump or own_jump)(hop, (*via, label(node))) if hop else None
        with admission(hop):
            started = time.monotonic()
            pipe = None
            if hop and isinstance(login, OpenSshConnection):
                with through(hop, resolved.hostname, resolved.port, timeout):
                    pipe = login.pipe(resolved.hostname, resolved.port, timeout)
                closing.append(pipe.close)
            master = directory.start(
                words,
                insecure=insecure_host_keys,
                timeout=timeout,
                joined=(pipe.reading, pipe.writing) if pipe else (),
            )
            if pipe:  # ssh has them now, and sees their end only where nobody else holds them
                pipe.reading.close()
                pipe.writing.close()
            closing.append(master.close)
            master.log_in(resolved, ssh_command(node), timeout)
    except BaseException:
        close_all(closing)
        raise
    return OpenSshConnection(
        master,
        node.host,
        resolved.user,
        closing,
        host_key="not verified" if insecure_host_keys else "verified",
        milliseconds=(time.monotonic() - started) * 1000,
    )


def _words(node: Node) -> list[str]:
    """ssh's options and argument for the node, without its way."""
    words = ["-F", node.ssh_config] if node.ssh_config else []
    words += ["-i", node.identity_file] if node.identity_file else []
    words += ["-p", str(node.port)] if node.port else []
    words += ["-l", node.user] if node.user else []
    return [*words, "--", node.host]


class OpenSshConnection:
    """One login; see the Connection it implements.

    user: who logged in; host_key: verified | not verified; milliseconds: the login took
    """

    carrier = "ssh"

    def __init__(
        self,
        master: Master,
        host: str,
        user: str,
        closing: list[Callable[[], None]],
        *,
        host_key: Literal["verified", "not verified"],
        milliseconds: float,
    ) -> None:
        self.user = user
        self.host_key = host_key
        self.milliseconds = milliseconds
        self._master = master
        self._host = host
        self._closing = closing
        # A session that ends is still counted by sshd for a moment: one at a time keeps clear of its MaxSessions.
        self._opening = threading.Lock()
        self._programs: set[OpenSshProgram] = set()

    def run(self, command: str, stdin: bytes = b"", deadline: float = 30.0) -> Completed:
        """See Connection.run."""
        until = time.monotonic() + deadline
        return run_to_end(self._start(command, deadline), command, stdin, until, deadline, self._host)

    def open(self, command: str, deadline: float = 30.0) -> Stream:
        """See Connection.open."""
        return self._start(command, deadline, keep=STDERR_KEPT)

    def tunnel(self, host: str, port: int, deadline: float) -> socket.socket:
        """See Connection.tunnel."""
        pipe = self.pipe(host, port, deadline)

        def end() -> None:
            pipe.control.end()
            for one in (pipe.reading, pipe.writing):
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

        return joined(lambda: pipe.reading.recv(CHUNK), pipe.writing.sendall, end, pipe.close, deadline)

    def pipe(self, host: str, port: int, deadline: float) -> Pipe:
        """A connection to host:port as seen from the node. Raises as tunnel does."""
        target = f"{host} port {port}"
        mark = self._master.mark()
        near, far = _pairs(2)
        try:
            control = self._ask(lambda control, left: control.forward(host, port, far, left), deadline)
        except MasterRefused as error:
            _close(near)
            lines = self._master.said_since(mark, lambda lines: bool(_reason(lines, host, port)))
            if "prohibited" in _reason(lines, host, port):
                raise ForwardingForbidden(
                    f"sshd on {self._host} forbids forwarding to {target}",
                    "AllowTcpForwarding and PermitOpen in sshd_config",
                ) from error
            raise TargetRefused(f"{target} does not accept a connection from {self._host}") from error
        except TimeoutError as error:
            _close(near)
            raise CommandTimeout(f"{target} does not answer {self._host} within {deadline:g} s") from error
        except BaseException:
            _close(near)
            raise
        finally:
            _close(far)
        writing, reading = near
        return Pipe(reading, writing, control)

    def close(self) -> None:
        """See Connection.close."""
        for program in tuple(self._programs):
            program.close()
        close_all(self._closing)

    def _start(self, command: str, deadline: float, keep: int | None = None) -> OpenSshProgram:
        until = time.monotonic() + deadline
        near, far = _pairs(3)
        try:
            if not self._opening.acquire(timeout=max(deadline, 0)):
                raise TimeoutError
            try:
                control = self._ask(lambda control, left: control.session(command, far, left), until - time.monotonic())
            finally:
                self._opening.release()
        except MasterRefused as error:
            _close(near)
            raise SessionRefused(
                f"sshd on {self._host} opens no further session on this login", "raise MaxSessions in its sshd_config"
            ) from error
        except TimeoutError as error:
            _close(near)
            raise CommandTimeout(f"{self._host} does not answer within {deadline:g} s") from error
        except BaseException:
            _close(near)
            raise
        finally:
            _close(far)
        program = OpenSshProgram(self._master, control, near, self._host, keep, self._programs.discard)
        self._programs.add(program)
        return program

    def _ask(self, question: Callable[[Control, float], None], deadline: float) -> Control:
        """The conversation after its question is answered. Raises ConnectionLost, MasterRefused, TimeoutError."""
        until = time.monotonic() + deadline
        try:
            control = self._master.control(deadline)
            try:
                question(control, until - time.monotonic())
            except BaseException:
                control.close()
                raise
        except MasterGone as error:
            raise ConnectionLost(f"the connection to {self._host} is lost") from error
        return control


class Pipe(NamedTuple):
    """Two sockets for the two directions of a forwarded connection, and the conversation it lives on."""

    reading: socket.socket
    writing: socket.socket
    control: Control

    def close(self) -> None:
        """Let go of it all."""
        self.control.close()
        self.reading.close()
        self.writing.close()


def _pairs(count: int) -> tuple[list[socket.socket], list[socket.socket]]:
    """Connected sockets, our ends and those to hand over. Raises ConnectionFailed."""
    near, far = [], []
    try:
        for _ in range(count):
            one, other = socket.socketpair()
            near.append(one)
            far.append(other)
    except OSError as error:
        _close([*near, *far])
        raise ConnectionFailed(f"no further socket can be opened ({error.strerror})", "raise `ulimit -n`") from error
    return near, far


def _close(sockets: Sequence[socket.socket]) -> None:
    for one in sockets:
        one.close()


def _reason(lines: Sequence[str], host: str, port: int) -> str:
    """Why the master says that a connection to host:port was not opened, "" where it does not.

    Its answer gives no reason, its log does, by the number of a channel; connections are opened at the same time.
    """
    channels: set[str] = set()
    ours = False
    for line in lines:
        if line.startswith("debug1: channel_connect_stdio_fwd"):
            ours = line.endswith(f" {host}:{port}")
        elif ours and (new := re.match(r"debug1: channel (\d+): new", line)):
            channels.add(new[1])
            ours = False
        elif (failed := re.match(r"channel (\d+): open failed: (.*)", line)) and failed[1] in channels:
            return failed[2]
    return ""
