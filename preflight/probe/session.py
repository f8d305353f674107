"""One running probe: questions and relayed connections over one stream, any number at once."""

from __future__ import annotations

import base64
import itertools
import json
import queue
import re
import secrets
import socket
import threading
import time
from typing import Any

import msgspec

from ..connection import Connection, Stream
from ..connection.errors import CommandTimeout, ConnectionFailed, ConnectionLost, TargetRefused
from .program import command, program

PROTOCOL = 1
LIFETIME = 900
"""Seconds after which the program ends by itself, whatever became of the connection. No run may need longer."""

_CHUNK = 48 << 10
_LONGEST_LINE = 64 << 20


class ProbeFailed(Exception):
    """The program did not start, ended, or could not answer. str() is one sentence; remedy: what to type or change."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class Session:
    """The probe running on one node. Safe to use from several threads.

    user, python: whom it runs as there and on which Python.
    confidential: nobody else reads what is asked and answered
    """

    confidential = True

    def __init__(
        self,
        connection: Connection,
        *,
        sudo: bool = False,
        sudo_user: str | None = None,
        es_port: int | None = None,
        start_timeout: float = 30.0,
    ) -> None:
        """Start the program and hear its hello.

        es_port: one that the Elasticsearch in question listens on, None for the host's only one
        start_timeout: seconds. Raises ProbeFailed, ConnectionFailed and its kinds.
        """
        self._sudo, self._sudo_user, self._es_port = sudo, sudo_user, es_port
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.SimpleQueue[dict[str, Any] | Exception]] = {}
        self._lock, self._sending = threading.Lock(), threading.Lock()
        self._over: Exception | None = None
        self._stream: Stream = connection.open(command(sudo, sudo_user))
        try:
            self._rest = self._start(start_timeout)
        except BaseException:
            self._stream.close()
            raise
        self._reader = threading.Thread(target=self._read, name="probe", daemon=True)
        self._reader.start()

    # -- asking ------------------------------------------------------------------------------------------------------

    def ask(self, question: dict[str, Any], deadline: float) -> dict[str, Any]:
        """The answer to one question ("ask" names it).

        deadline: seconds from now. Raises CommandTimeout, ConnectionLost, ProbeFailed.
        """
        number, answers = self._expect()
        try:
            self._send({**question, "id": number})
            return self._answer(answers, deadline, f"question {question['ask']!r}")
        finally:
            self._forget(number)

    def ask_all(self, questions: list[dict[str, Any]], deadline: float) -> list[dict[str, Any] | Exception]:
        """The answer to each of several questions or what `ask` would have raised, put one after another.

        deadline: seconds for each
        """
        return [self._answered(question, deadline) for question in questions]

    def _answered(self, question: dict[str, Any], deadline: float) -> dict[str, Any] | Exception:
        try:
            return self.ask(question, deadline)
        except (ConnectionFailed, ProbeFailed) as error:
            return error

    def clock_offset(self, deadline: float = 5.0) -> float:
        """The node's clock minus the controller's, seconds, half the round trip removed. Raises as `ask` does."""
        before = time.time()
        answer = self.ask({"ask": "clock"}, deadline)
        return float(answer["clock"]) - (before + time.time()) / 2

    def relay(self, host: str, port: int, deadline: float) -> socket.socket:
        """A socket to host:port as seen from the node, its bytes carried by the program.

        deadline: seconds for the connection, and for every operation on the socket as with a tunnel. Raises
        TargetRefused saying how it failed, else as `ask` does.
        """
        number, frames = self._expect()
        try:
            self._send({"ask": "relay", "host": host, "port": port, "deadline": deadline, "id": number})
            self._answer(frames, deadline + 1, f"a relay to {host}:{port}")
        except ProbeFailed as error:
            self._forget(number)
            if self._over is not None:
                raise
            raise TargetRefused(f"the node reaches no {host}:{port}: {error}") from error
        except BaseException:
            self._forget(number)
            raise
        near, far = socket.socketpair()
        near.settimeout(deadline)
        threading.Thread(target=self._deliver, args=(number, frames, far), daemon=True).start()
        threading.Thread(target=self._collect, args=(number, far), daemon=True).start()
        return near

    def close(self) -> None:
        """End the program and every relay. Never raises."""
        self._end(ProbeFailed("the session with the probe is closed"))
        self._stream.close()
        if threading.current_thread() is not self._reader:
            self._reader.join(2)

    # -- the start ---------------------------------------------------------------------------------------------------

    def _start(self, timeout: float) -> bytes:
        """What came after the hello. Everything before the marker is a login shell's own talk."""
        ends = time.monotonic() + timeout
        self._marker = f"es-preflight-{secrets.token_hex(8)}".encode()
        text = program()
        hello = msgspec.json.encode({"marker": self._marker.decode(), "lifetime": LIFETIME, "es_port": self._es_port})
        try:
            self._stream.send(b"%d\n%b%b\n" % (len(text), text, hello))
        except ConnectionLost:
            said = self._last_words()
            if self._exit_status() is None:
                raise
            raise self._not_started(said) from None
        received = b""
        while True:
            begin = received.find(b"\n" + self._marker + b" ")
            end = received.find(b"\n", begin + 1) if begin >= 0 else -1
            if end >= 0:
                self._greeted(received[begin + len(self._marker) + 2 : end])
                return received[end + 1 :]
            try:
                more = self._stream.receive(max(ends - time.monotonic(), 0.01))
            except CommandTimeout as error:
                raise CommandTimeout(
                    f"the probe did not start within {timeout:g} s",
                    "a longer --command-timeout, or see what its login waits for",
                ) from error
            if not more:
                raise self._not_started(received)
            received = (received + more)[-_LONGEST_LINE:]

    def _last_words(self) -> bytes:
        """What a program that no longer reads had printed before it ended."""
        said = b""
        try:
            while more := self._stream.receive(1):
                said += more
        except ConnectionFailed:
            pass
        return said

    def _greeted(self, line: bytes) -> None:
        hello = msgspec.json.decode(line)
        if hello.get("protocol") != PROTOCOL:
            raise ProbeFailed(f"the probe speaks protocol {hello.get('protocol')}, this version {PROTOCOL}")
        self.user: str = hello["user"]
        self.python: str = hello["python"]

    def _not_started(self, received: bytes) -> ProbeFailed:
        status = self._exit_status()
        return explain(self._stderr(), received.decode("utf-8", "replace"), status, self._sudo_user or "root")

    # -- the stream --------------------------------------------------------------------------------------------------

    def _expect(self) -> tuple[int, queue.SimpleQueue[dict[str, Any] | Exception]]:
        number, answers = next(self._numbers), queue.SimpleQueue[dict[str, Any] | Exception]()
        with self._lock:
            if self._over is not None:
                raise self._over
            self._waiting[number] = answers
        return number, answers

    def _forget(self, number: int) -> None:
        with self._lock:
            self._waiting.pop(number, None)

    def _send(self, message: dict[str, Any]) -> None:
        line = _ascii(message)
        with self._sending:
            if self._over is not None:
                raise self._over
            self._stream.send(line)

    def _answer(
        self, answers: queue.SimpleQueue[dict[str, Any] | Exception], deadline: float, what: str
    ) -> dict[str, Any]:
        try:
            message = answers.get(timeout=max(deadline, 0))
        except queue.Empty:
            raise CommandTimeout(f"no answer to {what} within {deadline:g} s", "a longer --command-timeout") from None
        if isinstance(message, Exception):
            raise message
        if "error" in message:
            raise ProbeFailed(str(message["error"]), str(message.get("remedy", "")))
        answer: dict[str, Any] = message["answer"]
        return answer

    def _read(self) -> None:
        """Hand every line to whoever waits for it, until the stream ends."""
        received = self._rest
        over: Exception
        try:
            while True:
                *lines, received = received.split(b"\n")
                for line in lines:
                    self._take(line)
                if len(received) > _LONGEST_LINE:
                    raise ProbeFailed("the probe sent a line without an end")
                more = self._stream.receive(LIFETIME)
                if not more:
                    over = self._ended()
                    break
                received += more
        except (ConnectionFailed, ProbeFailed) as error:
            over = error
        except Exception as error:  # a carrier's own failure must not leave anyone waiting
            over = ConnectionLost(f"the connection failed while the probe ran: {type(error).__name__}")
        self._end(over)

    def _take(self, line: bytes) -> None:
        if not line.startswith(self._marker + b" "):
            return
        try:
            message = msgspec.json.decode(line[len(self._marker) + 1 :])
        except msgspec.DecodeError as error:
            raise ProbeFailed(f"the probe sent what is not JSON: {error}") from error
        with self._lock:
            answers = self._waiting.get(message.get("id"))
        if answers is not None:
            answers.put(message)

    def _end(self, over: Exception) -> None:
        with self._lock:
            self._over = self._over or over
            waiting, self._waiting = list(self._waiting.values()), {}
        for answers in waiting:
            answers.put(self._over)

    def _ended(self) -> ProbeFailed:
        status = self._exit_status()
        said = [line for line in self._stderr().splitlines() if line.strip() and not line.startswith("preflight:")]
        tail = f": {said[-1][:200]}" if said else ""
        return ProbeFailed(f"the probe ended before it had answered (exit status {_status(status)}){tail}")

    def _exit_status(self) -> int | None:
        """Its exit status, which may arrive a moment after the end of its output."""
        ends = time.monotonic() + 1
        while (status := self._stream.exit_status()) is None and time.monotonic() < ends:
            time.sleep(0.01)
        return status

    def _stderr(self) -> str:
        return self._stream.stderr().decode("utf-8", "replace")

    # -- relays ------------------------------------------------------------------------------------------------------

    def _deliver(self, number: int, frames: queue.SimpleQueue[dict[str, Any] | Exception], far: socket.socket) -> None:
        """From the node to the caller."""
        try:
            while True:
                frame = frames.get()
                if isinstance(frame, Exception) or "data" not in frame:
                    break
                far.sendall(base64.b64decode(frame["data"]))
        except OSError:
            pass
        self._forget(number)
        self._tell(number, "close")
        _shut(far)
        far.close()

    def _collect(self, number: int, far: socket.socket) -> None:
        """From the caller to the node. The caller's end of sending is passed on; what is under way still arrives."""
        try:
            while octets := far.recv(_CHUNK):
                self._send({"id": number, "data": base64.b64encode(octets).decode("ascii")})
        except (OSError, ConnectionFailed, ProbeFailed):
            _shut(far)
            return
        self._tell(number, "eof")

    def _tell(self, number: int, what: str) -> None:
        try:
            self._send({"id": number, what: True})
        except (ConnectionFailed, ProbeFailed):
            return


def explain(stderr: str, stdout: str, status: int | None, target: str) -> ProbeFailed:
    """Why the program did not start, from what was printed instead of its hello.

    target: whom sudo should have become.
    """
    starts = re.search(r"^preflight: (\S+) starts (\S+)$", stderr, re.M)
    login, python = (starts[1], starts[2]) if starts else ("the login user", "python3")
    sudoers = f"a sudoers line on that node: {login} ALL=({target}) NOPASSWD: {python}"
    said = [line.strip() for line in stderr.splitlines() if line.strip() and not line.startswith("preflight:")]
    spoken = [line.strip() for line in stdout.splitlines() if line.strip()]
    last = (said or spoken or ["it printed nothing"])[-1][:200]
    if "preflight: no Python" in stderr:
        return ProbeFailed(
            "no Python on the node: neither /usr/bin/python3 nor python3 in PATH nor /usr/libexec/platform-python",
            "install python3 (3.6 or newer) on that node",
        )
    for line in stderr.splitlines():
        if line.startswith("preflight: this python3 is"):
            return ProbeFailed(f"{line[len('preflight: ') :]}", "install Python 3.6 or newer on that node")
        if line.startswith("preflight: the program arrived"):
            return ProbeFailed(
                "the program arrived cut short on the node", "run again; if it repeats, see what filters its SSH"
            )
    for words, message, remedy in _REFUSALS:
        if re.search(words, stderr):
            return ProbeFailed(message.format(login=login, target=target), remedy.format(sudoers=sudoers, login=login))
    return ProbeFailed(f"the probe did not start (exit status {_status(status)}): {last}")


_REFUSALS = (
    (
        r"sudo: .*(password is required|terminal is required|authentication is required)",
        "sudo asks {login} for a password, which nobody can type here",
        "{sudoers}; or leave --sudo away and log in as a user of group elasticsearch",
    ),
    (
        r"sudo: .*must have a tty",
        "sudo wants a terminal (requiretty), which a program has not",
        "a sudoers line on that node: Defaults:{login} !requiretty",
    ),
    (
        r"is not in the sudoers file|is not allowed to (execute|run sudo)|may not run sudo|not permitted to",
        "sudo does not let {login} run Python as {target}",
        "{sudoers}; or leave --sudo away and log in as a user of group elasticsearch",
    ),
    (r"sudo: unknown user|sudo: user .* not found", "sudo knows no user {target} on the node", "another --sudo-user"),
    (r"sudo: (command )?not found", "there is no sudo on the node", "leave --sudo away, or log in as root"),
)  # fmt: skip


def _status(status: int | None) -> str:
    return "unknown" if status is None else str(status)


def _ascii(message: dict[str, Any]) -> bytes:
    """One line that any locale carries."""
    return json.dumps(message).encode("ascii") + b"\n"


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
