"""What is said of a host key that is not trusted: the same sentences and commands whoever carries the login."""

from __future__ import annotations

import shlex

from .errors import HostKeyChanged, HostKeyUnknown


def unknown(name: str, offered: str, ssh: str, *, accepts_new_keys: bool) -> HostKeyUnknown:
    """known_hosts has no key of the host.

    name: as known_hosts would have it; offered: type and fingerprint; ssh: the command line that reaches the host
    accepts_new_keys: ssh_config turns the check off, which this suite does not take from it
    """
    off = ", and StrictHostKeyChecking of ssh_config is not taken as a reason to trust it" if accepts_new_keys else ""
    return HostKeyUnknown(
        f"known_hosts has no key of {name}{off}: it offers {offered}",
        f"compare that fingerprint with the host's own (`ssh-keygen -lf /etc/ssh/ssh_host_*_key.pub` there), then "
        f"accept it: {_accept(ssh)} (or --insecure-host-keys, which trusts anybody)",
    )


def changed(name: str, where: str, offered: str, ssh: str) -> HostKeyChanged:
    """known_hosts has another key of the host. where: FILE:LINE of it."""
    file = where.rpartition(":")[0]
    return HostKeyChanged(
        f"the host key of {name} is not the one at {where}: it offers {offered}",
        f"if the host was rebuilt and its console shows that fingerprint: "
        f"ssh-keygen -R {shlex.quote(name)} -f {shlex.quote(file)} && {_accept(ssh)}",
    )


def _accept(ssh: str) -> str:
    return f"{ssh} -o StrictHostKeyChecking=accept-new true"
