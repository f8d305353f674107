"""A lab host: its own files over the layer, its processes in their own namespaces; power on, off, commands in it."""

from __future__ import annotations

import ctypes
import io
import os
import queue
import signal
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from . import layer, network
from .errors import LabError
from .names import Node
from .processes import ENVIRONMENT, last_words, pid_of, run, start, start_time, stop, wait_until

BOOT_SECONDS = 20.0
CLONE_NEWNET = 0x40000000
"""source: sched.h"""


class File(NamedTuple):
    """One of the host's own files. owner, group: names as the host knows them; mode: permission bits."""

    content: bytes
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644


def seed(node: Node, files: Mapping[str, File]) -> None:
    """Lay the host's own files ready for its first boot. files: absolute paths to files."""
    for name in ("upper", "work", "root"):
        (node.directory / name).mkdir(parents=True, exist_ok=True)
    with tarfile.open(node.directory / "seed.tar", "w") as archive:
        for path, file in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.mtime = time.time()
            entry.size, entry.mode = len(file.content), file.mode
            entry.uname, entry.gname = file.owner, file.group
            archive.addfile(entry, io.BytesIO(file.content))
    (node.directory / "seed.tar").chmod(0o600)


def power_on(node: Node) -> None:
    """Boot the host and wait until its sshd answers. Its Elasticsearch is not started."""
    boot = Path(__file__).parent / "image/boot"
    network.plug(node, plugged=True)
    start(
        node.name,
        ["ip", "netns", "exec", node.namespace, "unshare", "--mount", "--pid", "--fork", "--uts", "--ipc",
         "--kill-child", "bash", boot, node.directory, layer.MOUNT, node.hostname],
        ENVIRONMENT,
    )  # fmt: skip
    if not wait_until(lambda: pid_of(node.name) is None or _sshd_answers(node), BOOT_SECONDS) or not is_on(node):
        raise LabError(f"{node.name} does not boot: {last_words(node.name) or 'its sshd does not answer'}")


def power_off(node: Node) -> None:
    """Pull the host's power and cable: nothing in it is told, nothing answers at its address any more."""
    cut_power(node)
    network.plug(node, plugged=False)


def cut_power(node: Node) -> None:
    """Kill everything in the host and wait until it has ended; a host that is off already is no error.

    Its connections end with it: peers see that, as when EC2 stops an instance, and need not wait a minute.
    """
    first = _first_process(node)
    stop(node.name, grace=0)
    # A PID namespace's first process is gone only when all others are.
    if first is not None and not wait_until(lambda: start_time(first) is None, BOOT_SECONDS):
        raise LabError(f"{node.name} does not go off: its process {first} does not end")


def freeze(node: Node, *, frozen: bool) -> None:
    """Stop every process of the host where it stands, or let all go on; a host that is off stays off."""
    first = _first_process(node)
    if first is None:
        return
    inside = Path(f"/proc/{first}/ns/pid").stat()
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if (directory / "ns/pid").stat().st_ino == inside.st_ino:
                os.kill(int(directory.name), signal.SIGSTOP if frozen else signal.SIGCONT)
        except OSError:  # it has ended meanwhile
            continue


def is_on(node: Node) -> bool:
    return pid_of(node.name) is not None


def enter(node: Node, command: Sequence[str]) -> list[str]:
    """The command line that runs a command as root inside the host. Raises LabError where it is off."""
    first = _first_process(node)
    if first is None:
        raise LabError(f"{node.name} is off: `python -m lab heal` boots it")
    clean = ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
             "LANG=C.UTF-8", f"TERM={os.environ.get('TERM', 'dumb')}"]  # fmt: skip
    return ["nsenter", "--target", str(first), "--all", "--root", "--wd", *clean, *command]


def execute(node: Node, command: Sequence[str], *, stdin: str | None = None, timeout: float = 60) -> str:
    """Run a command as root inside the host; its standard output. Raises LabError where it fails or overruns."""
    shown = f"`{' '.join(command)}` on {node.name}"
    return run(enter(node, command), stdin=stdin, timeout=timeout, shown=shown)


def connect(node: Node, address: str, port: int, timeout: float) -> socket.socket:
    """A connection made in the host's own network. Raises OSError, also where it is off."""
    first = _first_process(node)
    if first is None:
        raise OSError(f"{node.name} is off")
    made: queue.SimpleQueue[socket.socket | OSError] = queue.SimpleQueue()

    def make() -> None:
        # A thread's own namespace: it ends with the thread, the connection stays where it was made.
        try:
            with Path(f"/proc/{first}/ns/net").open("rb") as inside:
                if ctypes.CDLL(None, use_errno=True).setns(inside.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.put(socket.create_connection((address, port), timeout))
        except OSError as error:
            made.put(error)

    threading.Thread(target=make, daemon=True).start()
    wire = made.get()
    if isinstance(wire, OSError):
        raise wire
    wire.settimeout(None)
    return wire


def call(node: Node, command: Sequence[str]) -> int:
    """Run a command inside the host on this terminal; its exit status."""
    return subprocess.call(enter(node, command))


def _first_process(node: Node) -> int | None:
    """This machine's number of the host's PID 1; None where it is off."""
    outer = pid_of(node.name)
    try:
        return int(Path(f"/proc/{outer}/task/{outer}/children").read_text())
    except (OSError, ValueError):
        return None


def _sshd_answers(node: Node) -> bool:
    try:
        with socket.create_connection((node.address, 22), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
