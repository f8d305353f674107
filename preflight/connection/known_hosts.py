"""Which host keys known_hosts vouches for. Source: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class KnownKey(NamedTuple):
    """One line that names the host. marker: "", "@revoked" or "@cert-authority"; blob: the public key's wire form."""

    marker: str
    type: str
    blob: bytes
    where: str


class _Entry(NamedTuple):
    marker: str
    names: str
    type: str
    key: str
    number: int


def known_keys(names: Iterable[str], files: Iterable[str]) -> list[KnownKey]:
    """The keys those files hold under any of the names ("host" or "[host]:port"), in file order.

    A file that is missing or unreadable holds none, as for ssh; lines that are no key are passed over.
    """
    names = tuple(names)
    found = []
    for file in files:
        try:
            state = Path(file).stat()
            entries = _entries(file, state.st_mtime_ns, state.st_size)
        except OSError:
            continue
        for entry in entries:
            if any(_names(entry.names, name) for name in names):
                try:
                    blob = base64.b64decode(entry.key, validate=True)
                except (binascii.Error, ValueError):
                    continue
                found.append(KnownKey(entry.marker, entry.type, blob, f"{file}:{entry.number}"))
    return found


@functools.lru_cache(maxsize=32)
def _entries(file: str, modified: int, size: int) -> tuple[_Entry, ...]:
    """A file's lines, split once a run; modified and size are the cache's key."""
    entries = []
    for number, line in enumerate(Path(file).read_text(errors="replace").splitlines(), 1):
        fields = line.split()
        marker = fields.pop(0) if fields and fields[0].startswith("@") else ""
        if len(fields) >= 3 and not fields[0].startswith("#"):
            entries.append(_Entry(marker, fields[0], fields[1], fields[2], number))
    return tuple(entries)


def _names(patterns: str, name: str) -> bool:
    """Whether a line's first field is about the name: hashed, or a list with * ? and !."""
    if patterns.startswith("|1|"):
        try:
            salt, digest = (base64.b64decode(part) for part in patterns[3:].split("|"))
        except ValueError:
            return False
        return hmac.compare_digest(hmac.digest(salt, name.encode(), hashlib.sha1), digest)
    if not re.search(r"[*?!]", patterns):
        return name in patterns.lower().split(",")
    found = False
    for pattern in patterns.lower().split(","):
        expression = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, name):
            if pattern.startswith("!"):
                return False
            found = True
    return found


def fingerprint(blob: bytes) -> str:
    """As `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
