"""What the variables of a host mean, and the node that they make of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from .hostspec import Given, boolean, is_host, parse, readable_file
from .node import Defaults, InventoryError, Node

CLIENT_NAME = re.compile(r"[A-Za-z0-9_-]+")
"""NAME in s3.client.NAME.access_key, as the keystore's own rule for setting names allows it."""


class Variable(NamedTuple):
    """A variable's value and the line that set it ("FILE:LINE")."""

    value: object
    where: str


Variables = dict[str, Variable]


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
        where = self.where(*names)
        return readable_file(text, where, Path(where.rpartition(": ")[0].rpartition(":")[0]).absolute().parent)


CONNECTIONS = ("ssh", "paramiko", "paramiko_ssh", "smart", "ansible.builtin.ssh", "ansible.netcommon.paramiko")
_USER = ("ansible_user", "ansible_ssh_user")
_PORT = ("ansible_port", "ansible_ssh_port")
_HOST = ("ansible_host", "ansible_ssh_host")
_KEY = ("ansible_ssh_private_key_file", "ansible_private_key_file")


def node_of(name: str, given: Given, variables: Variables, defaults: Defaults) -> Node:
    """What the hostspec says beats the host's variables, and those beat the command line's defaults."""
    read = Reader(name, variables)
    connection = read.text("ansible_connection")
    if connection not in (None, *CONNECTIONS):
        raise InventoryError(
            f"{read.where('ansible_connection')} is {connection}, not yet a way to reach a node: write ssh"
        )
    host, port, user = read.text(*_HOST) or given.host, given.port, given.user
    if not is_host(host):
        if host == given.host:
            raise InventoryError(f"host {host!r} of the inventory is no name to log in to: give it an ansible_host")
        raise InventoryError(f"{read.where(*_HOST)} is {host!r}, no host name or address")
    port = read.port(*_PORT) if port is None else port
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


def _url(read: Reader) -> str | None:
    """preflight_es_url; a password in it would stand in every report."""
    url = read.text("preflight_es_url")
    if url is not None and not re.fullmatch(r"https?://[^\s/@?#]+(?:/[^\s@?#]*)?", url):
        raise InventoryError(
            f"{read.where('preflight_es_url')}: write it as https://HOST:PORT, without user and password "
            "(preflight_es_user and preflight_es_password_file name those)"
        )
    return url


def _ssh_config(read: Reader) -> str | None:
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
        own = own or readable_file(match[2], where, base)
    return own


def node_from_hostspec(spec: str, defaults: Defaults) -> Node:
    """The node one hostspec names, without an inventory. Raises InventoryError."""
    given = parse(spec)
    return node_of(given.host, given, {}, defaults)
