"""One word of --hosts: [user@]host[:port], or a hostspec as testinfra writes it."""

from __future__ import annotations

import difflib
import ipaddress
import re
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec
from testinfra.backend import BACKENDS, parse_hostspec

from ..connection import ssm_spec
from .node import InventoryError

WAYS = "write paramiko://HOST, ssh://HOST, or just HOST"
QUERY_KEYS = ("sudo", "sudo_user", "ssh_config", "ssh_identity_file", "timeout")
HOST_NAME = re.compile(r"[\w.%-]+")
"""Letters and digits of any script, and nothing that a shell reads: host names stand in printed commands."""


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What one word of --hosts says; None where it says nothing."""

    host: str
    carrier: Literal["paramiko", "ssh", "ssm"] | None = None
    region: str | None = None
    profile: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = None
    sudo: bool | None = None
    sudo_user: str | None = None
    ssh_config: str | None = None
    identity_file: str | None = None
    connect_timeout: float | None = None


def split_address(text: str) -> tuple[str, int | None, str | None]:
    """host, port and user of "[user@]host[:port]", an IPv6 address in brackets. Raises InventoryError."""
    user, at, rest = text.rpartition("@")
    match = re.fullmatch(r"(?:\[([^\[\]]*)\]|([^:\[\]]*))(?::(\d{1,5}))?", rest, re.ASCII | re.DOTALL)
    if not match or (at and not user):
        if _is_ipv6(rest):
            raise InventoryError(f"put the IPv6 address in brackets: [{rest}]")
        raise InventoryError(f"{_shown(text)} is no host: write NAME, USER@NAME:PORT or USER@[IPV6]:PORT")
    host = urllib.parse.unquote(match[1] or match[2] or "")
    user = urllib.parse.unquote(user)
    if not is_host(host) or (match[1] and not _is_ipv6(host)):
        raise InventoryError(f"{host!r} is no host name or address: write NAME, USER@NAME:PORT or USER@[IPV6]:PORT")
    if user.startswith("-") or not user.isprintable() or re.search(r"[\s'\"`$\\;&|<>()]", user):
        raise InventoryError(f"{user!r} is no user name to log in to {host} with")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65536:
        raise InventoryError(f"port {port} of {host} is not between 1 and 65535")
    return host, port, user or None


def is_host(text: str) -> bool:
    if ":" in text:
        return _is_ipv6(text)
    return bool(HOST_NAME.fullmatch(text)) and not text.startswith("-")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _shown(spec: str) -> str:
    """A hostspec for a message: without the password that may stand in it."""
    return repr(re.sub(r":[^/@][^@]*@|:[^@]*@(?!.*@)", ":***@", spec, flags=re.DOTALL))


def parse(spec: str) -> Given:
    """One hostspec, read with testinfra's own reader; what that one drops silently is refused here."""
    scheme, separator, _ = spec.partition("://")
    if separator and scheme not in ("paramiko", "ssh", "ssm"):
        if scheme in BACKENDS or scheme == "ec2":
            raise InventoryError(f"{scheme}:// does not yet reach nodes: {WAYS}")
        raise InventoryError(f"{_shown(spec)} names no connection there is: {WAYS}")
    try:
        address = parse_hostspec(spec)[0] if separator else spec
        parts = urllib.parse.urlsplit(spec if separator else "")
        query = urllib.parse.parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InventoryError(f"{_shown(spec)} is no hostspec: write paramiko://USER@HOST:PORT?sudo=true") from error
    if parts.path not in ("", "/") or parts.fragment:
        raise InventoryError(
            f"{_shown(spec)}: only ?KEY=VALUE may follow the host (in a password write / ? # as %2F %3F %23)"
        )
    login, at, place = address.rpartition("@")
    user, _, password = login.partition(":")
    host, port, name = split_address(f"{user}{at}{place}")
    if scheme == "ssm":
        if login or port is not None:
            raise InventoryError(f"ssm://{host} takes no user, password or port: write ssm://INSTANCE-ID?region=REGION")
        return msgspec.structs.replace(_query(query, host, ssm_spec.QUERY_KEYS), carrier="ssm")
    given = msgspec.structs.replace(
        _query(query, host), port=port, user=name, password=urllib.parse.unquote(password) or None
    )
    return msgspec.structs.replace(given, carrier="ssh" if scheme == "ssh" else "paramiko") if separator else given


def _query(query: Iterable[tuple[str, str]], host: str, keys: Sequence[str] = QUERY_KEYS) -> Given:
    values: dict[str, str] = {}
    for key, value in query:
        if key not in keys:
            near = difflib.get_close_matches(key, keys, n=1, cutoff=0.0)[0]
            raise InventoryError(f"?{key}= of {host} means nothing here: did you mean ?{near}=?")
        if key in values:
            raise InventoryError(f"?{key}= of {host} is given twice")
        if not value:
            raise InventoryError(f"?{key}= of {host} has no value")
        values[key] = value
    for key in ("region", "profile"):
        if not ssm_spec.NAME.fullmatch(values.get(key, "-")):
            raise InventoryError(f"?{key}={values[key]} of {host} is no {key}'s name")
    sudo = boolean(values["sudo"], f"?sudo= of {host}") if "sudo" in values else None
    if "sudo_user" in values and sudo is False:
        raise InventoryError(f"?sudo_user={values['sudo_user']} of {host} contradicts sudo=false")
    return Given(
        host=host,
        region=values.get("region"),
        profile=values.get("profile"),
        sudo=sudo,
        sudo_user=values.get("sudo_user"),
        ssh_config=readable_file(values.get("ssh_config"), f"?ssh_config of {host}"),
        identity_file=readable_file(values.get("ssh_identity_file"), f"?ssh_identity_file of {host}"),
        connect_timeout=seconds(values["timeout"], f"?timeout of {host}") if "timeout" in values else None,
    )


def boolean(value: object, what: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise InventoryError(f"{what} is {value!r}: write true or false")


def seconds(value: str, what: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise InventoryError(f"{what} is {value!r}: write seconds, more than 0")
    return seconds


def readable_file(path: str | None, what: str, base: Path | None = None) -> str | None:
    """An absolute path to a readable file. base: what a relative one is relative to; None: the current directory."""
    if path is None:
        return None
    try:
        file = ((base or Path.cwd()) / Path(path).expanduser()).absolute()
        is_file = file.is_file()
    except (OSError, RuntimeError, ValueError) as error:
        raise InventoryError(f"{what}={path!r} is no path ({error})") from error
    if not is_file:
        raise InventoryError(f"{what}={path}: there is no such file")
    return str(file)
