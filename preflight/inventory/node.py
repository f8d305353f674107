"""A node as it was given, and what is raised where one cannot be made out."""

from __future__ import annotations

from typing import Literal

import msgspec


class InventoryError(ValueError):
    """--hosts or an inventory cannot be used: one sentence naming what to type or change."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One host to survey, with all that is needed to log in to it and to ask its Elasticsearch.

    name: unique label in reports; host: as ssh would be told it; port, user: None for what ssh_config says
    carrier: what carries the suite's bytes there: paramiko, this machine's OpenSSH, or AWS Systems Manager; over "ssm"
    host is the instance id, nobody logs in and sudo is only for another user than root; region, profile: of that
    carrier, None for what AWS's own configuration says
    password: from a hostspec only, never shown; files: absolute paths; proxy_jump: None for what ssh_config says
    sudo_user: None for root; connect_timeout: seconds, None for the run's own
    instance: its EC2 instance id, found_by: the ec2:// word that it matches; None where it was given otherwise
    es_port: a port that the node's Elasticsearch listens on, None for the only one of its host
    es_*: where given for this node, beats the run's own options
    keystore_password_file: beats the run's option; static_key_clients: S3 clients that are meant to sign with static
    keys on it
    """

    name: str
    host: str
    carrier: Literal["paramiko", "ssh", "ssm"] = "paramiko"
    region: str | None = None
    profile: str | None = None
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
    instance: str | None = None
    found_by: str | None = None

    def __repr__(self) -> str:
        fields = ((field, getattr(self, field)) for field in self.__struct_fields__ if field != "password")
        return f"Node({', '.join(f'{field}={value!r}' for field, value in fields if value not in (None, False, ()))})"

    __str__ = __repr__


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says for all: --connection, --ssh-config, --ssh-identity-file, --sudo, --sudo-user.

    aws_profile: --aws-profile, for an ec2:// that names none
    """

    carrier: Literal["paramiko", "ssh"] = "paramiko"
    ssh_config: str | None = None
    identity_file: str | None = None
    sudo: bool = False
    sudo_user: str | None = None
    aws_profile: str | None = None
