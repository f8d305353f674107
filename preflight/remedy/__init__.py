"""Exact commands for one node: what mends a finding where the facts prove it safe, else what would prove it.

Every command is complete: paths from the node's own installation, addresses from the survey, everything quoted. One for
the node is typed on the node; one for the controller on the machine that runs the suite.
"""

from .asking import ask, restart
from .aws import agree, lead_to_s3, let_through, open_pairs
from .bucket import reach_bucket, set_clock
from .cluster import delete_leftovers, install_plugin, make_alike, take_snapshot
from .filters import let_out_to_s3, pass_filters
from .joining import lead_back
from .keys import discovery_keys, forget_loaded_keys, remove_static_keys
from .keystores import complete_pair, match_clients, mend_file
from .metadata import give_role
from .network import look_at, open_ports, own_route, reach_remote, shorten_packets, shorten_to_members, upstream_route
from .policies import give_actions, let_ask, let_in, let_resolve
from .process import join, reach_host, start_elasticsearch
from .refusal import prove_role
from .region import drop_removed_settings, set_region
from .restart import come_back
from .role import allow_role, one_role
from .rotation import match_keys, mend_keys
from .sources import remove_idle_keys, remove_outside_keys
from .tls import renew as renew_certificate

__all__ = [
    "agree",
    "allow_role",
    "ask",
    "come_back",
    "complete_pair",
    "delete_leftovers",
    "discovery_keys",
    "drop_removed_settings",
    "forget_loaded_keys",
    "give_actions",
    "give_role",
    "install_plugin",
    "join",
    "lead_back",
    "lead_to_s3",
    "let_ask",
    "let_in",
    "let_out_to_s3",
    "let_resolve",
    "let_through",
    "look_at",
    "make_alike",
    "match_clients",
    "match_keys",
    "mend_file",
    "mend_keys",
    "one_role",
    "open_pairs",
    "open_ports",
    "own_route",
    "pass_filters",
    "prove_role",
    "reach_bucket",
    "reach_host",
    "reach_remote",
    "remove_idle_keys",
    "remove_outside_keys",
    "remove_static_keys",
    "renew_certificate",
    "restart",
    "set_clock",
    "set_region",
    "shorten_packets",
    "shorten_to_members",
    "start_elasticsearch",
    "take_snapshot",
    "upstream_route",
]
