"""What a machine needs before a lab can stand on it, and the command that brings it."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from .errors import LabError

PACKAGES = {
    "ip": "iproute2",
    "nft": "nftables",
    "sysctl": "procps",
    "sshd": "openssh-server",
    "sudo": "sudo",
    "dnsmasq": "dnsmasq-base",
    "mkfs.ext4": "e2fsprogs",
    "mount": "mount",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
    "update-ca-certificates": "ca-certificates",
    "tar": "tar",
}
"""Every program the lab or a lab host starts, to the Debian package it comes in."""

FOR_ELASTICSEARCH = {"mvn": "maven", "keytool": "openjdk-17-jdk-headless"}

WANTED_FILES = 65535
"""Open files that Elasticsearch's bootstrap check demands of a node that is bound to a real address."""


def need_root() -> None:
    """Raise LabError unless root on Linux."""
    if not Path("/proc/self/ns/net").exists():
        raise LabError("the lab needs Linux: it is made of namespaces; the suite itself runs anywhere")
    if os.geteuid() != 0:
        raise LabError("the lab needs root (namespaces and mounts): run it again as `sudo python -m lab ...`")


def check(*, elasticsearch: bool) -> None:
    """Raise LabError naming everything that is missing in one sentence, with the one command that installs it."""
    wanted = {**PACKAGES, **(FOR_ELASTICSEARCH if elasticsearch else {})}
    if elasticsearch and needs_shim():
        wanted["gcc"] = "gcc libc6-dev"
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = {program: package for program, package in wanted.items() if shutil.which(program, path=path) is None}
    if missing:
        packages = sorted({name for package in missing.values() for name in package.split()})
        raise LabError(f"missing: {', '.join(missing)}: `apt-get install -y {' '.join(packages)}`")
    if elasticsearch and Path("/etc/elasticsearch").exists():
        raise LabError("this machine has an Elasticsearch of its own, which lab hosts would see: use another machine")
    if "\toverlay" not in Path("/proc/filesystems").read_text():
        raise LabError("this kernel has no overlay file system, of which lab hosts are made: `modprobe overlay`")


def needs_shim() -> bool:
    """Whether the hard limit of open files is below what Elasticsearch demands and cannot be raised."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= WANTED_FILES:
        return False
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (WANTED_FILES, WANTED_FILES))
    except (OSError, ValueError):
        return True
    return False
