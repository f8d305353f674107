"""What is offered to sshd, in which order: named keys first, then the agent's, then the default files."""

from __future__ import annotations

import base64
import binascii
import copy
import functools
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import paramiko
from paramiko.agent import AgentKey, AgentSSH
from paramiko.pkey import UnknownKeyType

from .ssh_config import Settings

AGENT_TIMEOUT = 10.0
"""Seconds for an ssh-agent to answer; a confirmation dialogue may be in between."""


class Identity(NamedTuple):
    """One key to offer. label: what to call it in a message."""

    label: str
    key: paramiko.PKey


class Identities:
    """The identities of one login, read as they are needed.

    skipped: why a key could not be offered, a clause each, filled while iterating
    """

    def __init__(self, settings: Settings, *, named_only: bool) -> None:
        self.skipped: list[str] = []
        self._settings = settings
        self._named_only = named_only
        self._agent = _Agent()

    def __iter__(self) -> Iterator[Identity]:
        settings = self._settings
        held = self._held()
        files = settings.identity_files
        if settings.identities_named:
            yield from self._of_files(files, held)
        if self._named_only:
            return
        if not settings.identities_only:
            for blob in list(held):
                yield Identity(f"{held[blob].comment or 'a key'} (ssh-agent)", held.pop(blob))
        if not settings.identities_named:
            yield from self._of_files(tuple(file for file in files if Path(file).exists()), held)

    def close(self) -> None:
        """Let go of the agent."""
        self._agent.close()

    def _held(self) -> dict[bytes, AgentKey]:
        """The agent's keys by public key. FIDO keys wait for a touch on every node and are left out."""
        if self._settings.agent is None:
            return {}
        try:
            self._agent.open(self._settings.agent)
        except (OSError, paramiko.SSHException, struct.error, IndexError) as error:
            self.skipped.append(f"the ssh-agent at {self._settings.agent} does not answer ({error})")
            return {}
        held = {}
        for key in self._agent.get_keys():
            if key.get_name().startswith("sk-"):
                self.skipped.append(f"{key.comment or 'a key'} (ssh-agent) is a FIDO key, which paramiko cannot offer")
            else:
                held[key.blob] = key
        return held

    def _of_files(self, files: tuple[str, ...], held: dict[bytes, AgentKey]) -> Iterator[Identity]:
        for file in files:
            agent_key = held.pop(public_blob(Path(file)) or b"", None)
            if agent_key is not None:
                yield Identity(f"{file} (ssh-agent)", agent_key)
                continue
            try:
                key = load(file)
            except UnusableKeyError as error:
                self.skipped.append(f"{file} {error}")
                continue
            if key.public_blob is not None:  # FILE-cert.pub; it may have expired, so the key alone comes after it
                yield Identity(f"{file}-cert.pub", key)
                key = copy.copy(key)
                key.public_blob = None
            yield Identity(file, key)


class UnusableKeyError(ValueError):
    """str() completes the sentence "FILE ..."."""


class _Agent(AgentSSH):
    """paramiko's agent client at a socket of our choice; its own looks at the environment only."""

    def __init__(self) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)

    def open(self, path: str) -> None:
        self._socket.settimeout(AGENT_TIMEOUT)
        self._socket.connect(path)
        self._connect(self._socket)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._socket.close()


def load(file: str) -> paramiko.PKey:
    """The private key in a file. Raises UnusableKeyError."""
    try:
        state = Path(file).stat()
        return _load(file, state.st_mtime_ns)
    except OSError as error:
        raise UnusableKeyError(f"cannot be read ({error.strerror})") from error


@functools.lru_cache(maxsize=64)
def _load(file: str, modified: int) -> paramiko.PKey:
    text = Path(file).read_bytes()
    if _encrypted(text):
        raise UnusableKeyError("has a passphrase and no ssh-agent holds it (ssh-add it first)")
    try:
        return paramiko.PKey.from_path(file)
    except (paramiko.SSHException, UnknownKeyType, ValueError, TypeError, IndexError) as error:
        raise UnusableKeyError(
            f"is no private key that paramiko reads (`ssh-keygen -p -f {file}` rewrites one)"
        ) from error


def _encrypted(text: bytes) -> bool:
    if b"BEGIN ENCRYPTED PRIVATE KEY" in text or b"Proc-Type: 4,ENCRYPTED" in text:
        return True
    body = _openssh_body(text)
    return body is not None and _string(body, len(_MAGIC))[0] != b"none"


def public_blob(file: Path) -> bytes | None:
    """The public key that belongs to a private key's file, from FILE.pub or the part of it no passphrase covers."""
    try:
        fields = file.with_name(file.name + ".pub").read_bytes().split()
        return base64.b64decode(fields[1], validate=True)
    except (OSError, IndexError, ValueError):
        pass
    try:
        body = _openssh_body(file.read_bytes())
    except OSError:
        return None
    if body is None:
        return None
    offset = len(_MAGIC)
    for _ in ("cipher", "kdf", "kdf options"):
        _, offset = _string(body, offset)
    return _string(body, offset + 4)[0] or None  # 4: the number of keys, which is always 1


_MAGIC = b"openssh-key-v1\0"


def _openssh_body(text: bytes) -> bytes | None:
    """What stands between the lines of an OpenSSH private key, None for another format. Source: PROTOCOL.key."""
    _, begin, rest = text.partition(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    if not begin:
        return None
    try:
        body = base64.b64decode(b"".join(rest.partition(b"-----END")[0].split()))
    except binascii.Error:
        return None
    return body if body.startswith(_MAGIC) else None


def _string(data: bytes, offset: int) -> tuple[bytes, int]:
    """A length-prefixed string and where it ends; b"" past the end of data."""
    size = int.from_bytes(data[offset : offset + 4], "big")
    return data[offset + 4 : offset + 4 + size], offset + 4 + size
