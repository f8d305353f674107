"""Running a command to its end, whatever carries it."""

from __future__ import annotations

import threading
import time
from typing import Protocol

from . import Completed, Stream
from .errors import CommandTimeout

STDERR_KEPT = 65536
STALLED = 30.0
"""Seconds a program may leave its input unread."""


class Program(Stream, Protocol):
    """A Stream whose carrier can also end its input and wait for it."""

    def feed(self, data: bytes) -> None:
        """Send all of data and end the input; a program that reads only part of it is its own affair."""

    def finish_input(self) -> None:
        """End of file on its standard input."""

    def wait(self, deadline: float) -> int:
        """Its exit status, all of standard error read. Raises CommandTimeout, ConnectionLost."""


def run_to_end(program: Program, command: str, stdin: bytes, until: float, deadline: float, host: str) -> Completed:
    """What Connection.run gives. until: time.monotonic() of the deadline, which is told in seconds."""
    try:
        if stdin:
            threading.Thread(target=program.feed, args=(stdin,), name="stdin", daemon=True).start()
        else:
            program.finish_input()
        stdout = bytearray()
        while chunk := program.receive(until - time.monotonic()):
            stdout += chunk
        status = program.wait(until - time.monotonic())
        return Completed(exit_status=status, stdout=bytes(stdout), stderr=program.stderr())
    except CommandTimeout as error:
        raise CommandTimeout(f"{_brief(command)} on {host} did not end within {deadline:g} s") from error
    finally:
        program.close()


def _brief(command: str) -> str:
    """A command's first word, for a message: the rest may hold anything."""
    return f"`{command.split(None, 1)[0] if command.split() else command}`"
