"""Keys and files for logging in to the lab's hosts, and the inventory that names them to the suite."""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from . import ec2, names
from .host import File
from .names import Node

HARDENED = 2
"""The number of the host that forbids TCP forwarding, as hardened hosts do."""


def new_key() -> tuple[bytes, str]:
    """A private key in OpenSSH's format and its public line."""
    key = ed25519.Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public.decode()


def write_client(nodes: Sequence[Node]) -> tuple[str, dict[Node, dict[str, File]]]:
    """Write key pair, known_hosts and ssh_config for the controller.

    Returns the public line to let in and, by node, the sshd files that make the node the known one.
    """
    private, public = new_key()
    names.SSH_KEY.touch(mode=0o600)
    names.SSH_KEY.write_bytes(private)
    names.SSH_KEY.with_suffix(".pub").write_text(public + "\n")
    known, config, servers = [], [], {}
    for node in nodes:
        host_private, host_public = new_key()
        files = {
            "/etc/ssh/ssh_host_ed25519_key": File(host_private, mode=0o600),
            "/etc/ssh/ssh_host_ed25519_key.pub": File(f"{host_public}\n".encode()),
        }
        if node.number == HARDENED:
            files["/etc/ssh/sshd_config.d/hardening.conf"] = File(b"AllowTcpForwarding no\n")
        servers[node] = files
        known.append(f"{node.address},{node.name} {host_public}\n")
        config.append(f"Host {node.name} {node.address}\n    HostName {node.address}\n")
    names.KNOWN_HOSTS.write_text("".join(known))
    config.append(
        f"Host *\n    User {names.SSH_USER}\n    IdentityFile {names.SSH_KEY}\n    IdentitiesOnly yes\n"
        f"    UserKnownHostsFile {names.KNOWN_HOSTS}\n    StrictHostKeyChecking yes\n"
    )
    names.SSH_CONFIG.write_text("".join(config))
    return public + "\n", servers


def write_inventory(nodes: Sequence[Node], *, elasticsearch: bool) -> None:
    """inventories/lab.yml: group `lab`, for `pytest --inventory=inventories/lab.yml --hosts=lab`."""
    variables: dict[str, object] = {
        "ansible_user": names.SSH_USER,
        "ansible_become": True,
        "preflight_ssh_config": str(names.SSH_CONFIG),
        # For --hosts=ssm://es-1, with AWS_CONFIG_FILE naming the lab's own.
        "ansible_aws_ssm_region": names.REGION,
        "ansible_aws_ssm_profile": ec2.PROFILE,
    }
    if elasticsearch:
        variables["preflight_es_user"] = names.PREFLIGHT_USER
        variables["preflight_es_password_file"] = str(names.PREFLIGHT_PASSWORD)
    hosts = {n.name: {"ansible_host": n.address, "ansible_aws_ssm_instance_id": n.instance_id} for n in nodes}
    group = {"hosts": hosts, "vars": variables}
    names.INVENTORY.parent.mkdir(exist_ok=True)
    names.INVENTORY.write_text(
        "# Written by `python -m lab up`, removed by `python -m lab down`.\n"
        + yaml.safe_dump({"lab": group}, sort_keys=False)
    )
