"""Which reader an inventory gets: our own for YAML with hosts in it, Ansible's for what only Ansible reads.

Our own needs no Ansible and names lines. --ansible-inventory and ansible:// ask Ansible where it is installed: it reads
group_vars and host_vars too.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from . import ansible
from .node import InventoryError
from .variables import Inventory
from .yaml_file import NotYaml, read_inventory

INSTALL = "install Ansible where this suite runs (pip install ansible-core)"


class Sources:
    """The inventories of one run, each read once.

    say: gets a line where an inventory holds more than is read of it
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        self._read: dict[tuple[Path | None, bool], Inventory] = {}

    def get(self, path: Path | None, *, by_ansible: bool) -> Inventory:
        """The inventory in a file or directory; path None: what Ansible's own configuration names.

        by_ansible: Ansible reads it where it is installed. Raises InventoryError.
        """
        if (path, by_ansible) not in self._read:
            self._read[path, by_ansible] = self._inventory(path, by_ansible)
        return self._read[path, by_ansible]

    def _inventory(self, path: Path | None, by_ansible: bool) -> Inventory:
        what = _only_ansibles(path) if path else "ansible:// without --ansible-inventory means Ansible's own"
        program = ansible.tool()
        if program and (what or by_ansible):
            return ansible.read_by_ansible(program, path)
        if path is None or what:
            raise InventoryError(f"{what}, which only {ansible.TOOL} reads: {INSTALL}, or give hosts in a YAML file")
        try:
            found = read_inventory(path)
        except NotYaml:
            if program:
                return ansible.read_by_ansible(program, path)
            raise
        beside = [name for name in ("group_vars", "host_vars") if (path.parent / name).is_dir()]
        if beside:
            how = "" if program else f"{INSTALL} and "
            self._say(f"{' and '.join(beside)} beside {path} not read: to have it, {how}give it as --ansible-inventory")
        return found


def _only_ansibles(path: Path) -> str | None:
    """What kind of inventory it is, in words, where our own reader cannot read it; None where it may."""
    if path.is_dir():
        return f"{path} is a directory"
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
    if text.startswith("#!") and os.access(path, os.X_OK):
        return f"{path} is a script"
    if re.search(r"(?m)^plugin\s*:", text):
        return f"{path} configures an inventory plugin"
    return None
