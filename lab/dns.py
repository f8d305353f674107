"""The lab's resolver: its hosts and AWS's zone, everything else does not exist; it never asks anyone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from . import names
from .aws import DNS_ZONE
from .errors import LabError
from .names import Node
from .processes import last_words, pid_of, start, wait_until


def serve(nodes: Sequence[Node]) -> None:
    """Answer on the lab's resolver address from here on."""
    hosts = names.STATE / "hosts"
    lines = [f"{node.address} {node.fqdn} {node.hostname} {node.name}" for node in nodes]
    hosts.write_text("\n".join([*lines, f"{names.STORAGE_ADDRESS} {names.STORAGE_HOST}", ""]))
    ready = names.RUN / "dnsmasq.ready"
    start(
        "dnsmasq",
        ["ip", "netns", "exec", names.ROUTER_NAMESPACE, shutil.which("dnsmasq") or "/usr/sbin/dnsmasq",
         "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", f"--addn-hosts={hosts}",
         f"--listen-address={names.DNS}", "--bind-interfaces", "--user=root", "--group=root",
         f"--pid-file={ready}", "--log-facility=-",
         f"--address=/{DNS_ZONE}/{names.AWS_ADDRESS}", "--local=/#/"],
    )  # fmt: skip
    if not wait_until(lambda: ready.exists() or pid_of("dnsmasq") is None, 5) or pid_of("dnsmasq") is None:
        raise LabError(f"the lab's resolver does not start: {last_words('dnsmasq')}")
