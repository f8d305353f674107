"""A program that runs on a node as a session of an OpenSSH master."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from .errors import CommandTimeout, ConnectionLost, SessionRefused
from .mux import Control, MasterGone, MasterRefused
from .openssh_master import Master
from .running import STALLED

CHUNK = 65536


class OpenSshProgram:
    """One command on the node: the Stream of the seam, and what `run` stands on.

    Its three streams are sockets whose other ends ssh has. Standard error is always drained, so that a program that
    writes much of it cannot stand still.
    """

    def __init__(
        self,
        master: Master,
        control: Control,
        near: Sequence[socket.socket],
        host: str,
        keep: int | None,
        closed: Callable[[OpenSshProgram], None],
    ) -> None:
        self._stdin, self._stdout, self._errors = near
        self._master = master
        self._mark = master.mark()
        self._control = control
        self._host = host
        self._keep = keep
        self._closed = closed
        self._stderr = bytearray()
        self._status: int | None = None
        self._over = False
        self._looking, self._reading, self._sending = threading.Lock(), threading.Lock(), threading.Lock()
        self._drain = threading.Thread(target=self._drain_stderr, name="stderr", daemon=True)
        self._drain.start()

    def send(self, data: bytes) -> None:
        """See Stream.send. Raises CommandTimeout too, where the program does not read on."""
        with self._sending:
            view = memoryview(data)
            try:
                self._stdin.settimeout(STALLED)
                while view:
                    view = view[self._stdin.send(view) :]
            except TimeoutError as error:
                raise CommandTimeout(f"the program on {self._host} does not read its input") from error
            except OSError as error:
                raise self._lost() from error

    def feed(self, data: bytes) -> None:
        """See Program.feed."""
        with suppress(ConnectionLost, CommandTimeout):
            self.send(data)
            self.finish_input()

    def finish_input(self) -> None:
        """End of file on its standard input."""
        with suppress(OSError):
            self._stdin.shutdown(socket.SHUT_WR)

    def receive(self, deadline: float) -> bytes:
        """See Stream.receive."""
        with self._reading:
            try:
                self._stdout.settimeout(max(deadline, 0.001))
                data = self._stdout.recv(CHUNK)
            except TimeoutError as error:
                raise CommandTimeout(f"nothing came from {self._host} in time") from error
            except OSError as error:
                raise self._lost() from error
        if not data and self._look(0.001) is None and not self._master.is_alive():
            raise self._lost()
        return data

    def wait(self, deadline: float) -> int:
        """See Program.wait: a program without an exit status has not answered."""
        until = time.monotonic() + deadline
        status = self._look(deadline)
        if status is None:
            if not self._over:
                raise CommandTimeout(f"{self._host} sent no exit status in time")
            if not self._master.is_alive():
                raise self._lost()
            if _exec_refused(self._master.said_since(self._mark, _exec_refused)):
                raise SessionRefused(f"sshd on {self._host} runs no command for this user")
            raise ConnectionLost(f"a signal ended the command on {self._host}")
        self._drain.join(max(until - time.monotonic(), 0.001))
        return status

    def stderr(self) -> bytes:
        """See Stream.stderr."""
        return bytes(self._stderr)

    def exit_status(self) -> int | None:
        """See Stream.exit_status."""
        return self._look(0.001)

    def close(self) -> None:
        """See Stream.close."""
        self._closed(self)
        self._control.end()
        for one in (self._stdin, self._stdout, self._errors):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        # Whoever waits in one of them has been woken; only then may its number be given to another file.
        with self._looking, self._reading, self._sending:
            self._stdin.close()
            self._stdout.close()
            self._control.close()
        if threading.current_thread() is not self._drain:
            self._drain.join(1)

    def _look(self, seconds: float) -> int | None:
        """Its exit status, once there is one."""
        with self._looking:
            if self._status is None and not self._over:
                try:
                    self._status = self._control.exit_status(max(seconds, 0.001))
                except (MasterGone, MasterRefused):
                    self._over = True
                except TimeoutError:
                    pass
            return self._status

    def _drain_stderr(self) -> None:
        with self._errors, suppress(OSError):
            while data := self._errors.recv(CHUNK):
                room = len(data) if self._keep is None else max(self._keep - len(self._stderr), 0)
                self._stderr += data[:room]

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"the connection to {self._host} was lost while a command ran")


def _exec_refused(lines: Sequence[str]) -> bool:
    return any(line.startswith("exec request failed on channel") for line in lines)
