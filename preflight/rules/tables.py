"""A routing table in words that mean the same on every host: own addresses, subnets and gateways by their part.

`198.18.0.1` on one node and `198.18.5.1` on another are both "its subnet's gateway"; what only the local host or a DHCP
lease decides (container bridges, metrics, source addresses, expiring and link-local routes) is left out.
"""

from __future__ import annotations

import difflib
import functools
import ipaddress
import re
from collections.abc import Iterable

from ..facts import Route, Routing

NOISE = re.compile(r"(docker|br-|veth|virbr|cni|flannel|cali|cilium|lxc|lxd|podman|kube|weave|tunl|vxlan|nodelocaldns)")
"""Devices that container engines make; how many there are depends on what runs today."""

GATEWAY = "its subnet's gateway"
SUBNET = "its own subnet"
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@functools.lru_cache(maxsize=4096)
def _network(address: str, prefix: int) -> Network:
    return ipaddress.ip_interface(f"{address}/{prefix}").network


def subnets(routing: Routing) -> tuple[Network, ...]:
    """The subnets of the host's global addresses, container bridges left out."""
    return tuple(
        _network(a.address, a.prefix) for a in routing.addresses if a.scope == "global" and not NOISE.match(a.device)
    )


def spoken(address: str, routing: Routing, gateways: frozenset[str] = frozenset()) -> str:
    """An address by its part on this host: "its own address", its subnet's gateway or another host of it, else itself.

    The gateway is the subnet's first address, as in every EC2 subnet; IPv6 routers show a link-local one.
    gateways: further addresses that are one, of subnets that are not EC2's
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 6 and found.is_link_local:
        return GATEWAY
    if address in {a.address for a in routing.addresses}:
        return "its own address"
    for subnet in subnets(routing):
        if found.version == subnet.version and found in subnet:
            number = int(found) - int(subnet.network_address)
            return GATEWAY if number == 1 or address in gateways else f"host {number} of {SUBNET}"
    return address


def line(
    route: Route,
    routing: Routing,
    peers: frozenset[Network] = frozenset(),
    gateways: frozenset[str] = frozenset(),
) -> str | None:
    """The route in words; None for one that says nothing about how this host differs from another.

    peers: subnets of the hosts it is compared with, each of which has its own instead; gateways: as `spoken` takes them
    """
    if _local_matter(route):
        return None
    destination = route.destination
    if destination != "default":
        network = ipaddress.ip_network(destination, strict=False)
        if network in subnets(routing):
            destination = SUBNET
        elif network in peers:
            destination = "a peer's subnet"
        elif network.num_addresses == 1:
            destination = spoken(str(network.network_address), routing, gateways)
    parts = [] if route.kind == "unicast" else [route.kind]
    parts.append(destination)
    if route.gateway:
        parts.append(f"via {spoken(route.gateway, routing, gateways)}")
    if route.table != "main":
        parts.append("in a policy table")
    return " ".join(parts) if route.family == "inet" else " ".join(("inet6", *parts))


def _local_matter(route: Route) -> bool:
    if route.table == "local" or route.kind in ("local", "broadcast", "anycast", "multicast"):
        return True
    if _device_is_noise(route):
        return True
    if route.family == "inet6":
        kernel_own = route.kind == "unreachable" and route.device == "lo"
        if route.protocol == "ra" or kernel_own or route.destination.lower().startswith(("fe80:", "ff00:")):
            return True
    if route.destination == "default":
        return False
    network = ipaddress.ip_network(route.destination, strict=False)
    leased_host = route.protocol == "dhcp" and network.num_addresses == 1
    return leased_host or network.is_link_local or network.is_loopback


def lines(
    routing: Routing, peers: frozenset[Network] = frozenset(), gateways: frozenset[str] = frozenset()
) -> dict[str, tuple[Route, ...]]:
    """Every line of the tables that is comparable, with the routes it stands for; policy rules have none.

    A table for what leaves from one of the host's own addresses is left out, with its rule, where it says what the main
    table says everywhere: that the subnet is near and all else behind its gateway.
    """
    harmless = _of_an_interface(routing, gateways)
    found: dict[str, tuple[Route, ...]] = {}
    for route in routing.routes:
        text = None if (route.family, route.table) in harmless else line(route, routing, peers, gateways)
        if text is not None:
            found[text] = (*found.get(text, ()), route)
    for rule in routing.rules:
        text = None if (rule.family, _looked_up(rule.text)) in harmless else _rule(rule.text, routing)
        if text is not None:
            found.setdefault(text, ())
    return dict(sorted(found.items()))


PLAIN = re.compile(rf"(?:default via {GATEWAY}|{SUBNET})(?: in a policy table)?")
OF_AN_INTERFACE = re.compile(rf"rule from (?:its own address|{SUBNET}) lookup a policy table")


def _of_an_interface(routing: Routing, gateways: frozenset[str]) -> frozenset[tuple[str, str]]:
    """(family, table) of every table that belongs to one interface and sends nothing another way."""
    asked: dict[tuple[str, str], list[str]] = {}
    for rule in routing.rules:
        asked.setdefault((rule.family, _looked_up(rule.text)), []).append(_rule(rule.text, routing) or "")
    found = set()
    for (family, table), rules in asked.items():
        of_one = [r for r in routing.routes if (r.family, r.table) == (family, table)]
        said = [line(route, routing, frozenset(), gateways) for route in of_one if not _device_is_noise(route)]
        if (
            said
            and all(OF_AN_INTERFACE.fullmatch(text) for text in rules)
            and all(text is None or PLAIN.fullmatch(text.removeprefix("inet6 ")) for text in said)
        ):
            found.add((family, table))
    return frozenset(found)


def _looked_up(text: str) -> str:
    return text.partition("lookup ")[2].partition(" ")[0]


def _device_is_noise(route: Route) -> bool:
    return bool(route.device and NOISE.match(route.device))


def _rule(text: str, routing: Routing) -> str | None:
    words = " ".join(text.split())
    if re.fullmatch(r"from all lookup (local|main|default)", words):
        return None
    for address in sorted((a.address for a in routing.addresses), key=len, reverse=True):
        words = re.sub(rf"(?<![\w.:]){re.escape(address)}(?:/\d+)?(?![\w.:])", "its own address", words)
    for subnet in subnets(routing):
        words = words.replace(str(subnet), SUBNET)
    return "rule " + re.sub(r"lookup (?!main\b|local\b|default\b)\S+", "lookup a policy table", words)


def written(route: Route) -> str:
    """The route about as `ip route` prints it."""
    parts = [route.kind] if route.kind != "unicast" else []
    parts.append(route.destination)
    for word, value in (("via", route.gateway), ("dev", route.device)):
        parts.extend([word, value] if value else [])
    if route.table != "main":
        parts.extend(["table", route.table])
    return " ".join(parts)


def diff(
    ours: Routing,
    theirs: Routing,
    name: str,
    reference: str,
    unless: Iterable[str] = (),
    gateways: frozenset[str] = frozenset(),
) -> tuple[str, ...]:
    """A unified diff from the reference's tables to this node's, empty where they say the same.

    Lines that differ carry the route as that host has it. unless: addresses; a route that covers one is left out.
    gateways: of both hosts, as `spoken` takes them
    """
    skipped = tuple(ipaddress.ip_address(address) for address in unless)
    left = _kept(lines(theirs, frozenset(subnets(ours)), gateways), skipped)
    right = _kept(lines(ours, frozenset(subnets(theirs)), gateways), skipped)
    if set(left) == set(right):
        return ()
    found = []
    for text in difflib.unified_diff(list(left), list(right), reference, name, lineterm=""):
        routes = (left if text.startswith("-") else right).get(text[1:], ()) if text[:1] in "+-" else ()
        found.append(text + (f"    [{'; '.join(written(r) for r in routes)}]" if routes else ""))
    return tuple(found)


def covering(
    routing: Routing,
    targets: Iterable[str],
    peers: frozenset[Network] = frozenset(),
    gateways: frozenset[str] = frozenset(),
) -> dict[str, tuple[Route, ...]]:
    """The comparable lines whose routes cover one of these addresses."""
    wanted = tuple(ipaddress.ip_address(address) for address in targets)
    return {
        text: tuple(r for r in routes if any(_covers(r, a) for a in wanted))
        for text, routes in lines(routing, peers, gateways).items()
        if any(_covers(r, a) for r in routes for a in wanted)
    }


def _kept(
    found: dict[str, tuple[Route, ...]], skipped: tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, ...]
) -> dict[str, tuple[Route, ...]]:
    return {text: routes for text, routes in found.items() if not any(_covers(r, a) for r in routes for a in skipped)}


def _covers(route: Route, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if (route.family == "inet") != (address.version == 4):
        return False
    return route.destination == "default" or address in ipaddress.ip_network(route.destination, strict=False)
