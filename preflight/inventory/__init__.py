"""Which nodes a run is about: --hosts as testinfra reads it, and inventories in Ansible's YAML layout.

hostspec: one word of --hosts; yaml_file: an inventory file; variables: what a host's variables mean; expansion: from
words to nodes.
"""

from .expansion import expand
from .hostspec import split_address
from .node import Defaults, InventoryError, Node
from .variables import node_from_hostspec

__all__ = ["Defaults", "InventoryError", "Node", "expand", "node_from_hostspec", "split_address"]
