"""A port of an instance's, forwarded to this machine: Session Manager and AWS's own session-manager-plugin.

AWS keeps who started a session, with which instance, host and port, and nothing of what goes through it: so, other than
a command, it may carry a login. The plugin listens on loopback; TLS ends in this process as over SSH.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from .errors import ConnectionFailed, ConnectionLost, ForwardingForbidden
from .several import each
from .ssm_phases import again

PROGRAM = "session-manager-plugin"
VARIABLE = "AWS_SSM_START_SESSION_RESPONSE"
OLDEST = (1, 2, 536, 0)
"""The plugin's first version that takes the session's token from a variable: on a command line every user of this
machine sees it. source: its release notes, and awscli/customizations/sessionmanager.py"""

STOPPING = 2.0
"""Seconds that the plugin has for ending its session, after which it is killed."""

_LISTENS = re.compile(r"Port (\d+) opened for sessionId")
_LOOPBACK = ("127.0.0.1", "::1")
_LONGEST_DIRECTORY = 40
"""Characters of the plugin's temporary directory, in which it binds a socket: a path may have 103 on macOS."""


class Document(NamedTuple):
    """One of AWS's session documents. agent: the oldest that serves it, several connections at a time"""

    name: str
    agent: tuple[int, ...]


TO_ITSELF = Document("AWS-StartPortForwardingSession", (3, 0, 196, 1))
"""source: DoesAgentSupportTCPMultiplexing in the plugin's version gate"""
TO_AN_ADDRESS = Document("AWS-StartPortForwardingSessionToRemoteHost", (3, 1, 1374, 0))
"""source: AWS's documentation of `start-session`. An older agent takes no host and would connect to its loopback."""


def asked(host: str, port: int) -> tuple[Document, dict[str, list[str]]]:
    """The document and its parameters for a connection from the instance to host:port.

    Without localPortNumber the plugin listens on a free port, and says on which.
    """
    if _is_loopback(host):
        return TO_ITSELF, {"portNumber": [str(port)]}
    return TO_AN_ADDRESS, {"host": [host], "portNumber": [str(port)]}


def version(text: str) -> tuple[int, ...]:
    """A dotted version for comparing, () for what is none."""
    words = text.strip().split(".")
    return tuple(int(word) for word in words) if all(word.isdigit() for word in words) else ()


def find_plugin() -> str:
    """Where the plugin is. Raises ForwardingForbidden where there is none, or none that can be used."""
    oldest = ".".join(map(str, OLDEST))
    install = f"install AWS's {PROGRAM}, {oldest} or newer, on this machine"
    found = shutil.which(PROGRAM)
    if found is None:
        raise ForwardingForbidden(f"there is no {PROGRAM} in PATH on this machine", install)
    try:
        done = subprocess.run(
            [found, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ForwardingForbidden(f"{found} --version does not answer: {error}", install) from error
    told = done.stdout.decode(errors="replace").strip()
    if version(told) < OLDEST:
        raise ForwardingForbidden(
            f"{found} is version {told[:40] or 'unknown'}, which takes a session's token on its command line, where "
            "every user of this machine sees it",
            install,
        )
    return found


class Session(NamedTuple):
    """A session that AWS has started. answer: SessionId, TokenValue, StreamUrl; request: what was asked for"""

    answer: Mapping[str, str]
    request: Mapping[str, Any]
    region: str
    profile: str
    endpoint: str


class Sessions:
    """The sessions of one run in one region. Safe to use from several threads.

    begin: starts one at AWS, raises ForwardingForbidden; end: ends one by its id, never raises
    """

    def __init__(self, begin: Callable[[Mapping[str, Any]], Session], end: Callable[[str], None]) -> None:
        self._begin, self._end = begin, end
        self._lock, self._closed = threading.Lock(), False
        self._plugin: str | ConnectionFailed | None = None
        self._forwards: list[Forward] = []

    def start(self, instance: str, agent: str, host: str, port: int, deadline: float) -> Forward:
        """One that forwards host:port as the instance sees it.

        agent: its agent's version, "" where that is not known; deadline: seconds until this machine listens
        Raises ForwardingForbidden where this machine, the agent or AWS has none for it; ConnectionLost.
        """
        until = time.monotonic() + deadline
        document, parameters = asked(host, port)
        installed = version(agent)
        if installed and installed < document.agent:
            oldest = ".".join(map(str, document.agent))
            raise ForwardingForbidden(
                f"the SSM agent of {instance} is {agent}, and {document.name} needs {oldest}",
                "update it: AWS's document AWS-UpdateSSMAgent does",
            )
        plugin = self._find_plugin()
        session = self._begin(
            {
                "Target": instance,
                "DocumentName": document.name,
                "Parameters": parameters,
                "Reason": "Elasticsearch snapshot preflight",
            }
        )
        forward = Forward(plugin, session, self._end, until - time.monotonic())
        with self._lock:
            self._forwards.append(forward)
            late = self._closed
        if late:
            forward.close()
            raise ConnectionLost("the run's connections are closed")
        return forward

    def close(self) -> None:
        """End those that are left. Never raises."""
        with self._lock:
            self._closed = True
            forwards = list(self._forwards)
        each(forwards, Forward.close)

    def _find_plugin(self) -> str:
        """Looked for once a run."""
        with self._lock:
            if self._plugin is None:
                try:
                    self._plugin = find_plugin()
                except ConnectionFailed as failure:
                    self._plugin = failure
            plugin = self._plugin
        if isinstance(plugin, ConnectionFailed):
            raise again(plugin)
        return plugin


class Forward:
    """The plugin with one session, listening on this machine. Safe to use from several threads.

    port: where it listens; end: ends a session at AWS by its id, never raises
    """

    def __init__(self, plugin: str, session: Session, end: Callable[[str], None], deadline: float) -> None:
        """Start the plugin and wait until it listens. deadline: seconds. Raises ConnectionLost, and nothing is left."""
        self._session, self._end = session, end
        self._lines: deque[str] = deque(maxlen=50)
        self._known, self._ended, self._closing = threading.Event(), threading.Event(), threading.Lock()
        self._open, self.port = True, 0
        short = len(tempfile.gettempdir()) <= _LONGEST_DIRECTORY
        self._directory = tempfile.mkdtemp(prefix="es-preflight-", dir=None if short else "/tmp")  # noqa: S108
        self._reader = threading.Thread(target=self._read, name=PROGRAM, daemon=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        try:
            self._start(plugin)
            self._wait(deadline)
        except BaseException:
            self.close()
            raise

    def dial(self, deadline: float) -> socket.socket:
        """A connection through the session. deadline: seconds. Raises ConnectionLost.

        What the node's end of it does not accept is closed as soon as it is open.
        """
        last: OSError | None = None
        for address in _LOOPBACK:
            if self._ended.is_set():
                break
            try:
                wire = socket.create_connection((address, self.port), deadline)
            except OSError as error:
                last = error
                continue
            if self._ended.is_set():  # then somebody else may have the port by now
                wire.close()
                break
            return wire
        raise ConnectionLost(f"the session with {self._target} has ended{self._said()}") from last

    def close(self) -> None:
        """End the plugin and the session. Never raises."""
        with self._closing:
            opened, self._open = self._open, False
        if not opened:
            return
        if self._guard is not None:
            self._guard.kill()
            self._guard.wait()
            if self._guard.stdin:
                self._guard.stdin.close()
        if self._process is not None:
            # As Ctrl-C does, upon which it tells the agent and removes its socket.
            for number in (signal.SIGINT, signal.SIGKILL):
                if self._process.poll() is None:
                    os.killpg(self._process.pid, number)
                    with suppress(subprocess.TimeoutExpired):
                        self._process.wait(STOPPING)
            self._reader.join(1)
            if self._process.stdout and not self._reader.is_alive():
                self._process.stdout.close()
        self._end(self._session.answer["SessionId"])
        shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _target(self) -> str:
        return str(self._session.request["Target"])

    def _start(self, plugin: str) -> None:
        session = self._session
        command = [plugin, VARIABLE, session.region, "StartSession", session.profile, json.dumps(session.request)]
        try:
            self._process = subprocess.Popen(
                [*command, session.endpoint],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": self._directory, VARIABLE: json.dumps(session.answer)},
                start_new_session=True,  # Ctrl-C is ours to handle
            )
            # Not even SIGKILL of this process leaves a session behind.
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", 'read -r _; kill -INT "$1"; sleep 2; kill -KILL "$1"; rm -rf "$2"', "sh",
                 str(self._process.pid), self._directory],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ConnectionLost(f"{plugin} cannot be started: {error.strerror}") from error
        finally:
            if self._process is not None:
                self._reader.start()

    def _wait(self, deadline: float) -> None:
        if not self._known.wait(max(deadline, 0)):
            raise ConnectionLost(f"{PROGRAM} does not listen within {deadline:.0f} s{self._said()}", _REMEDY)
        if not self.port:
            raise ConnectionLost(f"{PROGRAM} ended before it listened{self._said()}", _REMEDY)

    def _read(self) -> None:
        for raw in (self._process and self._process.stdout) or ():
            line = raw.decode(errors="replace").strip()
            if line:
                self._lines.append(line)
            if listens := _LISTENS.search(line):
                self.port = int(listens[1])
                self._known.set()
        self._ended.set()
        self._known.set()

    def _said(self) -> str:
        """The last it said that is no greeting, without what opens the session."""
        words = next((line for line in reversed(self._lines) if not line.startswith("Starting session")), "")
        if not words:
            return ""
        for name in ("TokenValue", "StreamUrl"):
            if secret := self._session.answer.get(name):
                words = words.replace(secret, "…")
        return f": {words[:200]}"


_REMEDY = (
    "see that this machine reaches the endpoint ssmmessages of that region, and that these credentials may "
    "ssmmessages:OpenDataChannel (docs/aws-ssm-policy.json)"
)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
