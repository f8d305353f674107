"""From the words of --hosts to the nodes of a run, each target once, each with a name of its own."""

from __future__ import annotations

import fnmatch
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from .hostspec import Given, parse, readable_file
from .node import Defaults, InventoryError, Node
from .variables import node_of
from .yaml_file import Inventory, expand_range, read_inventory

MOST_SHOWN = 20
"""Instances in a line of the header."""


def expand(
    hosts: str | None, inventory: Path | None, defaults: Defaults, say: Callable[[str], object] = lambda line: None
) -> tuple[Node, ...]:
    """The nodes of a run, in the order given; the same target twice is one node, but for two of its ES ports.

    say: gets a line for each word that AWS was asked about. Raises InventoryError, one sentence saying what to type.
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
    nodes = _named(_distinct(nodes))
    for word, matched in _by_word(nodes).items():
        say(f"{word} is {_shown(matched)}")
    return tuple(nodes)


def _by_word(nodes: Iterable[Node]) -> dict[str, list[Node]]:
    found: dict[str, list[Node]] = {}
    for node in nodes:
        if node.found_by is not None:
            found.setdefault(node.found_by, []).append(node)
    return found


def _shown(nodes: Sequence[Node]) -> str:
    """ "2 instances: es-1 (i-0ab..., 10.0.0.1), i-0cd... (10.0.0.2)"."""
    words = [
        f"{node.name} ({', '.join(dict.fromkeys(w for w in (node.instance, node.host) if w and w != node.name))})"
        for node in nodes[:MOST_SHOWN]
    ]
    more = f" and {len(nodes) - MOST_SHOWN} more" if len(nodes) > MOST_SHOWN else ""
    return f"{len(nodes)} instance{'s' if len(nodes) != 1 else ''}: {', '.join(words)}{more}"


def _of_word(word: str, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    """The nodes one word of --hosts stands for: a group, a glob, a range, or a host known to the inventory or not."""
    if not word.isprintable():
        raise InventoryError(f"{word!r} in --hosts is no host name: it holds characters that cannot be printed")
    if "://" not in word and re.search(r"[!&]", word):
        raise InventoryError(f"{word} in --hosts: ! and & are not read; list the groups, globs and hosts you want")
    if word.startswith("ec2://"):
        yield from _of_ec2(word, defaults)
        return
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


def _of_ec2(word: str, defaults: Defaults) -> Iterator[Node]:
    from . import ec2  # boto3 takes as long to import as everything else together

    for match in ec2.matching(ec2.read(word, defaults.aws_profile)):
        node = node_of(match.name, parse(match.spec), {}, defaults)
        yield msgspec.structs.replace(node, instance=match.instance, found_by=word)


def _of_name(given: Given, known: Inventory, defaults: Defaults) -> Iterator[Node]:
    if given.host in known.groups and given.host not in known.hosts:
        raise InventoryError(f"{given.host} is a group: --hosts={given.host} takes user and port from the inventory")
    yield node_of(given.host, given, known.hosts.get(given.host, {}), defaults)


def _distinct(nodes: Iterable[Node]) -> list[Node]:
    """One node a target; the first mention wins. Two Elasticsearch processes of a host are two targets."""
    targets: dict[object, Node] = {}
    instances: set[str] = set()
    for node in nodes:
        if node.instance in instances:
            continue
        target = (node.host, node.port, node.user, node.ssh_config, node.proxy_jump, node.es_port)
        first = targets.setdefault(target, node)
        if node.instance and first.instance and node.instance != first.instance:
            raise InventoryError(
                f"{node.host} is the address of both {first.instance} and {node.instance}: tell them apart with "
                "address=id and an ssh_config, or ask for one of their VPCs at a time"
            )
        if node.instance:
            instances.add(node.instance)
    return list(targets.values())


def _named(nodes: list[Node]) -> list[Node]:
    """Names made unique with the instance, the port, then the user; raises InventoryError where that is not enough."""
    for label in (_as_instance, _with_port, _with_user):
        count = Counter(node.name for node in nodes)
        nodes = [msgspec.structs.replace(node, name=label(node)) if count[node.name] > 1 else node for node in nodes]
    count = Counter(node.name for node in nodes)
    for name, times in count.items():
        if times > 1:
            raise InventoryError(
                f"{name} names {times} different targets: give them names of their own in an inventory"
            )
    return nodes


def _as_instance(node: Node) -> str:
    return node.instance or node.name


def _with_port(node: Node) -> str:
    if node.port is None:
        return node.name
    return f"[{node.name}]:{node.port}" if ":" in node.name else f"{node.name}:{node.port}"


def _with_user(node: Node) -> str:
    return f"{node.user}@{node.name}" if node.user else node.name
