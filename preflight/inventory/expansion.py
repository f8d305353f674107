"""From the words of --hosts to the nodes of a run, each target once, each with a name of its own."""

from __future__ import annotations

import difflib
import fnmatch
import re
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from ..addresses import is_address
from .hostspec import Given, parse, readable_file
from .node import Defaults, InventoryError, Node
from .sources import Sources
from .variables import Inventory, node_of
from .yaml_file import expand_range

MOST_SHOWN = 20
"""Instances in a line of the header."""


def expand(
    hosts: str | None,
    inventory: Path | None,
    defaults: Defaults,
    say: Callable[[str], object] = lambda line: None,
    *,
    by_ansible: bool = False,
) -> tuple[Node, ...]:
    """The nodes of a run, in the order given; the same target twice is one node, but for two of its ES ports.

    by_ansible: the inventory is Ansible's to read, where it is installed
    say: gets a line for the header on how the nodes were found
    Raises InventoryError, one sentence saying what to type.
    """
    words = [word.strip() for word in (hosts or "").split(",") if word.strip()]
    for word in words:
        if not word.isprintable():
            raise InventoryError(f"{word!r} in --hosts is no host name: it holds characters that cannot be printed")
    sources = Sources(say)
    known = sources.get(inventory, by_ansible=by_ansible) if inventory else Inventory({}, {})
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
    nodes = [
        node
        for word in words
        for node in (
            _of_ansible(word, inventory, sources, defaults)
            if word.startswith("ansible://")
            else _of_word(word, known, defaults)
        )
    ]
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
    if "://" not in word and re.search(r"[!&]", word):
        raise InventoryError(f"{word} in --hosts: ! and & are not read; list the groups, globs and hosts you want")
    if word.startswith("ec2://"):
        yield from _of_ec2(word, defaults)
        return
    bare = "://" not in word and not word.startswith("[")
    if bare and re.search(r"\[[^\]]*:[^\]]*\]", word.rpartition("@")[2]):
        login, at, pattern = word.rpartition("@")
        for name in expand_range(pattern, "--hosts"):
            _refuse_unknown(f"{login}{at}{name}", known)
            yield from _of_name(parse(f"{login}{at}{name}"), known, defaults)
    elif bare and re.search(r"[*?\[]", word):
        found = _matching(word, known)
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
        _refuse_unknown(word, known)
        yield from _of_name(parse(word), known, defaults)


def _matching(pattern: str, known: Inventory) -> list[str]:
    """Hosts of that name, or in a group of that name; a glob matches all of it."""
    hosts = [name for name in known.hosts if fnmatch.fnmatchcase(name, pattern)]
    groups = [name for name in known.groups if fnmatch.fnmatchcase(name, pattern)]
    return list(dict.fromkeys([*hosts, *(host for group in groups for host in known.groups[group])]))


def _refuse_unknown(word: str, known: Inventory) -> None:
    """A mistyped group would else be a host that cannot be reached. A user, a port or an address say: a host."""
    if known.groups and re.fullmatch(r"[^@:/]+", word) and word not in known.hosts and not is_address(word):
        raise InventoryError(f"{word} in --hosts is {_nearly(word, known)}; a host outside of it is paramiko://{word}")


def _nearly(word: str, known: Inventory) -> str:
    near = difflib.get_close_matches(word, [*known.groups, *known.hosts], n=1)
    groups = ", ".join(sorted(known.groups))
    return f"neither a host nor a group of the inventory: {f'did you mean {near[0]}?' if near else f'groups: {groups}'}"


def _of_ansible(word: str, inventory: Path | None, sources: Sources, defaults: Defaults) -> Iterator[Node]:
    """ansible://PATTERN?ansible_inventory=FILE, as testinfra has it: a host, a group or a glob; none is every host."""
    place, _, query = word.removeprefix("ansible://").partition("?")
    pattern = urllib.parse.unquote(place) or "all"
    keys = [part for part in query.split("&") if part]
    own = [part for part in keys if part.startswith("ansible_inventory=")]
    rest = "&".join(part for part in keys if part not in own)
    # Its own inventory beats --ansible-inventory, as in testinfra.
    path = _place(urllib.parse.unquote(own[0].partition("=")[2])) if own else inventory
    known = sources.get(path, by_ansible=True)
    given = parse(f"paramiko://inventory{f'?{rest}' if rest else ''}")
    found = _matching(pattern, known)
    if not found:
        raise InventoryError(f"{word} matches no host: {pattern} is {_nearly(pattern, known)}")
    for name in found:
        yield node_of(name, msgspec.structs.replace(given, host=name, carrier=None), known.hosts[name], defaults)


def _place(path: str) -> Path:
    found = Path(path).expanduser()
    if not found.exists():
        raise InventoryError(f"?ansible_inventory={path}: there is no such file")
    return found


def _of_ec2(word: str, defaults: Defaults) -> Iterator[Node]:
    from . import ec2  # boto3 takes as long to import as everything else together

    for match in ec2.matching(ec2.read(word, defaults.aws_profile, defaults.carrier)):
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
        way = (node.carrier, node.region, node.profile, node.ssh_config, node.proxy_jump)
        target = (node.host, node.port, node.user, *way, node.es_port)
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
