"""Addresses as text: what is one, and which part of "host:port" is the host."""

from __future__ import annotations

import functools
import ipaddress


@functools.lru_cache(maxsize=4096)  # rules ask again and again after the few addresses of one cluster
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


def stays_home(target: str) -> bool:
    """True where "host:port" means something on its own host or link alone: loopback or link-local."""
    host = host_of(target)
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_link_local
