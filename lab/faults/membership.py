"""Nodes that run and are not where they belong: out of the cluster, in one of their own, behind another's address."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from .. import elasticsearch, host, mid_run, names, network
from ..names import Node
from ..processes import run
from ..state import Lab
from . import keystore
from .fault import YML, Expected, Fault, Run, peer_of

DATA = "/var/lib/elasticsearch"
KEPT_DATA = "/root/elasticsearch-data.healthy"
KEPT_YML = "/root/elasticsearch.yml.healthy"
"""Where a fault keeps a node's own as it was: nothing of the suite looks there."""

NOBODY = "198.18.0.199"
TABLE = "fault_address"


def _configure(victim: Node, **settings: object) -> None:
    """Write settings over those of elasticsearch.yml; what is read at the next start. `__` stands for a dot."""
    host.execute(victim, ["sh", "-c", f"[ -e {KEPT_YML} ] || cp -p {YML} {KEPT_YML}"])
    written = yaml.safe_load(host.execute(victim, ["cat", YML]))
    written |= {name.replace("__", "."): value for name, value in settings.items()}
    host.execute(victim, ["sh", "-c", f"cat >{YML}"], stdin=yaml.safe_dump(written, sort_keys=False))


def _give_configuration_back(victim: Node) -> None:
    # The very file, its time too: a change since the start is a finding of its own.
    back = f"if [ -e {KEPT_YML} ]; then cp -p {KEPT_YML} {YML} && rm {KEPT_YML}; fi"
    host.execute(victim, ["sh", "-c", f"{back}; rm -f {YML}.before-preflight-*"])


def _seek_nobody(lab: Lab, victim: Node) -> None:
    _configure(victim, discovery__seed_hosts=[NOBODY])


def _seek_the_others(lab: Lab, victim: Node) -> None:
    _give_configuration_back(victim)


def _found_a_cluster(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "stop")
    empty = f"mkdir -m 2750 {DATA} && chown elasticsearch:elasticsearch {DATA}"
    host.execute(victim, ["sh", "-c", f"[ -e {KEPT_DATA} ] || {{ mv {DATA} {KEPT_DATA} && {empty}; }}"])
    _configure(victim, discovery__seed_hosts=[], cluster__initial_master_nodes=[victim.name])


def _return(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "stop")
    _give_configuration_back(victim)
    back = f"if [ -e {KEPT_DATA} ]; then rm -rf {DATA} {DATA}.before-preflight-* && mv {KEPT_DATA} {DATA}; fi"
    host.execute(victim, ["sh", "-c", back])


def _lead_elsewhere(lab: Lab, victim: Node) -> None:
    # New connections alone: those of the cluster stay, and keep it together.
    # And not the lab's own, which asks this node for more than the suite does.
    others = ", ".join(node.address for node in lab.nodes if node != victim)
    new = f"ip saddr {{ {others} }} tcp dport {names.HTTP_PORT} tcp flags & (syn | ack) == syn"
    peer = peer_of(lab, victim).address
    _forward(victim, 1)
    network.nft(
        victim.namespace,
        f"""
        table ip {TABLE} {{
            chain prerouting {{
                type nat hook prerouting priority -100; policy accept;
                {new} dnat to {peer}
            }}
            chain postrouting {{
                type nat hook postrouting priority 100; policy accept;
                ip daddr {peer} ct status dnat masquerade
            }}
        }}
        """,
    )


def _lead_home(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, TABLE, "ip")
    _forward(victim, 0)


def _forward(victim: Node, value: int) -> None:
    run(["ip", "netns", "exec", victim.namespace, "sysctl", "-qw", f"net.ipv4.ip_forward={value}"])


def _change_what_a_restart_reads(lab: Lab, victim: Node) -> None:
    keystore.put_pair_on_disk(lab, victim)
    host.execute(victim, ["sh", "-c", f"[ -e {KEPT_YML} ] || cp -p {YML} {KEPT_YML}"])
    host.execute(victim, ["sh", "-c", f"echo '# read for the first time by the next start' >>{YML}"])
    mid_run.arm(victim)


def _change_it_back(lab: Lab, victim: Node) -> None:
    mid_run.disarm(victim)
    _give_configuration_back(victim)
    keystore.restore_and_reload(lab, victim)


def _with_patience(lab: Lab, victim: Node) -> Run:
    # The probe waits on the node for as long as the restart takes, which is not what is judged.
    return Run(options=("--command-timeout=180",))


_ALONE = {
    (check, "victim"): "not applicable"
    for check in (
        *("PORT-1", "PORT-2", "ROUTE-1", "ROUTE-2"),
        *("KEY-4", "SRC-1", "SRC-2", "REGION-1", "REGION-2", "ROLE-1", "ROLE-2", "ROLE-3"),
        *("PATH-1", "PATH-2", "REPO-1"),
    )
}
"""What a cluster of one without a repository has nothing for."""

FAULTS: Mapping[str, Fault] = {
    "node-outside-cluster": Fault(
        "Elasticsearch runs on the node and looks for its cluster where nobody is: it waits for a master",
        _seek_nobody,
        _seek_the_others,
        Expected(
            "node-outside-cluster",
            {
                ("CLUSTER-1", "victim"): "fail",
                ("CLUSTER-3", "victim"): "could not check",
                ("REPO-1", "victim"): "could not check",
                ("SNAP-1", "victim"): "could not check",
            },
        ),
        needs_peers=True,
        restart_to_break=True,
        restart_to_heal=True,
        leaves=True,
    ),
    "cluster-split": Fault(
        "the node was started with an empty data path and itself as initial master: a cluster of its own, same name",
        _found_a_cluster,
        _return,
        Expected("cluster-split", {("CLUSTER-1", "victim"): "fail", **_ALONE}),
        needs_peers=True,
        restart_to_break=True,
        restart_to_heal=True,
        leaves=True,
    ),
    "wrong-peer-behind-the-address": Fault(
        "the address at which the node publishes HTTP leads to another node (the next one), by address translation",
        _lead_elsewhere,
        _lead_home,
        Expected("wrong-peer", {("PORT-2", "others"): "fail"}),
        needs_peers=True,
    ),
    "node-restarts-during-the-run": Fault(
        "Elasticsearch restarts after the suite has looked at its process, and loads a key pair that IAM does not know",
        _change_what_a_restart_reads,
        _change_it_back,
        # What the old process was must not be held against the new one: then keys would wait for the next start.
        Expected("stale-static-keys", {("KEY-1", "victim"): "fail", ("REPO-1", "victim"): "fail"}),
        once=True,
        run=_with_patience,
    ),
}
