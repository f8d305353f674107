"""What the variables of a host mean, and the node that they make of it."""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ..connection import ssm_spec
from .hostspec import Given, boolean, is_host, parse, readable_file, split_address
from .node import Defaults, InventoryError, Node

CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""NAME in s3.client.NAME.access_key, as the keystore's own rule for setting names allows it."""


class Variable(NamedTuple):
    """A variable's value, the line that set it ("FILE:LINE"), and what a relative path in it is relative to."""

    value: object
    where: str
    base: Path


Variables = dict[str, Variable]


class Inventory(NamedTuple):
    """hosts: name to merged variables; groups: name to the hosts in it and below, both in the file's order."""

    hosts: dict[str, Variables]
    groups: dict[str, tuple[str, ...]]


OURS = (
    "preflight_carrier",
    "preflight_ssh_config",
    "preflight_es_user",
    "preflight_es_password_file",
    "preflight_es_api_key_file",
    "preflight_es_ca",
    "preflight_es_url",
    "preflight_keystore_password_file",
    "preflight_es_port",
    "preflight_static_key_clients",
)
"""The variables that are this suite's own; a misspelt one is refused, all others belong to somebody else."""


def refuse_misspelt(name: str, where: str) -> None:
    """Raises InventoryError for a variable that is nearly one of ours."""
    if name.startswith("preflight_") and name not in OURS:
        near = difflib.get_close_matches(name, OURS, n=1, cutoff=0.0)[0]
        raise InventoryError(f"{where}: there is no variable {name!r}: did you mean {near}?")


class Reader:
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
        return readable_file(text, self.where(*names), self.base(*names))

    def base(self, *names: str) -> Path:
        """What a relative path in the last of those variables is relative to."""
        return self.variables[next(name for name in names if name in self.variables)].base


CONNECTIONS: dict[str | None, Literal["paramiko", "ssh"] | None] = {
    None: None,
    "smart": None,
    "ssh": "ssh",
    "ansible.builtin.ssh": "ssh",
    "paramiko": "paramiko",
    "paramiko_ssh": "paramiko",
    "ansible.netcommon.paramiko": "paramiko",
}
"""What carries the suite's bytes where an inventory says what carries Ansible's; None: nothing is said."""

CARRIERS: dict[str | None, Literal["paramiko", "ssh"]] = {"paramiko": "paramiko", "ssh": "ssh"}
SSM_CONNECTIONS = ("aws_ssm", "amazon.aws.aws_ssm", "community.aws.aws_ssm")
_USER = ("ansible_user", "ansible_ssh_user")
_PORT = ("ansible_port", "ansible_ssh_port")
_HOST = ("ansible_host", "ansible_ssh_host")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")


def node_of(name: str, given: Given, variables: Variables, defaults: Defaults) -> Node:
    """What the hostspec says beats the host's variables, and those beat the command line's defaults."""
    read = Reader(name, variables)
    connection = read.text("ansible_connection")
    if given.carrier == "ssm" or connection in SSM_CONNECTIONS:
        return _over_ssm(name, given, read, defaults)
    if connection not in CONNECTIONS:
        raise InventoryError(
            f"{read.where('ansible_connection')} is {connection}, not yet a way to reach a node: write ssh"
        )
    own = read.text("preflight_carrier")
    if own is not None and own not in CARRIERS:
        raise InventoryError(f"{read.where('preflight_carrier')} is {own}: write {' or '.join(map(str, CARRIERS))}")
    carrier = given.carrier or CARRIERS.get(own) or CONNECTIONS[connection] or defaults.carrier
    if given.password and carrier == "ssh":
        raise InventoryError(f"{name} has a password, and ssh:// never types one: write paramiko://, or use a key")
    host, port, user = read.text(*_HOST) or given.host, given.port, given.user
    if not is_host(host):
        if host == given.host:
            raise InventoryError(f"host {host!r} of the inventory is no name to log in to: give it an ansible_host")
        raise InventoryError(f"{read.where(*_HOST)} is {host!r}, no host name or address")
    port = read.port(*_PORT) if port is None else port
    sudo, sudo_user = _sudo(name, given, read, defaults)
    arguments = _ssh_arguments(read)
    return Node(
        name=name,
        host=host,
        carrier=carrier,
        port=port,
        user=user or read.text(*_USER),
        password=given.password,
        identity_file=given.identity_file or read.file(*_KEY) or defaults.identity_file,
        ssh_config=given.ssh_config or arguments.config or defaults.ssh_config,
        proxy_jump=arguments.proxy_jump,
        sudo=sudo,
        sudo_user=sudo_user,
        connect_timeout=given.connect_timeout,
        **_elasticsearch(read),
    )


def _over_ssm(name: str, given: Given, read: Reader, defaults: Defaults) -> Node:
    """A node that AWS Systems Manager runs commands on: as root, so that sudo is for another user alone."""
    instance = read.text("ansible_aws_ssm_instance_id", *_HOST) or given.host
    if not ssm_spec.INSTANCE.fullmatch(instance):
        raise InventoryError(f"ssm://{instance} is no instance id: write ssm://i-0123456789abcdef0?region=REGION")
    _, sudo_user = _sudo(name, given, read, defaults)
    return Node(
        name=name,
        host=instance,
        carrier="ssm",
        region=given.region or read.text("ansible_aws_ssm_region"),
        profile=given.profile or read.text("ansible_aws_ssm_profile"),
        sudo=sudo_user not in (None, "root"),
        sudo_user=None if sudo_user == "root" else sudo_user,
        **_elasticsearch(read),
    )


def _sudo(name: str, given: Given, read: Reader, defaults: Defaults) -> tuple[bool, str | None]:
    sudo, sudo_user = given.sudo, given.sudo_user
    if sudo is None and (text := read.text("ansible_become")) is not None:
        sudo = boolean(text, read.where("ansible_become"))
    sudo = defaults.sudo if sudo is None else sudo
    if sudo_user and not sudo:
        raise InventoryError(
            f"sudo_user={sudo_user} of {name} does nothing without sudo=true: add &sudo=true or --sudo"
        )
    if sudo and (method := read.text("ansible_become_method")) not in (None, "sudo", "ansible.builtin.sudo"):
        raise InventoryError(f"{read.where('ansible_become_method')} is {method}: only sudo is known")
    return sudo, (sudo_user or read.text("ansible_become_user") or defaults.sudo_user) if sudo else None


def _elasticsearch(read: Reader) -> dict[str, Any]:
    """What a node's variables say of its Elasticsearch, however the node is reached."""
    return {
        "es_port": read.port("preflight_es_port"),
        "es_url": _url(read),
        "es_ca": read.file("preflight_es_ca"),
        "es_user": read.text("preflight_es_user"),
        "es_password_file": read.file("preflight_es_password_file"),
        "es_api_key_file": read.file("preflight_es_api_key_file"),
        "keystore_password_file": read.file("preflight_keystore_password_file"),
        "static_key_clients": read.words("preflight_static_key_clients"),
    }


def _url(read: Reader) -> str | None:
    """preflight_es_url; a password in it would stand in every report."""
    url = read.text("preflight_es_url")
    if url is not None and not re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", url):
        raise InventoryError(
            f"{read.where('preflight_es_url')}: write it as https://HOST:PORT, without user and password "
            "(preflight_es_user and preflight_es_password_file name those)"
        )
    return url


TUNING = frozenset(
    {
        "compression",
        "controlmaster",
        "controlpath",
        "controlpersist",
        "loglevel",
        "serveralivecountmax",
        "serveraliveinterval",
    }
)
"""ssh options, in lower case, that change nothing of which host is reached and who logs in."""


class _Arguments(NamedTuple):
    config: str | None = None
    proxy_jump: str | None = None


def _ssh_arguments(read: Reader) -> _Arguments:
    """preflight_ssh_config in place of all of Ansible's ssh arguments; without it their -F and ProxyJump.

    What tunes a connection is stepped over, any other argument is refused, never dropped.
    """
    own = read.file("preflight_ssh_config")
    if own:
        return _Arguments(config=own)
    found = _Arguments()
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args", "ansible_ssh_args"):
        text = read.text(name)
        if text and text.strip():
            given = _split(text, read.where(name), read.base(name))
            found = _Arguments(found.config or given.config, found.proxy_jump or given.proxy_jump)
    return found


def _split(text: str, where: str, base: Path) -> _Arguments:
    refusal = InventoryError(
        f"{where} is {text!r}, of which only -F FILE and ProxyJump are read: put all of it into an ssh_config and name "
        "that with preflight_ssh_config, which beats it"
    )
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise refusal from error
    config = jump = None
    while words:
        word = words.pop(0)
        if word == "-C":
            continue
        flag, value = word[:2], word[2:] or (words.pop(0) if words else "")
        if flag not in ("-F", "-J", "-o") or not value or value.startswith("-"):
            raise refusal
        if flag == "-F":
            config = config or readable_file(value, where, base)
            continue
        written = f"ProxyJump={value}" if flag == "-J" else value
        option, _, value = re.sub(r"\s*=\s*|\s+", "=", written, count=1).partition("=")
        if option.lower() == "proxyjump" and value:
            jump = jump or value
        elif option.lower() not in TUNING:
            raise refusal
    if jump and jump.lower() != "none":
        for hop in jump.split(","):
            split_address(hop.removeprefix("ssh://"))
    return _Arguments(config, jump)


def node_from_hostspec(spec: str, defaults: Defaults) -> Node:
    """The node one hostspec names, without an inventory. Raises InventoryError."""
    given = parse(spec)
    return node_of(given.host, given, {}, defaults)
