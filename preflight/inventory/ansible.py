"""An inventory as Ansible itself reads it: `ansible-inventory --list`, run once: YAML, INI, scripts, plugins.

Source: Ansible's documentation of ansible-inventory and of dynamic inventory sources. From ansible-core 2.19 on, text
that a plugin brought in is wrapped ({"__ansible_unsafe": "10.0.0.1"}): it is unwrapped here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .node import InventoryError
from .variables import Inventory, Variable, Variables, refuse_misspelt

TOOL = "ansible-inventory"
PATIENCE = 180.0
"""Seconds. A plugin that asks a cloud about thousands of hosts takes a minute."""

MOST_WORDS = 120
"""Of what Ansible says about an inventory that it cannot read."""


def tool() -> str | None:
    """The program, on the path or beside this Python; None where Ansible is not installed."""
    beside = Path(sys.executable).parent / TOOL
    return shutil.which(TOOL) or (str(beside) if beside.is_file() else None)


def read_by_ansible(program: str, path: Path | None) -> Inventory:
    """What Ansible reads in a file, directory, script or plugin's configuration; None for what ansible.cfg names.

    Raises InventoryError with Ansible's own words where it cannot.
    """
    name = f"--ansible-inventory={path}" if path else "Ansible's own inventory"
    found = _listed(program, path, name)
    base = Path.cwd() if path is None else path.absolute() if path.is_dir() else path.absolute().parent
    hostvars = found.get("_meta", {}).get("hostvars", {})
    groups = {group: body for group, body in found.items() if group != "_meta" and isinstance(body, dict)}
    members = {group: _members(groups, group) for group in groups}
    listed = dict.fromkeys([*(host for hosts in members.values() for host in hosts), *hostvars])
    hosts = {host: _variables(host, hostvars.get(host, {}), f"{path or TOOL}", base) for host in listed}
    return Inventory(hosts, {**members, "all": tuple(listed)})


def _listed(program: str, path: Path | None, name: str) -> dict[str, Any]:
    # Without the setting an inventory that cannot be read is a warning, and empty.
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true"}
    try:
        done = subprocess.run(
            [program, "--list", *(["-i", str(path)] if path else [])],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise InventoryError(f"{name}: {TOOL} did not end within {PATIENCE:g} seconds") from error
    except OSError as error:
        raise InventoryError(f"{name}: {program} does not start: {error.strerror}") from error
    if done.returncode != 0:
        words = done.stderr.split()
        said = " ".join(words[:MOST_WORDS]) + (" ..." if len(words) > MOST_WORDS else "")
        raise InventoryError(f"{name}: {TOOL} says: {said or f'nothing, and ends with status {done.returncode}'}")
    try:
        found = json.loads(done.stdout)
    except ValueError as error:
        raise InventoryError(f"{name}: what {TOOL} --list prints is not JSON") from error
    if not isinstance(found, dict):
        raise InventoryError(f"{name}: what {TOOL} --list prints is not an inventory")
    return found


def _members(groups: Mapping[str, dict[str, Any]], name: str) -> tuple[str, ...]:
    body = groups.get(name, {})
    below = (host for child in body.get("children", ()) for host in _members(groups, child))
    return tuple(dict.fromkeys([*body.get("hosts", ()), *below]))


def _variables(host: str, given: Mapping[str, Any], where: str, base: Path) -> Variables:
    for name in given:
        refuse_misspelt(name, f"{where}, host {host}")
    return {name: Variable(unwrapped(value), where, base) for name, value in given.items()}


def unwrapped(value: object) -> object:
    """The value without Ansible's marks of what it does not trust; what it has encrypted stays a mapping."""
    if isinstance(value, dict):
        if set(value) == {"__ansible_unsafe"}:
            return unwrapped(value["__ansible_unsafe"])
        return {key: unwrapped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unwrapped(item) for item in value]
    return value
