"""An inventory file in Ansible's YAML layout, down to the variables of every host.

Source: Ansible's documentation, "How to build your inventory" and "Using variables": a child group's variable beats
its parent's, of groups at one depth the later name wins unless ansible_group_priority says otherwise, a host's own beat
all.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from .node import InventoryError
from .variables import Inventory, Variable, Variables, refuse_misspelt

MOST_HOSTS = 10_000
"""Of one range; more is a slip of the keyboard."""

LABEL = re.compile(r"[\w.:%+-]+")
"""A host's name in an inventory; what --hosts reads otherwise (globs, commas, users) is not in it."""


INI = "; an INI inventory becomes YAML with `ansible-inventory -i FILE --list -y`"


class NotYaml(InventoryError):
    """The file is no inventory in YAML; it may be one in INI."""


def read_inventory(path: Path) -> Inventory:
    """The inventory in a file. Raises InventoryError naming file and line."""
    if path.is_dir():
        raise InventoryError(f"--inventory={path} is a directory: name one YAML file")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InventoryError(f"cannot read --inventory={path}: {reason}") from error
    try:
        top = yaml.load(text, _loader(path))  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        if _looks_ini(text):
            raise NotYaml(f"{where}: not valid YAML ({problem}){INI}") from error
        raise InventoryError(f"{where}: not valid YAML ({problem})") from error
    except RecursionError as error:
        raise InventoryError(f"{path}: nested too deeply") from error
    return _Reader(path).read(top)


def expand_range(pattern: str, where: str) -> list[str]:
    """The names of Ansible's host ranges: es-[1:3], es-[01:12], rack-[a:c]-[1:9:2]. Without a range, the name itself.

    Raises InventoryError for a range that is none or names more than MOST_HOSTS hosts.
    """
    parts = re.split(r"\[([^\[\]]*:[^\[\]]*)\]", pattern)
    choices: list[list[str]] = []
    total = 1
    for index, part in enumerate(parts):
        values = _range(part, pattern, where) if index % 2 else [part]
        total *= len(values)
        if total > MOST_HOSTS:
            raise InventoryError(f"{where}: the range {pattern} names more than {MOST_HOSTS} hosts")
        choices.append(values)
    return ["".join(chosen) for chosen in itertools.product(*choices)]


def _range(text: str, pattern: str, where: str) -> list[str]:
    match = re.fullmatch(r"(\d+|[a-z]|[A-Z]):(\d+|[a-z]|[A-Z])(?::(\d+))?", text, re.ASCII)
    if match and len(match[0]) <= 32:
        first, last, step = match[1], match[2], int(match[3] or 1)
        numeric = first.isdigit() and last.isdigit()
        if numeric or (not first.isdigit() and not last.isdigit() and first.isupper() is last.isupper()):
            start, stop = (int(first), int(last)) if numeric else (ord(first), ord(last))
            padded = numeric and first.startswith("0") and len(first) > 1
            if padded and len(first) != len(last):
                raise InventoryError(f"{where}: both ends of the range {pattern} need the same number of digits")
            if step > 0 and start <= stop:
                numbers = range(start, stop + 1, step)[: MOST_HOSTS + 1]
                return [f"{n:0{len(first) if padded else 1}d}" if numeric else chr(n) for n in numbers]
    raise InventoryError(f"{where}: [{text}] in {pattern} is no range: write [1:3], [01:12], [a:c] or [1:9:2]")


class _Mapping(dict[str, object]):
    """A YAML mapping that remembers on which line each key stands."""

    lines: dict[str, int]


class _Opaque:
    """A value only Ansible can read (!vault, !unsafe)."""


def _loader(path: Path) -> type[yaml.SafeLoader]:
    class Loader(yaml.SafeLoader):
        pass

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Iterator[_Mapping]:
        result = _Mapping()
        result.lines = {}
        yield result
        loader.flatten_mapping(node)
        written = {id(key) for key, _ in node.value if key.start_mark is not None}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node, deep=True))
            line = key_node.start_mark.line + 1
            if key in result and id(key_node) in written and line > result.lines[key]:
                first = result.lines[key]
                raise InventoryError(f"{path}:{line}: {key!r} is given twice, first on line {first}: join the two")
            result[key] = loader.construct_object(value_node, deep=True)
            result.lines[key] = line

    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    Loader.add_multi_constructor("!", lambda *_: _Opaque())
    return Loader


def _looks_ini(text: str) -> bool:
    return bool(re.search(r"(?m)^\s*\[[^\]\n]+\]\s*$", text))


class _Group:
    def __init__(self) -> None:
        self.variables: Variables = {}
        self.hosts: dict[str, Variables] = {}
        self.children: dict[str, None] = {}


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.groups: dict[str, _Group] = {"all": _Group()}

    def read(self, top: object) -> Inventory:
        for name, body, line in self._items(top, 1, "groups"):
            self._group(name, body, line)
        depth = self._depths()
        parents_first = sorted(self.groups, key=lambda name: (depth[name], self._priority(name), name))
        members = {name: self._members(name) for name in self.groups}
        members["all"] = tuple(dict.fromkeys(host for hosts in members.values() for host in hosts))
        hosts: dict[str, Variables] = {}
        for host in members["all"]:
            merged: Variables = {}
            for name in parents_first:
                if host in members[name]:
                    merged.update(self.groups[name].variables)
            for group in self.groups.values():
                merged.update(group.hosts.get(host, {}))
            hosts[host] = merged
        return Inventory(hosts, members)

    def _where(self, line: int) -> str:
        return f"{self.path}:{line}"

    def _items(self, mapping: object, line: int, what: str) -> list[tuple[str, object, int]]:
        if mapping is None:
            return []
        if not isinstance(mapping, _Mapping):
            said = f"{self._where(line)}: {what} must be a mapping, one `name:` a line, not {type(mapping).__name__}"
            raise NotYaml(said + INI) if what == "groups" else InventoryError(said)
        return [(key, value, mapping.lines[key]) for key, value in mapping.items()]

    def _group(self, name: str, body: object, line: int) -> None:
        if not name.isprintable() or re.search(r"[\s,*?\[\]!&:@/]", name) or not name:
            raise InventoryError(f"{self._where(line)}: {name!r} is no name for a group")
        group = self.groups.setdefault(name, _Group())
        for key, value, at in self._items(body, line, f"group {name}"):
            if key == "vars":
                group.variables.update(self._variables(value, at))
            elif key == "hosts":
                for pattern, variables, host_at in self._items(value, at, f"hosts of {name}"):
                    found = self._variables(variables, host_at)
                    address, port = _port(pattern)
                    for host in expand_range(address, self._where(host_at)):
                        if not LABEL.fullmatch(host):
                            raise InventoryError(f"{self._where(host_at)}: {host!r} is no name for a host")
                        where = self._where(host_at)
                        own = {"ansible_port": Variable(port, where, self.path.parent), **found} if port else found
                        group.hosts.setdefault(host, {}).update(own)
            elif key == "children":
                for child, child_body, child_at in self._items(value, at, f"children of {name}"):
                    group.children[child] = None
                    self._group(child, child_body, child_at)
            else:
                raise InventoryError(
                    f"{self._where(at)}: group {name} holds {key!r}; it may hold hosts, vars and children"
                )

    def _variables(self, mapping: object, line: int) -> Variables:
        found = {}
        for name, value, at in self._items(mapping, line, "variables"):
            refuse_misspelt(name, self._where(at))
            found[name] = Variable(value, self._where(at), self.path.absolute().parent)
        return found

    def _priority(self, name: str) -> int:
        priority = self.groups[name].variables.get("ansible_group_priority")
        return priority.value if priority and isinstance(priority.value, int) else 1

    def _depths(self) -> dict[str, int]:
        """Longest way from `all` to each group. Raises InventoryError for a group inside itself."""
        depths = {name: 0 if name == "all" else 1 for name in self.groups}
        for _ in self.groups:
            deeper = {
                child: depths[name] + 1
                for name, group in self.groups.items()
                for child in group.children
                if depths[child] <= depths[name]
            }
            if not deeper:
                return depths
            for child, depth in deeper.items():
                depths[child] = max(depths[child], depth)
        raise InventoryError(f"{self.path}: group {next(iter(deeper))} is a child of itself")

    def _members(self, name: str) -> tuple[str, ...]:
        group = self.groups[name]
        below = (host for child in group.children for host in self._members(child))
        return tuple(dict.fromkeys([*group.hosts, *below]))


def _port(pattern: str) -> tuple[str, str | None]:
    """A host key's name and, as Ansible allows, the port behind it."""
    match = re.fullmatch(r"([^:]+|\[[^\]]+\]):(\d+)", pattern)
    return (match[1], match[2]) if match else (pattern, None)
