"""The ssh processes of one run: a ControlMaster a host, in a private directory, and nothing of it left behind."""

from __future__ import annotations

import itertools
import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from .errors import ConnectionFailed, SshConfigRefused
from .mux import Control, MasterGone, MasterRefused
from .openssh_says import Resolved, config_refused, failure, has_host_key, resolved, silent

LONGEST_PATH = 80
"""Characters of a socket's path: macOS takes 103, and ssh binds it with 17 more before it renames it."""

AUTHENTICATION = 30.0
"""Seconds from agreed keys to a login: a FIDO key waits for a touch, Kerberos for its server."""

_POLL = 0.005
_FILES = 8192

_OPTIONS = (
    # Nobody is there to answer, and nothing of the user's is to be changed.
    "BatchMode=yes",
    "UpdateHostKeys=no",
    "AddKeysToAgent=no",
    "ConnectionAttempts=1",
    # The deadlines are ours; this only keeps a firewall from forgetting the connection.
    "ServerAliveInterval=15",
    "ServerAliveCountMax=40",
    # What a user's ssh_config may ask for a login of his own.
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "PermitLocalCommand=no",
    "RemoteCommand=none",
    "Tunnel=no",
)
_STRICT = ("StrictHostKeyChecking=yes",)
_INSECURE = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "GlobalKnownHostsFile=/dev/null")

_KEPT = re.compile(r"(debug1: )?channel \d+: |exec request failed on channel \d+|debug1: channel_connect_stdio_fwd: ")
"""Of what a logged-in master says: with -v it repeats every command, which may hold anything."""


def program() -> str:
    """Where ssh is. Raises ConnectionFailed."""
    found = shutil.which("ssh")
    if found is None:
        raise ConnectionFailed(
            "ssh:// needs OpenSSH's client, and there is no ssh in PATH", "install it, or write paramiko://HOST"
        )
    return found


def environment() -> dict[str, str]:
    """Of every ssh: English, and no window that asks for anything."""
    kept = {name: value for name, value in os.environ.items() if name != "SSH_ASKPASS"}
    return {**kept, "LC_ALL": "C", "SSH_ASKPASS_REQUIRE": "never"}


def ask_config(words: Sequence[str], alias: str, seconds: float) -> Resolved:
    """What ssh_config says of a host, `Match exec` included. Raises SshConfigRefused, ConnectionFailed."""
    try:
        done = subprocess.run(
            [program(), "-G", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(),
            timeout=max(seconds, 1),
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise SshConfigRefused(
            f"ssh did not read its configuration for {alias} within {seconds:g} s", "see what its `Match exec` runs"
        ) from error
    except OSError as error:
        raise ConnectionFailed(f"ssh cannot be started: {error.strerror}") from error
    if done.returncode:
        raise config_refused(alias, done.stderr.decode(errors="replace"))
    return resolved(alias, done.stdout.decode(errors="replace"))


class Directory:
    """Where the control sockets of one run are: nobody else's, short, and gone at its end.

    A small shell waits for this process to end and then ends what is left, so that not even SIGKILL leaves a login.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._masters: list[Master] = []
        self._lock, self._closed = threading.Lock(), False
        self.path = Path(_short_directory())
        _allow_files()
        script = (
            'read -r _; for s in "$1"/*; do [ -S "$s" ] && "$0" -S "$s" -O exit x 2>/dev/null; done; '
            'rm -f "$1"/* 2>/dev/null; rmdir "$1" 2>/dev/null'
        )
        try:
            self._guard = subprocess.Popen(
                ["/bin/sh", "-c", script, program(), self.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except BaseException:
            self.path.rmdir()
            raise

    def start(
        self, words: Sequence[str], *, insecure: bool, timeout: float, joined: Sequence[socket.socket] = ()
    ) -> Master:
        """The next master, see Master. Raises ConnectionFailed."""
        path = self.path / str(next(self._numbers))
        with self._lock:
            if self._closed:
                raise ConnectionFailed("the run's connections are closed")
            master = Master(words, path, insecure=insecure, timeout=timeout, joined=joined)
            self._masters.append(master)
        return master

    def close(self) -> None:
        """End what is left of its masters, those that still log in too, and remove it. Never raises."""
        with self._lock:
            self._closed = True
        for master in self._masters:
            master.close()
        shutil.rmtree(self.path, ignore_errors=True)
        if self._guard.stdin:
            self._guard.stdin.close()
        try:
            self._guard.wait(2)
        except subprocess.TimeoutExpired:
            self._guard.kill()
            self._guard.wait()


def _short_directory() -> str:
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  mkdtemp makes it ours
        if len(os.path.realpath(parent)) + len("/es-preflight-12345678/9999") > LONGEST_PATH:
            continue
        with suppress(OSError):
            return tempfile.mkdtemp(prefix="es-preflight-", dir=os.path.realpath(parent))
    raise ConnectionFailed(
        f"there is no directory for ssh's control sockets: their paths may have no more than {LONGEST_PATH} characters",
        "set TMPDIR to a short path that you may write to",
    )


def _allow_files() -> None:
    """A node costs five open files over ssh://, and macOS begins with 256 a process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Master:
    """One running `ssh -M -N`. path: its control socket."""

    def __init__(
        self, words: Sequence[str], path: Path, *, insecure: bool, timeout: float, joined: Sequence[socket.socket] = ()
    ) -> None:
        """Start it; `log_in` waits for it.

        words: host and options for this host; timeout: seconds for the connection
        joined: what it reads from and writes to in place of a connection of its own
        """
        self.path = path
        self._lines: deque[str] = deque(maxlen=5000)
        self._count = 0
        self._logged_in = False
        options = [*_OPTIONS, *(_INSECURE if insecure else _STRICT), f"ConnectTimeout={max(1, round(timeout))}"]
        options += ["ProxyCommand=-", "ProxyUseFdpass=no"] if joined else []
        command = [program(), "-MNTvax", "-S", str(path).replace("%", "%%")]
        for option in options:
            command += ["-o", option]
        source, sink = (one.fileno() for one in joined) if joined else (subprocess.DEVNULL, subprocess.DEVNULL)
        try:
            self.process = subprocess.Popen(
                [*command, *words],
                stdin=source,
                stdout=sink,
                stderr=subprocess.PIPE,
                env=environment(),
                start_new_session=True,  # Ctrl-C is ours to handle, and there is no terminal to ask on
            )
        except OSError as error:
            raise ConnectionFailed(f"ssh cannot be started: {error.strerror}") from error
        self._reader = threading.Thread(target=self._read, name="ssh -v", daemon=True)
        self._reader.start()

    def log_in(self, host: Resolved, ssh: str, timeout: float) -> None:
        """Wait until it is logged in. Raises ConnectionFailed and its kinds."""
        until = time.monotonic() + timeout
        authenticating = False
        while not self.path.exists():
            if self.process.poll() is not None:
                self._reader.join(1)
                raise failure(host, tuple(self._lines), ssh, timeout)
            if not authenticating and has_host_key(tuple(self._lines)):
                authenticating = True
                until = time.monotonic() + max(timeout, AUTHENTICATION)
            if time.monotonic() > until:
                raise silent(host, tuple(self._lines), timeout)
            time.sleep(_POLL)
        self._logged_in = True
        self._lines.clear()

    def control(self, seconds: float) -> Control:
        """A conversation with it. Raises MasterGone, MasterRefused, TimeoutError."""
        return Control(str(self.path), seconds)

    def is_alive(self) -> bool:
        """It answers: what ended, ended by itself."""
        try:
            control = self.control(2)
        except (MasterGone, MasterRefused, TimeoutError):
            return False
        try:
            control.alive(2)
        except (MasterGone, MasterRefused, TimeoutError):
            return False
        finally:
            control.close()
        return True

    def mark(self) -> int:
        """How much it has said by now."""
        return self._count

    def said_since(self, mark: int, wanted: Callable[[Sequence[str]], bool]) -> tuple[str, ...]:
        """What it has said since; it is given a moment where that does not hold what is wanted."""
        until = time.monotonic() + 0.5
        while True:
            lines = tuple(self._lines)
            lines = lines[max(len(lines) - (self._count - mark), 0) :] if self._count > mark else ()
            if wanted(lines) or time.monotonic() > until:
                return lines
            time.sleep(_POLL)

    def close(self) -> None:
        """End it as `ssh -O exit` does, else by its process id. Never raises."""
        with suppress(MasterGone, MasterRefused, TimeoutError):
            control = self.control(1)
            try:
                control.terminate(1)
            finally:
                control.close()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        for end in (self.process.terminate, self.process.kill):
            if self.process.poll() is None:
                end()
                with suppress(subprocess.TimeoutExpired):
                    self.process.wait(1)
        self._reader.join(1)
        if self.process.stderr:
            self.process.stderr.close()
        self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        for raw in self.process.stderr or ():
            line = raw.decode(errors="replace").rstrip()
            if line and (not self._logged_in or _KEPT.match(line)):
                self._lines.append(line)
                self._count += 1
