"""Section `routing`, and the route the kernel chooses for one destination: both by iproute2."""

import json
import os

from .base import Unseen, finish, start, tool
from .namespace import HERE

REFUSALS = (
    ("Invalid argument", "blackhole"),
    ("No route to host", "unreachable"),
    ("Permission denied", "prohibit"),
    ("Network is unreachable", "none"),
)


def ip_tool():
    path = tool("ip")
    if path is None:
        raise Unseen("there is no ip command on this node", "install the package iproute2 (RHEL: iproute)")
    return path


def routing(look):
    ip = ip_tool()
    families = [("inet", "-4")]
    # Without the IPv6 module ip answers its questions with an error.
    if os.path.exists("/proc/net/if_inet6"):
        families.append(("inet6", "-6"))
    asked = []
    with routed_by(look):
        for family, option in families:
            asked.append((family, "routes", start([ip, "-j", "-d", option, "route", "show", "table", "all"])))
            asked.append((family, "rules", start([ip, option, "rule", "show"])))
        asked.append((None, "addresses", start([ip, "-j", "address", "show"])))
    value = {"routes": [], "rules": [], "addresses": []}
    for family, what, child in asked:
        output = told(child, look.deadline)
        if what == "routes":
            value["routes"] += [route for entry in listed(output) for route in routes(entry, family)]
        elif what == "rules":
            value["rules"] += [rule(line, family) for line in output.splitlines() if line.strip()]
        else:
            value["addresses"] += [address for entry in listed(output) for address in addresses(entry)]
    return value


def routed_by(look):
    """The namespace whose tables lead Elasticsearch's packets out: its own, unless this host is the gateway there."""
    namespace = look.namespace()
    if not namespace.apart:
        return namespace
    return look.once.get("routed_by", lambda: HERE if behind_host(namespace, look.deadline) else namespace)


def behind_host(namespace, deadline):
    """Whether the host hands its packets on, as with a container engine's bridge; without a way out it counts as so."""
    with namespace:
        inside = start([ip_tool(), "-j", "route", "show", "default"])
    found = [route["gateway"] or "" for entry in listed(told(inside, deadline)) for route in routes(entry, "inet")]
    own = [address["address"] for address in addresses_in(HERE, deadline)]
    # Some networks of Kubernetes have a link-local gateway: whatever it is, the host answers for it.
    return not found or any(gateway in own or gateway.startswith("169.254.") for gateway in found)


def addresses_in(namespace, deadline):
    with namespace:
        child = start([ip_tool(), "-j", "address", "show"])
    return [address for entry in listed(told(child, deadline)) for address in addresses(entry)]


def addresses_within(look):
    """The global ones of the namespace that Elasticsearch has of its own, [] where it has none or it is not entered."""
    if not look.namespace().apart:
        return []
    try:
        found = addresses_in(look.namespace(), look.deadline)
    except Unseen:
        return []
    return [address["address"] for address in found if address["scope"] == "global"]


def told(child, deadline):
    status, output, errors = finish(child, deadline.left(10))
    if "-j" in errors or "-json" in errors:
        raise Unseen(
            "the ip command of this node gives no JSON: iproute2 is too old", "iproute2 4.17 or newer on that node"
        )
    if status != 0:
        raise Unseen("%s ended with exit status %d: %s" % (" ".join(child.args), status, errors.strip()[:200]))
    return output


def listed(output):
    """The entries of a JSON array, none for no output at all; older ones print empty objects in between."""
    if not output.strip():
        return []
    try:
        return [entry for entry in json.loads(output) if entry]
    except ValueError:
        raise Unseen("what the ip command of this node prints is not JSON", "iproute2 4.17 or newer on that node")


def routes(entry, family):
    """One entry of `ip -j -d route show table all` as a route a next hop; the kernel's local table is left out."""
    if entry.get("table") == "local" or "dst" not in entry:
        return []
    hops = entry.get("nexthops") or [entry]
    return [
        {
            "family": family,
            "table": str(entry.get("table", "main")),
            "kind": entry.get("type", "unicast"),
            "destination": entry["dst"],
            "gateway": gateway_of(hop),
            "device": hop.get("dev", entry.get("dev")),
            "source": entry.get("prefsrc"),
            "metric": entry.get("metric"),
            "protocol": text_or_none(entry.get("protocol")),
            "scope": text_or_none(entry.get("scope")),
        }
        for hop in hops
    ]


def gateway_of(hop):
    # "via" is a gateway of the other family.
    return hop.get("gateway") or (hop.get("via") or {}).get("host")


def text_or_none(value):
    return None if value is None else str(value)


def rule(line, family):
    priority, _, text = line.partition(":")
    return {"family": family, "priority": int(priority), "text": " ".join(text.split())}


def addresses(entry):
    return [
        {
            "device": entry["ifname"],
            "family": info["family"],
            "address": info["local"],
            "prefix": info["prefixlen"],
            "scope": str(info.get("scope", "")),
        }
        for info in entry.get("addr_info", [])
        if info.get("family") in ("inet", "inet6") and "local" in info
    ]


def taken_path(purpose, address, look):
    """The ChosenPath of a connection to the address: the kernel asks again once it has chosen the source address."""
    first = chosen_path(purpose, address, look)
    if first["source"] is None or first["kind"] == "local":
        return first
    try:
        return chosen_path(purpose, address, look, first["source"])
    except Unseen:  # an ip command or a kernel that does not take a source
        return first


def chosen_path(purpose, address, look, source=None):
    """What `ip route get` says of the address. source: of the host's own, that packets bear"""
    with routed_by(look):
        child = start([ip_tool(), "-j", "route", "get", address] + (["from", source] if source else []))
    status, output, errors = finish(child, look.deadline.left(10))
    value = {"purpose": purpose, "target": address, "kind": None, "gateway": None, "device": None, "source": source}
    for words, kind in REFUSALS:
        if status != 0 and words in errors:
            value["kind"] = kind
            return value
    entries = listed(output) if status == 0 else []
    if not entries:
        raise Unseen("ip route get %s ended with exit status %d: %s" % (address, status, errors.strip()[:200]))
    entry = entries[0]
    value["gateway"], value["device"], value["source"] = (
        gateway_of(entry),
        entry.get("dev"),
        source or entry.get("prefsrc"),
    )
    kind = entry.get("type", "unicast")
    if kind in ("local", "blackhole", "unreachable", "prohibit"):
        value["kind"] = kind
    else:
        value["kind"] = "gateway" if value["gateway"] else "on-link"
    return value
