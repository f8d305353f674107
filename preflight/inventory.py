"""Which nodes a run is about: --hosts as testinfra reads it, and inventories in Ansible's YAML layout."""

from __future__ import annotations

import difflib
import fnmatch
import ipaddress
import re
import urllib.parse
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from testinfra.backend import BACKENDS, parse_hostspec

from .inventory_yaml import Inventory, InventoryError, Variables, expand_range, read_inventory

__all__ = ["Defaults", "InventoryError", "Node", "expand", "node_from_hostspec", "split_address"]

QUERY_KEYS = ("sudo", "sudo_user", "ssh_config", "ssh_identity_file", "timeout")
HOST_NAME = re.compile(r"[\w.%-]+")
"""Letters and digits of any script, and nothing that a shell reads: host names stand in printed commands."""

CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""NAME in s3.client.NAME.access_key, as the keystore's own rule for setting names allows it."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One host to survey, with all that is needed to log in to it and to ask its Elasticsearch.

    name: unique label in reports; host: as ssh would be told it; port, user: None for what ssh_config says
    password: from a hostspec only, never shown; files: absolute paths; proxy_jump: None for what ssh_config says
    sudo_user: None for root; connect_timeout: seconds, None for the run's own
    es_port: a port that the node's Elasticsearch listens on, None for the only one of its host
    es_*: where given for this node, beats the run's own options
    keystore_password_file: beats the run's option; static_key_clients: S3 clients that are meant to sign with static
    keys on it
    """

    name: str
    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    identity_file: str | None = None
    ssh_config: str | None = None
    proxy_jump: str | None = None
    sudo: bool = False
    sudo_user: str | None = None
    connect_timeout: float | None = None
    es_port: int | None = None
    es_url: str | None = None
    es_ca: str | None = None
    es_user: str | None = None
    es_password_file: str | None = None
    es_api_key_file: str | None = None
    keystore_password_file: str | None = None
    static_key_clients: tuple[str, ...] = ()

    def __repr__(self) -> str:
        fields = ((field, getattr(self, field)) for field in self.__struct_fields__ if field != "password")
        return f"Node({', '.join(f'{field}={value!r}' for field, value in fields if value not in (None, False, ()))})"

    __str__ = __repr__


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says for every node: --ssh-config, --ssh-identity-file, --sudo, --sudo-user."""

    ssh_config: str | None = None
    identity_file: str | None = None
    sudo: bool = False
    sudo_user: str | None = None


class _Given(msgspec.Struct, frozen=True, kw_only=True):
    """What one word of --hosts says; None where it says nothing."""

    host: str
    port: int | None = None
    user: str | None = None
    password: str | None = None
    sudo: bool | None = None
    sudo_user: str | None = None
    ssh_config: str | None = None
    identity_file: str | None = None
    connect_timeout: float | None = None


def expand(hosts: str | None, inventory: Path | None, defaults: Defaults) -> tuple[Node, ...]:
    """The nodes of a run, in the order given; the same target twice is one node, but for two of its ES ports.

    Raises InventoryError, one sentence saying what to type.
    """
    known = read_inventory(inventory) if inventory else Inventory({}, {})
    words = [word.strip() for word in (hosts or "").split(",") if word.strip()]
    if not words:
        if inventory:
            raise InventoryError(
                f"no hosts: add --hosts=NAME, a group, glob or host of {inventory} "
                f"(groups: {', '.join(sorted(known.groups))})"
            )
        raise InventoryError("no hosts: add --hosts=NAME[,NAME...], or --inventory=FILE with --hosts=GROUP")
    defaults = msgspec.structs.replace(
        defaults,
        ssh_config=_file(defaults.ssh_config, "--ssh-config"),
        identity_file=_file(defaults.identity_file, "--ssh-identity-file"),
    )
    nodes = [node for word in words for node in _of_word(word, known, defaults)]
    if defaults.sudo_user and not defaults.sudo and not any(node.sudo for node in nodes):
        raise InventoryError(f"--sudo-user={defaults.sudo_user} does nothing without --sudo: add --sudo")
    return tuple(_named(_distinct(nodes)))


def _file(path: str | None, what: str, base: Path | None = None) -> str | None:
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


def _of_word(word: str, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    """The nodes one word of --hosts stands for: a group, a glob, a range, or a host known to the inventory or not."""
    if not word.isprintable():
        raise InventoryError(f"{word!r} in --hosts is no host name: it holds characters that cannot be printed")
    if "://" not in word and re.search(r"[!&]", word):
        raise InventoryError(f"{word} in --hosts: ! and & are not read; list the groups, globs and hosts you want")
    bare = "://" not in word and not word.startswith("[")
    if bare and re.search(r"\[[^\]]*:[^\]]*\]", word.rpartition("@")[2]):
        login, at, pattern = word.rpartition("@")
        for name in expand_range(pattern, "--hosts"):
            yield from _of_name(_parse(f"{login}{at}{name}"), known, defaults)
    elif bare and re.search(r"[*?\[]", word):
        names = [name for name in known.hosts if fnmatch.fnmatchcase(name, word)]
        groups = [name for name in known.groups if fnmatch.fnmatchcase(name, word)]
        found = dict.fromkeys([*names, *(host for group in groups for host in known.groups[group])])
        if not found:
            where = (
                f"the inventory's {len(known.hosts)} hosts" if known.groups else "anything: it needs --inventory=FILE"
            )
            raise InventoryError(f"{word} in --hosts does not match {where}")
        for name in found:
            yield _node(name, _Given(host=name), known.hosts[name], defaults)
    elif word in known.groups and word not in known.hosts:
        if not known.groups[word]:
            raise InventoryError(f"group {word} of the inventory has no hosts: name another in --hosts")
        for name in known.groups[word]:
            yield _node(name, _Given(host=name), known.hosts[name], defaults)
    else:
        yield from _of_name(_parse(word), known, defaults)


def _of_name(given: _Given, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    if given.host in known.groups and given.host not in known.hosts:
        raise InventoryError(f"{given.host} is a group: --hosts={given.host} takes user and port from the inventory")
    yield _node(given.host, given, known.hosts.get(given.host, {}), defaults)


def node_from_hostspec(spec: str, defaults: Defaults) -> Node:
    """The node one hostspec names, without an inventory. Raises InventoryError."""
    given = _parse(spec)
    return _node(given.host, given, {}, defaults)


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
    if not _is_host(host) or (match[1] and not _is_ipv6(host)):
        raise InventoryError(f"{host!r} is no host name or address: write NAME, USER@NAME:PORT or USER@[IPV6]:PORT")
    if user.startswith("-") or not user.isprintable() or re.search(r"[\s'\"`$\\;&|<>()]", user):
        raise InventoryError(f"{user!r} is no user name to log in to {host} with")
    port = int(match[3]) if match[3] else None
    if port is not None and not 0 < port < 65536:
        raise InventoryError(f"port {port} of {host} is not between 1 and 65535")
    return host, port, user or None


def _is_host(text: str) -> bool:
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


def _parse(spec: str) -> _Given:
    """One hostspec, read with testinfra's own reader; what that one drops silently is refused here."""
    scheme, separator, _ = spec.partition("://")
    if separator and scheme != "paramiko":
        if scheme in BACKENDS or scheme in ("ec2", "ssm"):
            raise InventoryError(f"{scheme}:// does not yet reach nodes: write paramiko://HOST, or just HOST")
        raise InventoryError(f"{_shown(spec)} names no connection there is: write paramiko://HOST, or just HOST")
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
    return msgspec.structs.replace(
        _query(query, host), port=port, user=name, password=urllib.parse.unquote(password) or None
    )


def _query(query: Iterable[tuple[str, str]], host: str) -> _Given:
    values: dict[str, str] = {}
    for key, value in query:
        if key not in QUERY_KEYS:
            near = difflib.get_close_matches(key, QUERY_KEYS, n=1, cutoff=0.0)[0]
            raise InventoryError(f"?{key}= of {host} means nothing here: did you mean ?{near}=?")
        if key in values:
            raise InventoryError(f"?{key}= of {host} is given twice")
        if not value:
            raise InventoryError(f"?{key}= of {host} has no value")
        values[key] = value
    sudo = _boolean(values["sudo"], f"?sudo= of {host}") if "sudo" in values else None
    if "sudo_user" in values and sudo is False:
        raise InventoryError(f"?sudo_user={values['sudo_user']} of {host} contradicts sudo=false")
    return _Given(
        host=host,
        sudo=sudo,
        sudo_user=values.get("sudo_user"),
        ssh_config=_file(values.get("ssh_config"), f"?ssh_config of {host}"),
        identity_file=_file(values.get("ssh_identity_file"), f"?ssh_identity_file of {host}"),
        connect_timeout=_seconds(values["timeout"], f"?timeout of {host}") if "timeout" in values else None,
    )


def _boolean(value: object, what: str) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).lower()
    if text in ("true", "yes", "on", "1"):
        return True
    if text in ("false", "no", "off", "0"):
        return False
    raise InventoryError(f"{what} is {value!r}: write true or false")


def _seconds(value: str, what: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 86400:
        raise InventoryError(f"{what} is {value!r}: write seconds, more than 0")
    return seconds


class _Reader:
    """A host's inventory variables, each read with the place it stands at for messages."""

    def __init__(self, name: str, variables: Variables) -> None:
        self.name = name
        self.variables = variables
        self.path = ""

    def text(self, *names: str) -> str | None:
        """The first of those variables that is set. Raises InventoryError for a template, a vault or a list."""
        for name in names:
            variable = self.variables.get(name)
            if variable is None or variable.value is None:
                continue
            if not isinstance(variable.value, (str, int)):
                raise InventoryError(f"{variable.where}: {name} of {self.name} must be plain text")
            text = str(variable.value)
            if "{{" in text or "{%" in text:
                raise InventoryError(
                    f"{variable.where}: {name} of {self.name} is a template, which only Ansible fills in"
                )
            return text
        return None

    def words(self, name: str) -> tuple[str, ...]:
        """A list of words, or one text with commas between them. Raises InventoryError for anything else."""
        variable = self.variables.get(name)
        if variable is None or not isinstance(variable.value, list):
            found = [word.strip() for word in (self.text(name) or "").split(",")]
        else:
            found = [str(word) for word in variable.value]
        for word in found:
            if word and not CLIENT_NAME.fullmatch(word):
                raise InventoryError(f"{self.where(name)}: {word!r} is no name of an S3 client: write a list of names")
        return tuple(dict.fromkeys(word for word in found if word))

    def where(self, *names: str) -> str:
        """The last of those variables by its place and name."""
        name = next(name for name in names if name in self.variables)
        return f"{self.variables[name].where}: {name} of {self.name}"

    def port(self, *names: str) -> int | None:
        """A TCP port."""
        text = self.text(*names)
        if text is None:
            return None
        if not re.fullmatch(r"\d{1,5}", text, re.ASCII) or not 0 < int(text) < 65536:
            raise InventoryError(f"{self.where(*names)} is {text!r}, not a port between 1 and 65535")
        return int(text)

    def file(self, *names: str) -> str | None:
        """A path, relative to the inventory file."""
        text = self.text(*names)
        if text is None:
            return None
        where = self.where(*names)
        return _file(text, where, Path(where.rpartition(": ")[0].rpartition(":")[0]).absolute().parent)


CONNECTIONS = ("ssh", "paramiko", "paramiko_ssh", "smart", "ansible.builtin.ssh", "ansible.netcommon.paramiko")
_USER = ("ansible_user", "ansible_ssh_user")
_PORT = ("ansible_port", "ansible_ssh_port")
_HOST = ("ansible_host", "ansible_ssh_host")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")


def _node(name: str, given: _Given, variables: Variables, defaults: Defaults) -> Node:
    """What the hostspec says beats the host's variables, and those beat the command line's defaults."""
    read = _Reader(name, variables)
    connection = read.text("ansible_connection")
    if connection not in (None, *CONNECTIONS):
        raise InventoryError(
            f"{read.where('ansible_connection')} is {connection}, not yet a way to reach a node: write ssh"
        )
    host, port, user = read.text(*_HOST) or given.host, given.port, given.user
    if not _is_host(host):
        if host == given.host:
            raise InventoryError(f"host {host!r} of the inventory is no name to log in to: give it an ansible_host")
        raise InventoryError(f"{read.where(*_HOST)} is {host!r}, no host name or address")
    port = read.port(*_PORT) if port is None else port
    sudo, sudo_user = given.sudo, given.sudo_user
    if sudo is None and (text := read.text("ansible_become")) is not None:
        sudo = _boolean(text, read.where("ansible_become"))
    sudo = defaults.sudo if sudo is None else sudo
    if sudo_user and not sudo:
        raise InventoryError(
            f"sudo_user={sudo_user} of {name} does nothing without sudo=true: add &sudo=true or --sudo"
        )
    if sudo and (method := read.text("ansible_become_method")) not in (None, "sudo", "ansible.builtin.sudo"):
        raise InventoryError(f"{read.where('ansible_become_method')} is {method}: only sudo is known")
    return Node(
        name=name,
        host=host,
        port=port,
        user=user or read.text(*_USER),
        password=given.password,
        identity_file=given.identity_file or read.file(*_KEY) or defaults.identity_file,
        ssh_config=given.ssh_config or _ssh_config(read) or defaults.ssh_config,
        sudo=sudo,
        sudo_user=(sudo_user or read.text("ansible_become_user") or defaults.sudo_user) if sudo else None,
        connect_timeout=given.connect_timeout,
        es_port=read.port("preflight_es_port"),
        es_url=_url(read),
        es_ca=read.file("preflight_es_ca"),
        es_user=read.text("preflight_es_user"),
        es_password_file=read.file("preflight_es_password_file"),
        es_api_key_file=read.file("preflight_es_api_key_file"),
        keystore_password_file=read.file("preflight_keystore_password_file"),
        static_key_clients=read.words("preflight_static_key_clients"),
    )


def _url(read: _Reader) -> str | None:
    """preflight_es_url; a password in it would stand in every report."""
    url = read.text("preflight_es_url")
    if url is not None and not re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", url):
        raise InventoryError(
            f"{read.where('preflight_es_url')}: write it as https://HOST:PORT, without user and password "
            "(preflight_es_user and preflight_es_password_file name those)"
        )
    return url


def _ssh_config(read: _Reader) -> str | None:
    """preflight_ssh_config, or the -F of Ansible's ssh arguments; any other argument is refused, never dropped."""
    own = read.file("preflight_ssh_config")
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"):
        arguments = read.text(name)
        if not arguments or not arguments.strip():
            continue
        match = re.fullmatch(r"""\s*-F\s*(["']?)([^"']+?)\1\s*""", arguments)
        if not match or match[2].startswith("-") or (re.search(r"\s", match[2]) and not match[1]):
            raise InventoryError(
                f"{read.where(name)} is {arguments!r}, of which only -F FILE is read: put the rest into an ssh_config "
                "and name it with preflight_ssh_config"
            )
        where = read.where(name)
        base = Path(where.rpartition(": ")[0].rpartition(":")[0]).absolute().parent
        own = own or _file(match[2], where, base)
    return own


def _distinct(nodes: Iterable[Node]) -> list[Node]:
    """One node a target; the first mention wins. Two Elasticsearch processes of a host are two targets."""
    targets: dict[object, Node] = {}
    for node in nodes:
        targets.setdefault((node.host, node.port, node.user, node.ssh_config, node.proxy_jump, node.es_port), node)
    return list(targets.values())


def _named(nodes: list[Node]) -> list[Node]:
    """Names made unique with the port, then the user; raises InventoryError where that is not enough."""
    for label in (_with_port, _with_user):
        count = Counter(node.name for node in nodes)
        nodes = [msgspec.structs.replace(node, name=label(node)) if count[node.name] > 1 else node for node in nodes]
    count = Counter(node.name for node in nodes)
    for name, times in count.items():
        if times > 1:
            raise InventoryError(
                f"{name} names {times} different targets: give them names of their own in an inventory"
            )
    return nodes


def _with_port(node: Node) -> str:
    if node.port is None:
        return node.name
    return f"[{node.name}]:{node.port}" if ":" in node.name else f"{node.name}:{node.port}"


def _with_user(node: Node) -> str:
    return f"{node.user}@{node.name}" if node.user else node.name
