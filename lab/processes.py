"""Programs the lab starts: run to their end, or left running and found again later by pid and start time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import RLock, current_thread, main_thread

from .errors import LabError
from .names import CHECKOUT, LOGS, RUN

ENVIRONMENT: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}
"""What every program gets: proxies, CA bundles and keys of the operator's own shell must not shape the lab."""

_lock = RLock()  # abort comes from a signal handler, which may interrupt whoever holds it
_running: set[subprocess.Popen[str]] = set()
_aborted = False


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    timeout: float = 60,
    check: bool = True,
    shown: str | None = None,
) -> str:
    """Run a program to its end; its standard output.

    timeout: seconds; shown: what to call it in errors, by default its command line.
    Raises LabError with the last it said when it fails (unless check is off) or overruns.
    """
    command = [str(part) for part in argv]
    shown = shown or f"`{' '.join(command)}`"
    with _lock:
        _refuse_after_abort()
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(ENVIRONMENT),
        )
        _running.add(process)
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise LabError(f"{shown} did not end within {timeout:.0f} s") from None
    finally:
        with _lock:
            _running.discard(process)
    if check and process.returncode != 0:
        said = " / ".join((err.strip() or out.strip() or f"exit status {process.returncode}").splitlines()[-3:])
        raise LabError(f"{shown} failed: {said}")
    return out


def abort() -> None:
    """End every program that `run` waits for, and start no other from any thread but the main one, which cleans up."""
    global _aborted
    with _lock:
        _aborted = True
        for process in _running:
            process.kill()


def _refuse_after_abort() -> None:
    if _aborted and current_thread() is not main_thread():
        raise LabError("interrupted")


def start_time(pid: int) -> str | None:
    """The start time of a live process in clock ticks since boot; None where it is gone or a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def start(name: str, argv: Sequence[str | Path], environment: Mapping[str, str] = ENVIRONMENT) -> int:
    """Start a program that outlives this command, its output in the lab's log folder; its pid."""
    # Under the lock, so that an abort finds either no process or one whose pid is known.
    with _lock, (LOGS / f"{name}.log").open("ab") as log:
        _refuse_after_abort()
        process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=CHECKOUT,
            env=dict(environment),
        )
        try:
            (RUN / f"{name}.pid").write_text(f"{process.pid} {start_time(process.pid)}\n")
        except BaseException:
            process.kill()
            raise
    process.returncode = 0  # it is left running: Python would warn of that, at the latest when it ends itself
    return process.pid


def pid_of(name: str) -> int | None:
    """The pid of a program that `start` started; None where it no longer runs, whoever may have its number now."""
    try:
        pid, started = (RUN / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if start_time(int(pid)) == started else None


def stop(name: str, *, grace: float = 5.0) -> None:
    """End a program that `start` started: politely for `grace` seconds (0: not at all), then for good."""
    for number, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)):
        pid = pid_of(name)
        if pid is None:
            break
        if patience:
            os.kill(pid, number)
            wait_until(lambda: pid_of(name) is None, patience)
    if pid_of(name) is not None:
        raise LabError(f"{name} (pid {pid_of(name)}) does not end")
    (RUN / f"{name}.pid").unlink(missing_ok=True)


def wait_until(condition: Callable[[], bool], seconds: float, every: float = 0.05) -> bool:
    """Whether a callable became true within that many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def last_words(name: str, lines: int = 5) -> str:
    """The end of a started program's log, for the sentence that says it failed."""
    try:
        text = (LOGS / f"{name}.log").read_text(errors="replace")
    except OSError:
        return ""
    return " / ".join(text.strip().splitlines()[-lines:])
