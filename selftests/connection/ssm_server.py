"""A moto server whose commands run in shells here and whose sessions reach this machine's ports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

REGION = "eu-west-1"
CHECKOUT = Path(__file__).parents[2]


def instance(number):
    return f"i-{number:017x}"


@dataclass
class Managed:
    """The managed instances of a moto server; directory: a file each."""

    url: str
    directory: Path

    def set(self, number, status="online"):
        (self.directory / instance(number)).write_text(status)
        return instance(number)


@contextmanager
def running(directory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    process = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("run_command.py"), str(port), directory],
        env={**environment, "PYTHONPATH": str(CHECKOUT), "MOTO_EC2_LOAD_DEFAULT_AMIS": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert b"ready\n" in process.stdout
        yield Managed(f"http://127.0.0.1:{port}", directory)
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


def prepare(server, monkeypatch):
    """No instance yet, and credentials that this moto takes."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ENDPOINT_URL": server.url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    for file in server.directory.iterdir():
        file.unlink()
    return server
