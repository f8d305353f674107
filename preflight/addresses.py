"""Addresses as text: what is one, and which part of "host:port" is the host."""

from __future__ import annotations

import ipaddress


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address, False for a name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def host_of(target: str) -> str:
    """The host of "host:port" or "[v6]:port", without brackets."""
    return target.rpartition(":")[0].strip("[]")
