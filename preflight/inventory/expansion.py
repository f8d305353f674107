"""From the words of --hosts to the nodes of a run, each target once, each with a name of its own."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from .hostspec import Given, parse, readable_file
from .node import Defaults, InventoryError, Node
from .variables import node_of
from .yaml_file import Inventory, expand_range, read_inventory


def expand(hosts: str | None, inventory: Path | None, defaults: Defaults) -> tuple[Node, ...]:
    """The nodes of a run, in the order given; the same target twice is one node, but for two of its ES ports.

    Raises InventoryError, one sentence saying what to type.
    """
    known = read_inventory(inventory) if inventory else Inventory({}, {})
    words = [word.strip() for word in (hosts or "").split(",") if word.strip()]
    if not words:
        if inventory:
            raise InventoryError(
                f"no hosts: add --hosts=NAME, a group, glob or host of {inventory} "
                f"(groups: {', '.join(sorted(known.groups))})"
            )
        raise InventoryError("no hosts: add --hosts=NAME[,NAME...], or --inventory=FILE with --hosts=GROUP")
    defaults = msgspec.structs.replace(
        defaults,
        ssh_config=readable_file(defaults.ssh_config, "--ssh-config"),
        identity_file=readable_file(defaults.identity_file, "--ssh-identity-file"),
    )
    nodes = [node for word in words for node in _of_word(word, known, defaults)]
    if defaults.sudo_user and not defaults.sudo and not any(node.sudo for node in nodes):
        raise InventoryError(f"--sudo-user={defaults.sudo_user} does nothing without --sudo: add --sudo")
    return tuple(_named(_distinct(nodes)))


def _of_word(word: str, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    """The nodes one word of --hosts stands for: a group, a glob, a range, or a host known to the inventory or not."""
    if not word.isprintable():
        raise InventoryError(f"{word!r} in --hosts is no host name: it holds characters that cannot be printed")
    if "://" not in word and re.search(r"[!&]", word):
        raise InventoryError(f"{word} in --hosts: ! and & are not read; list the groups, globs and hosts you want")
    bare = "://" not in word and not word.startswith("[")
    if bare and re.search(r"\[[^\]]*:[^\]]*\]", word.rpartition("@")[2]):
        login, at, pattern = word.rpartition("@")
        for name in expand_range(pattern, "--hosts"):
            yield from _of_name(parse(f"{login}{at}{name}"), known, defaults)
    elif bare and re.search(r"[*?\[]", word):
        names = [name for name in known.hosts if fnmatch.fnmatchcase(name, word)]
        groups = [name for name in known.groups if fnmatch.fnmatchcase(name, word)]
        found = dict.fromkeys([*names, *(host for group in groups for host in known.groups[group])])
        if not found:
            where = (
                f"the inventory's {len(known.hosts)} hosts" if known.groups else "anything: it needs --inventory=FILE"
            )
            raise InventoryError(f"{word} in --hosts does not match {where}")
        for name in found:
            yield node_of(name, Given(host=name), known.hosts[name], defaults)
    elif word in known.groups and word not in known.hosts:
        if not known.groups[word]:
            raise InventoryError(f"group {word} of the inventory has no hosts: name another in --hosts")
        for name in known.groups[word]:
            yield node_of(name, Given(host=name), known.hosts[name], defaults)
    else:
        yield from _of_name(parse(word), known, defaults)


def _of_name(given: Given, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    if given.host in known.groups and given.host not in known.hosts:
        raise InventoryError(f"{given.host} is a group: --hosts={given.host} takes user and port from the inventory")
    yield node_of(given.host, given, known.hosts.get(given.host, {}), defaults)


def _distinct(nodes: Iterable[Node]) -> list[Node]:
    """One node a target; the first mention wins. Two Elasticsearch processes of a host are two targets."""
    targets: dict[object, Node] = {}
    for node in nodes:
        targets.setdefault((node.host, node.port, node.user, node.ssh_config, node.proxy_jump, node.es_port), node)
    return list(targets.values())


def _named(nodes: list[Node]) -> list[Node]:
    """Names made unique with the port, then the user; raises InventoryError where that is not enough."""
    for label in (_with_port, _with_user):
        count = Counter(node.name for node in nodes)
        nodes = [msgspec.structs.replace(node, name=label(node)) if count[node.name] > 1 else node for node in nodes]
    count = Counter(node.name for node in nodes)
    for name, times in count.items():
        if times > 1:
            raise InventoryError(
                f"{name} names {times} different targets: give them names of their own in an inventory"
            )
    return nodes


def _with_port(node: Node) -> str:
    if node.port is None:
        return node.name
    return f"[{node.name}]:{node.port}" if ":" in node.name else f"{node.name}:{node.port}"


def _with_user(node: Node) -> str:
    return f"{node.user}@{node.name}" if node.user else node.name
