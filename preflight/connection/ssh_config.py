"""OpenSSH's client configuration, read as `ssh` reads it: the first value wins, what was typed comes before any file.

Source: ssh_config(5) of OpenSSH 9.2; `selftests/connection` compares the result with `ssh -G`.
"""

from __future__ import annotations

import functools
import getpass
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from .errors import SshConfigRefused

CARRIER = "paramiko cannot do that: use ssh://, which logs in with this machine's OpenSSH"
"""The end of every sentence about something only OpenSSH can do."""

SYSTEM_CONFIG = Path("/etc/ssh/ssh_config")
DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")
USER_KNOWN_HOSTS = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2")
GLOBAL_KNOWN_HOSTS = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")

_LISTS = frozenset({"identityfile", "certificatefile"})  # each mention adds one, as in OpenSSH
_REST_OF_LINE = frozenset({"proxycommand", "knownhostscommand"})
_BEYOND = {
    "gssapiauthentication": "GSSAPIAuthentication",
    "hostbasedauthentication": "HostbasedAuthentication",
    "pkcs11provider": "PKCS11Provider",
    "securitykeyprovider": "SecurityKeyProvider",
    "certificatefile": "CertificateFile",
}
_REFUSED = {
    "canonicalizehostname": "CanonicalizeHostname",
    "knownhostscommand": "KnownHostsCommand",
    "revokedhostkeys": "RevokedHostKeys",
}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What ssh would use for one host.

    alias: as given; hostname: dialled; host_key_name: looked up in known_hosts, with [..]:port where that is not 22
    identity_files: absolute; identities_named: somebody named them, they are not the defaults
    agent: socket of the ssh-agent, None for none; proxy_jump, proxy_command: None for none
    family: socket.AF_*; beyond: keywords that are on and that paramiko cannot do, for messages
    accepts_new_keys: StrictHostKeyChecking is off in the file, which is not honoured here, for messages
    """

    alias: str
    hostname: str
    port: int
    user: str
    host_key_name: str
    identity_files: tuple[str, ...]
    identities_named: bool
    identities_only: bool
    agent: str | None
    known_hosts: tuple[str, ...]
    proxy_jump: str | None
    proxy_command: str | None
    family: int
    bind_address: str | None
    beyond: tuple[str, ...]
    accepts_new_keys: bool


def settings_for(
    alias: str,
    *,
    port: int | None = None,
    user: str | None = None,
    identity_file: str | None = None,
    config: str | None = None,
    proxy_jump: str | None = None,
) -> Settings:
    """Settings of one host. port, user, identity_file, proxy_jump: as typed, they beat the files; config: -F.

    Without config, ~/.ssh/config and then /etc/ssh/ssh_config are read.
    Raises SshConfigRefused for a line that cannot be read and for what only OpenSSH can do and must not be ignored.
    """
    lookup = _Lookup(alias, port=port, user=user, identity_file=identity_file, proxy_jump=proxy_jump)
    files = [Path(config)] if config else [Path("~/.ssh/config").expanduser(), SYSTEM_CONFIG]
    sources = [_read(file) for file in files if config or file.is_file()]
    for lines in sources:
        lookup.apply(lines)
    if lookup.saw_final:
        lookup.final = True
        for lines in sources:
            lookup.apply(lines)
    return lookup.settings()


class _Line(NamedTuple):
    keyword: str
    words: tuple[str, ...]
    rest: str
    where: str
    included: tuple[tuple[_Line, ...], ...] = ()


def _words(text: str, where: str) -> tuple[str, ...]:
    """Words as OpenSSH splits them: quotes group, a backslash escapes a quote, # starts a comment."""
    words: list[str] = []
    for match in re.finditer(r"""\s*(?:(\#.*)|((?:"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\\.|[^\s"'])+)|(\S))""", text):
        comment, word, stray = match.groups()
        if comment:
            break
        if stray:
            raise SshConfigRefused(f"{where}: a quote is not closed")
        if word:
            words.append(re.sub(r"""\\(["'\\ ])|["']""", lambda m: m[1] or "", word))
    return tuple(words)


def _read(path: Path) -> tuple[_Line, ...]:
    try:
        state = path.stat()
        return _parse(path, state.st_mtime_ns, state.st_size)
    except OSError as error:
        raise SshConfigRefused(f"cannot read the ssh_config {path}: {error.strerror}") from error


@functools.lru_cache(maxsize=64)
def _parse(path: Path, modified: int, size: int, depth: int = 0) -> tuple[_Line, ...]:
    """The lines of one file and of those it includes; modified and size are the cache's key."""
    if depth > 16:
        raise SshConfigRefused(f"{path} is included by itself")
    lines: list[_Line] = []
    for number, raw in enumerate(path.read_text(errors="surrogateescape").splitlines(), 1):
        text = raw.strip()
        if not text or text.startswith("#"):
            continue
        where = f"{path}:{number}"
        match = re.match(r'"?([A-Za-z0-9]+)"?(?:\s*=\s*|\s+)(.*)', text)
        if not match or not match[2].strip():
            raise SshConfigRefused(f"{where}: expected a keyword and its value")
        keyword, rest = match[1].lower(), match[2].strip()
        words = () if keyword in _REST_OF_LINE else _words(rest, where)
        included: tuple[tuple[_Line, ...], ...] = ()
        if keyword == "include":
            included = tuple(
                _parse(file, file.stat().st_mtime_ns, file.stat().st_size, depth + 1)
                for word in words
                for file in _matching_files(word, path)
            )
        lines.append(_Line(keyword, words, rest, where, included))
    return tuple(lines)


def _matching_files(pattern: str, config: Path) -> list[Path]:
    """Files of an Include; a relative one is under ~/.ssh, or /etc/ssh in the system's file."""
    base = SYSTEM_CONFIG.parent if config.is_relative_to(SYSTEM_CONFIG.parent) else Path("~/.ssh").expanduser()
    absolute = base / Path(pattern).expanduser()
    anchor = Path(absolute.anchor)
    return sorted(file for file in anchor.glob(str(absolute.relative_to(anchor))) if file.is_file())


def _matches(patterns: tuple[str, ...], name: str) -> bool:
    """OpenSSH's pattern list: * and ?, a ! match refuses whatever else matched."""
    found = False
    for pattern in patterns:
        negated = pattern.startswith("!")
        expression = re.escape(pattern.removeprefix("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, name, re.DOTALL):
            if negated:
                return False
            found = True
    return found


class _Lookup:
    """The values collected for one host so far."""

    def __init__(
        self, alias: str, *, port: int | None, user: str | None, identity_file: str | None, proxy_jump: str | None
    ) -> None:
        self.alias = alias
        self.local_user = getpass.getuser()
        self.values: dict[str, str] = {}
        self.lists: dict[str, list[str]] = {name: [] for name in _LISTS}
        self.final = False
        self.saw_final = False
        if port is not None:
            self.values["port"] = str(port)
        if user is not None:
            self.values["user"] = user
        if proxy_jump is not None:
            self.values["proxyjump"] = proxy_jump
        if identity_file is not None:
            self.lists["identityfile"].append(identity_file)

    @property
    def hostname(self) -> str:
        return self.values.get("hostname", "%h").replace("%%", "\0").replace("%h", self.alias).replace("\0", "%")

    def apply(self, lines: tuple[_Line, ...], enabled: bool = True) -> None:
        active = enabled
        for line in lines:
            if line.keyword == "host":
                active = enabled and _matches(line.words, self.alias)
            elif line.keyword == "match":
                active = enabled and self._match(line)
            elif not active:
                continue
            elif line.keyword == "include":
                for included in line.included:
                    self.apply(included)
            else:
                self._take(line)

    def _take(self, line: _Line) -> None:
        value = " ".join(line.words) if line.words else line.rest
        if line.keyword in _LISTS:
            if value not in self.lists[line.keyword]:
                self.lists[line.keyword].append(value)
            return
        if line.keyword in ("userknownhostsfile", "globalknownhostsfile"):
            value = "\n".join(line.words)
        # Whichever of the two comes first silences the other.
        if {line.keyword, *self.values} >= {"proxyjump", "proxycommand"}:
            return
        if line.keyword in _REFUSED and line.keyword not in self.values and value.lower() not in ("no", "none"):
            raise SshConfigRefused(f"{line.where}: {_REFUSED[line.keyword]} applies to {self.alias}; {CARRIER}")
        self.values.setdefault(line.keyword, value)

    def _match(self, line: _Line) -> bool:
        words = iter(line.words)
        result = True
        for word in words:
            negated = word.startswith("!")
            criterion, equals, value = word.removeprefix("!").partition("=")
            criterion = criterion.lower()
            if criterion in ("all", "canonical", "final"):
                self.saw_final |= criterion == "final"
                holds = criterion == "all" or (criterion == "final" and self.final)
            else:
                value = value if equals else next(words, "")
                if result:
                    holds = self._holds(criterion, value, line.where)
            if result:
                result = holds is not negated
        return result

    def _holds(self, criterion: str, value: str, where: str) -> bool:
        subjects = {
            "host": self.hostname,
            "originalhost": self.alias,
            "user": self.values.get("user", self.local_user),
            "localuser": self.local_user,
        }
        if criterion not in subjects:
            raise SshConfigRefused(
                f"{where}: whether {self.alias} matches depends on `Match {criterion}`; {CARRIER}",
                "ssh:// in --hosts, or name a file without it with --ssh-config=FILE",
            )
        return _matches(tuple(value.split(",")), subjects[criterion])

    def _expand(self, text: str, keyword: str, *, path: bool = False) -> str:
        """% tokens, and for paths ~ and ${NAME}."""
        tokens = {
            "%": "%",
            "d": str(Path.home()),
            "h": self.hostname,
            "i": str(os.getuid()),
            "k": self._host_key_alias(),
            "L": socket.gethostname().split(".")[0],
            "l": socket.gethostname(),
            "n": self.alias,
            "p": self.values.get("port", "22"),
            "r": self.values.get("user", self.local_user),
            "u": self.local_user,
        }

        def replace(match: re.Match[str]) -> str:
            if match[2]:
                if match[2] not in os.environ:
                    raise SshConfigRefused(f"{keyword} of {self.alias} names ${{{match[2]}}}, which is not set")
                return os.environ[match[2]]
            if match[1] not in tokens:
                raise SshConfigRefused(f"{keyword} of {self.alias} uses the token %{match[1]}; {CARRIER}")
            return tokens[match[1]]

        expanded = re.sub(r"%(.?)|\$\{(\w+)\}" if path else r"%(.?)()", replace, text, flags=re.DOTALL)
        return str(Path(expanded).expanduser()) if path else expanded

    def _host_key_alias(self) -> str:
        return self.values.get("hostkeyalias", self.hostname).lower()

    def settings(self) -> Settings:
        values = self.values
        port = values.get("port", "22")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise SshConfigRefused(f"Port {port} of {self.alias} in the ssh_config is not a port number")
        named = [file for file in self.lists["identityfile"] if file.lower() != "none"]
        identity_files = named or ([] if self.lists["identityfile"] else [f"~/.ssh/{key}" for key in DEFAULT_KEYS])
        alias_given = "hostkeyalias" in values
        key_name = self._host_key_alias()
        proxy = {name: values.get(name, "none") for name in ("proxyjump", "proxycommand")}
        families = {"inet": socket.AF_INET, "inet6": socket.AF_INET6}
        on = {name for name in _BEYOND if values.get(name, "no").lower() not in ("no", "none", "internal")}
        on |= {"certificatefile"} if self.lists["certificatefile"] else set()
        return Settings(
            alias=self.alias,
            hostname=self.hostname,
            port=int(port),
            user=values.get("user", self.local_user),
            host_key_name=key_name if alias_given or port == "22" else f"[{key_name}]:{port}",
            identity_files=tuple(self._expand(file, "IdentityFile", path=True) for file in identity_files),
            identities_named=bool(named),
            identities_only=values.get("identitiesonly", "no").lower() in ("yes", "true"),
            agent=self._agent(),
            known_hosts=tuple(self._known_hosts()),
            proxy_jump=None if proxy["proxyjump"].lower() == "none" else self._expand(proxy["proxyjump"], "ProxyJump"),
            proxy_command=(
                None if proxy["proxycommand"].lower() == "none" else self._expand(proxy["proxycommand"], "ProxyCommand")
            ),
            family=families.get(values.get("addressfamily", "any").lower(), socket.AF_UNSPEC),
            bind_address=values.get("bindaddress"),
            beyond=tuple(sorted(_BEYOND[name] for name in on)),
            accepts_new_keys=values.get("stricthostkeychecking", "ask").lower() in ("no", "off", "accept-new"),
        )

    def _agent(self) -> str | None:
        value = self.values.get("identityagent", "SSH_AUTH_SOCK")
        if value == "none":
            return None
        if value == "SSH_AUTH_SOCK":
            return os.environ.get("SSH_AUTH_SOCK") or None
        if value.startswith("$") and not value.startswith("${"):
            return os.environ.get(value[1:]) or None
        return self._expand(value, "IdentityAgent", path=True)

    def _known_hosts(self) -> Iterator[str]:
        for keyword, default in (
            ("userknownhostsfile", USER_KNOWN_HOSTS),
            ("globalknownhostsfile", GLOBAL_KNOWN_HOSTS),
        ):
            files = self.values.get(keyword, "\n".join(default)).split("\n")
            if [file.lower() for file in files] != ["none"]:
                yield from (self._expand(file, "UserKnownHostsFile", path=True) for file in files)
