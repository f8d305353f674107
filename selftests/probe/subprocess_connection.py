"""A carrier over a local subprocess: the seam's other side for tests; program, pipes and sockets are real."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import subprocess
import time
from collections.abc import Callable

from preflight.connection import Completed
from preflight.connection.errors import CommandTimeout, ConnectionLost


class SubprocessStream:
    """Stream over the pipes of a child."""

    def __init__(self, arguments: list[str], **keywords: object) -> None:
        self.child = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            **keywords,
        )
        # An SSH channel takes 2 MiB before whoever sends has to wait; a pipe holds less than the program's text.
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(self.child.stdin, fcntl.F_SETPIPE_SZ, 1 << 20)
        self.wake, self.woken = os.pipe()
        self.closed = False
        self.errors = b""
        os.set_blocking(self.child.stderr.fileno(), False)

    def send(self, data: bytes) -> None:
        try:
            view = memoryview(data)
            while view:
                view = view[self.child.stdin.write(view) :]
        except (OSError, ValueError) as error:
            raise ConnectionLost("the pipe is closed") from error

    def receive(self, deadline: float) -> bytes:
        if self.closed:
            return b""
        ready, _, _ = select.select([self.child.stdout, self.wake], [], [], deadline)
        if self.wake in ready:
            return b""
        if not ready:
            raise CommandTimeout("nothing came")
        return os.read(self.child.stdout.fileno(), 65536)

    def stderr(self) -> bytes:
        with contextlib.suppress(BlockingIOError, ValueError):
            while more := os.read(self.child.stderr.fileno(), 65536):
                self.errors += more
        return self.errors

    def exit_status(self) -> int | None:
        return self.child.poll()

    def close(self) -> None:
        """End of standard input only, so that what the program does at it is seen."""
        if not self.closed:
            self.closed = True
            self.child.stdin.close()
            os.write(self.woken, b"x")

    def clean(self) -> None:
        self.close()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.child.stderr.close()
        os.close(self.wake)
        os.close(self.woken)


class SubprocessConnection:
    """shell: the login shell's command line before the command itself."""

    user = "tester"

    def __init__(self, shell: tuple[str, ...] = ("/bin/sh", "-c"), **keywords: object) -> None:
        self.shell, self.keywords = shell, keywords
        self.rewrite: Callable[[str], str] = lambda command: command
        self.streams: list[SubprocessStream] = []

    def run(self, command: str, stdin: bytes = b"", deadline: float = 30.0) -> Completed:
        done = subprocess.run([*self.shell, command], input=stdin, capture_output=True, timeout=deadline)
        return Completed(done.returncode, done.stdout, done.stderr)

    def open(self, command: str) -> SubprocessStream:
        stream = SubprocessStream([*self.shell, self.rewrite(command)], **self.keywords)
        self.streams.append(stream)
        return stream

    def tunnel(self, host: str, port: int, deadline: float) -> socket.socket:
        return socket.create_connection((host, port), deadline)

    def close(self) -> None:
        for stream in self.streams:
            stream.clean()

    def ended_within(self, seconds: float) -> bool:
        """Whether every program has ended by itself by then."""
        ends = time.monotonic() + seconds
        while any(stream.child.poll() is None for stream in self.streams):
            if time.monotonic() > ends:
                return False
            time.sleep(0.01)
        return True
