"""What can be broken on a lab node: how, how it is mended, and exactly what the suite must then say.

Expected outcomes are written by who a node is to the fault: `victim`, `peer` (the one peer that port-dropped cuts off)
and `others` (every node but the victim; but victim and peer in port-dropped). Everything not named must be as on a
healthy cluster. `*` is every check not named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from . import cloud, elasticsearch, host, names, network
from .errors import LabError
from .imds import set_role
from .names import Node
from .progress import say
from .state import Lab

Outcomes = Mapping[tuple[str, str], str]
"""(check id or "*", "victim" | "peer" | "others") to the outcome it must have."""

Act = Callable[[Lab, Node], None]

YML = "/etc/elasticsearch/elasticsearch.yml"
DEFAULT_FILE = "/etc/default/elasticsearch"
KEY_OPTIONS = "/etc/elasticsearch/jvm.options.d/aws.options"
STALE_SETTINGS = ("s3.client.default.access_key", "s3.client.default.secret_key")
SESSION_TOKEN = "s3.client.default.session_token"  # noqa: S105 - a setting's name
ASIDE = f"{elasticsearch.KEYSTORE_FILE}.aside"

ONLY_WITH_COMPLETE = "CLUSTER-2"
"""The check that is not applicable on any node of any cluster unless --complete is given."""

_STOPS_AT_MASTER = {("REPO-1", "others"): "could not check"}
"""Where the elected master fails, `_verify` tests nobody else and says nothing about them."""


_HALF = {("KEY-1", "victim"): "fail", ("KEY-3", "victim"): "fail", ("RESTART-1", "victim"): "fail"}
_CLOSED = {("KEY-5", "victim"): "fail", ("RESTART-1", "victim"): "fail"}


class Fault(NamedTuple):
    """One thing that can be broken.

    what: one line for `lab faults`; cause: id of the cause that the diagnosis must name first, and alone but for
    besides: what comes with it
    outcomes: for a data node; on_master: what changes when the victim is the elected master
    needs_elasticsearch, needs_peers: what the lab must have; restarts: breaking restarts Elasticsearch, after
    which a victim that was the elected master is made that again
    leaves: the victim is no member of the cluster while it is broken
    since: the first version on which it is what it says; before, outcomes_before (mostly none) holds, without master's
    """

    what: str
    cause: str
    break_: Act
    heal: Act
    outcomes: Outcomes
    on_master: Outcomes = {}  # noqa: RUF012 - a NamedTuple's default, never written to
    besides: tuple[str, ...] = ()
    needs_elasticsearch: bool = True
    needs_peers: bool = False
    restarts: bool = False
    leaves: bool = False
    since: tuple[int, int] = (0, 0)
    outcomes_before: Outcomes = {}  # noqa: RUF012 - as on_master


def peer_of(lab: Lab, victim: Node) -> Node:
    """The peer that port-dropped cuts off from the victim: the next node, the first after the last."""
    return lab.nodes[victim.number % len(lab.nodes)]


def expected(
    fault: str, checks: Iterable[str], lab: Lab, victim: Node, *, is_master: bool
) -> dict[tuple[str, str], str]:
    """{(check, node name): outcome} of everything that must differ from the healthy cluster, nothing else."""
    row = FAULTS[fault]
    rules = {**row.outcomes, **(row.on_master if is_master else {})}
    if lab.version is not None and tuple(map(int, lab.version.split(".")[:2])) < row.since:
        rules = {**row.outcomes_before}
    has_peer = any(who == "peer" for _, who in rules)
    found: dict[tuple[str, str], str] = {}
    for node in lab.nodes:
        who = "victim" if node == victim else "peer" if has_peer and node == peer_of(lab, victim) else "others"
        for check in checks:
            if check == ONLY_WITH_COMPLETE:
                continue
            outcome = rules.get((check, who), rules.get(("*", who)))
            if outcome is not None:
                found[check, node.name] = outcome
    return found


def expected_members(lab: Lab) -> tuple[Node, ...]:
    """The nodes that form the cluster with everything broken that is broken."""
    return _members_without(lab, lab.broken)


def _members_without(lab: Lab, broken: Iterable[tuple[str, str]]) -> tuple[Node, ...]:
    gone = {node for fault, node in broken if FAULTS[fault].leaves}
    return tuple(node for node in lab.nodes if node.name not in gone)


def break_(lab: Lab, name: str, node_name: str) -> None:
    """Break a node and wait until the cluster is in the state that the fault leads to."""
    fault = FAULTS.get(name)
    if fault is None:
        raise LabError(f"no fault {name!r}: choose from {', '.join(FAULTS)}")
    victim = lab.node(node_name)
    if (name, victim.name) in lab.broken:
        raise LabError(f"{name} is already broken on {victim.name}: `python -m lab heal` mends it")
    if fault.needs_elasticsearch:
        elasticsearch.require(lab)
    if fault.needs_peers and len(lab.nodes) < 2:
        raise LabError(f"{name} needs a peer: this lab has one node, `up --nodes 3` has three")
    if victim not in expected_members(lab):
        raise LabError(f"{victim.name} is already out of the cluster: `python -m lab heal` brings it back")
    was_master = lab.version is not None and fault.restarts and elasticsearch.master(expected_members(lab)) == victim
    say(f"{name} on {victim.name}: {fault.what}")
    # Remembered first: an interrupted break is mended like a finished one.
    lab.broken.append((name, victim.name))
    lab.save()
    fault.break_(lab, victim)
    if lab.version is not None:
        members = expected_members(lab)
        say(f"waiting for a settled cluster of {len(members)}")
        elasticsearch.wait_for_members(members)
        if was_master and len(members) > 1:
            elasticsearch.make_master(victim, members)
    say("broken")


def heal(lab: Lab, only: str | None = None) -> None:
    """Mend what is broken and wait for the cluster; once nothing is broken, for its repository too.

    only: the one fault to mend, on every node it was broken on
    """
    if only is not None and only not in FAULTS:
        raise LabError(f"no fault {only!r}: choose from {', '.join(FAULTS)}")
    mending = [entry for entry in lab.broken if only in (None, entry[0])]
    if not mending:
        say("nothing is broken" if only is None else f"{only} is not broken")
        return
    # Hosts and processes first: the others' mending may need them running.
    for name, node_name in sorted(mending, key=lambda entry: not FAULTS[entry[0]].leaves):
        say(f"mending {name} on {node_name}")
        FAULTS[name].heal(lab, lab.node(node_name))
    left = [entry for entry in lab.broken if entry not in mending]
    if lab.version is not None:
        elasticsearch.wait_for_members(_members_without(lab, left))
        if not left:
            elasticsearch.wait_for_repository(lab.nodes)
    lab.broken[:] = left
    lab.save()
    say("still broken: " + ", ".join(f"{name} on {node}" for name, node in left) if left else "healthy")


def _restart(lab: Lab, victim: Node) -> None:
    if lab.version is not None:
        elasticsearch.systemctl(victim, "restart")


def _add(victim: Node, *settings: str) -> None:
    """Write settings into the file; the running process does not notice."""
    pair = cloud.stale_key()
    values = {
        STALE_SETTINGS[0]: pair["access_key"],
        STALE_SETTINGS[1]: pair["secret_key"],
        SESSION_TOKEN: "a token that belongs to no key",
    }
    lines = "".join(f"{values[setting]}\n" for setting in settings)
    host.execute(victim, [elasticsearch.KEYSTORE, "add", "--stdin", "--force", *settings], stdin=lines)


def _remove(victim: Node) -> None:
    """Take every static setting out of the file, and what a printed fix copied aside."""
    present = host.execute(victim, [elasticsearch.KEYSTORE, "list"]).split()
    left = [setting for setting in (*STALE_SETTINGS, SESSION_TOKEN) if setting in present]
    if left:
        # A person who followed the printed fix has removed them already.
        host.execute(victim, [elasticsearch.KEYSTORE, "remove", *left])
    host.execute(victim, ["sh", "-c", f"rm -f {elasticsearch.KEYSTORE_FILE}.before-preflight-*"])


def _put_stale_key(lab: Lab, victim: Node) -> None:
    _add(victim, *STALE_SETTINGS)
    _restart(lab, victim)


def _remove_stale_key(lab: Lab, victim: Node) -> None:
    _remove(victim)
    _restart(lab, victim)


def _load_and_remove(lab: Lab, victim: Node) -> None:
    _put_stale_key(lab, victim)
    _remove(victim)


def _put_pair_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, *STALE_SETTINGS)


def _put_half_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, STALE_SETTINGS[0])


def _put_token_on_disk(lab: Lab, victim: Node) -> None:
    _add(victim, SESSION_TOKEN)


def _clear_and_reload(lab: Lab, victim: Node) -> None:
    _remove(victim)
    if elasticsearch.is_running(victim):
        elasticsearch.api(victim, "POST", "_nodes/_local/reload_secure_settings", timeout=60)


def _close_keystore(lab: Lab, victim: Node) -> None:
    file = elasticsearch.KEYSTORE_FILE
    host.execute(victim, ["sh", "-c", f"chown root:root {file} && chmod 600 {file}"])


def _take_keystore(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["mv", elasticsearch.KEYSTORE_FILE, ASIDE])


def _restore_keystore(lab: Lab, victim: Node) -> None:
    # What was taken aside holds more than an empty one that a printed fix may have made since.
    file = elasticsearch.KEYSTORE_FILE
    back = f"if [ -e {ASIDE} ]; then mv -f {ASIDE} {file}; fi"
    host.execute(victim, ["sh", "-c", f"{back}; chown root:elasticsearch {file} && chmod 660 {file}"])


def _append(victim: Node, path: str, text: str) -> None:
    """Add lines to a file of Elasticsearch's, its own group's as all of them are; a secret only over standard input."""
    command = f"umask 007; cat >>{path} && chgrp elasticsearch {path}"
    host.execute(victim, ["sh", "-c", command], stdin=text)


def _drop_lines(victim: Node, path: str, pattern: str) -> None:
    """Take lines out of a file, commented out by the printed fix or not, with the copy that the fix has left."""
    command = f"sed -i -E '/^#*({pattern})/d' {path}; rm -f {path}.before-preflight-*"
    host.execute(victim, ["sh", "-c", command])


def _write_key_variables(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"AWS_ACCESS_KEY_ID={pair['access_key']}\nAWS_SECRET_ACCESS_KEY={pair['secret_key']}\n"
    _append(victim, DEFAULT_FILE, values)


def _remove_key_variables(lab: Lab, victim: Node) -> None:
    _drop_lines(victim, DEFAULT_FILE, "AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY)=")


def _load_key_variables(lab: Lab, victim: Node) -> None:
    _write_key_variables(lab, victim)
    _restart(lab, victim)


def _unload_key_variables(lab: Lab, victim: Node) -> None:
    _remove_key_variables(lab, victim)
    _restart(lab, victim)


def _load_key_options(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    values = f"-Daws.accessKeyId={pair['access_key']}\n-Daws.secretAccessKey={pair['secret_key']}\n"
    _append(victim, KEY_OPTIONS, values)
    _restart(lab, victim)


def _unload_key_options(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sh", "-c", f"rm -f {KEY_OPTIONS} {KEY_OPTIONS}.before-preflight-*"])
    _restart(lab, victim)


def _write_bare_keys(lab: Lab, victim: Node) -> None:
    pair = cloud.stale_key()
    # Not restarted: the lab's plugin does not register the two, as the real module does.
    host.execute(victim, ["cp", "-p", YML, f"{YML}.aside"])
    _append(victim, YML, f"access_key: {pair['access_key']}\nsecret_key: {pair['secret_key']}\n")


def _remove_bare_keys(lab: Lab, victim: Node) -> None:
    # The very file, its time too: a change since the start is a finding of its own.
    host.execute(
        victim, ["sh", "-c", f"rm -f {YML}.before-preflight-*; if [ -e {YML}.aside ]; then mv {YML}.aside {YML}; fi"]
    )


def _remove_region(lab: Lab, victim: Node) -> None:
    host.execute(victim, ["sed", "--in-place", r"/^s3\.client\.default\.region:/d", YML])
    _restart(lab, victim)


def _restore_region(lab: Lab, victim: Node) -> None:
    line = f"s3.client.default.region: {names.REGION}"
    host.execute(victim, ["sh", "-c", f"grep -q '^s3.client.default.region:' {YML} || echo '{line}' >>{YML}"])
    _restart(lab, victim)


def _take_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, None)
    # The SDK goes on using credentials it holds until they are about to expire.
    _restart(lab, victim)


def _give_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE)


def _filter_transport(victim: Node, peers: str, verdict: str) -> None:
    # New connections alone: those between the nodes stay and keep the cluster, as behind a changed security group.
    network.nft(
        victim.namespace,
        f"""
        table inet fault {{
            chain input {{
                type filter hook input priority 0; policy accept;
                ip saddr {peers} tcp dport {names.TRANSPORT_PORT} tcp flags & (syn | ack) == syn {verdict}
            }}
        }}
        """,
    )


def _refuse_transport(lab: Lab, victim: Node) -> None:
    peers = ", ".join(node.address for node in lab.nodes if node != victim)
    _filter_transport(victim, f"{{ {peers} }}", "reject with tcp reset")


def _drop_transport(lab: Lab, victim: Node) -> None:
    _filter_transport(victim, peer_of(lab, victim).address, "drop")


def _open_transport(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, "fault")


def _lose_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, names.DEAD_GATEWAY)
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_route(lab: Lab, victim: Node) -> None:
    network.default_route(victim, names.GATEWAY)


def _upstream_table(victim: Node) -> str:
    return f"fault_es_{victim.number}"


def _lose_upstream(lab: Lab, victim: Node) -> None:
    network.nft(
        names.ROUTER_NAMESPACE,
        f"""
        table ip {_upstream_table(victim)} {{
            chain forward {{
                type filter hook forward priority 0; policy accept;
                ip saddr {victim.address} ip daddr {names.AWS_SUBNET} drop
            }}
        }}
        """,
    )
    network.end_connections(victim, names.AWS_ADDRESS)


def _restore_upstream(lab: Lab, victim: Node) -> None:
    network.unfilter(names.ROUTER_NAMESPACE, _upstream_table(victim), family="ip")


def _stop_elasticsearch(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "stop")


def _start_elasticsearch(lab: Lab, victim: Node) -> None:
    elasticsearch.systemctl(victim, "start")


def _power_off(lab: Lab, victim: Node) -> None:
    host.power_off(victim)


def _power_on(lab: Lab, victim: Node) -> None:
    if not host.is_on(victim):
        host.power_on(victim)
    if lab.version is not None:
        elasticsearch.systemctl(victim, "start")


FAULTS: Mapping[str, Fault] = {
    "stale-keystore": Fault(
        "a deleted access key in the node's keystore, loaded",
        "stale-static-keys",
        _put_stale_key,
        _remove_stale_key,
        {("KEY-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        restarts=True,
    ),
    "stale-in-memory": Fault(
        "a deleted access key, loaded, then removed from the keystore without a reload",
        "stale-keys-loaded",
        _load_and_remove,
        _clear_and_reload,
        {("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        restarts=True,
    ),
    "stale-on-disk": Fault(
        "a deleted access key in the node's keystore, not loaded yet",
        "static-keys-waiting",
        _put_pair_on_disk,
        _clear_and_reload,
        {("KEY-1", "victim"): "fail", ("RESTART-1", "victim"): "fail"},
    ),
    "keystore-half": Fault(
        "an access key without its secret in the node's keystore, not loaded",
        "keystore-half",
        _put_half_on_disk,
        _clear_and_reload,
        _HALF,
    ),
    "lone-session-token": Fault(
        "a session token without its key in the node's keystore, not loaded",
        "keystore-half",
        _put_token_on_disk,
        _clear_and_reload,
        _HALF,
    ),
    "keystore-unreadable": Fault(
        "the keystore is root's alone; the process that runs has read it",
        "keystore-file",
        _close_keystore,
        _restore_keystore,
        _CLOSED,
    ),
    "keystore-missing": Fault(
        "the keystore is moved aside; the process that runs has read it",
        "keystore-file",
        _take_keystore,
        _restore_keystore,
        _CLOSED,
    ),
    "env-keys": Fault(
        "a deleted access key in the environment of the node's Elasticsearch, from /etc/default/elasticsearch",
        "static-keys-in-environment",
        _load_key_variables,
        _unload_key_variables,
        {("SRC-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        restarts=True,
        since=(8, 19),
        outcomes_before={("SRC-2", "victim"): "warning"},
    ),
    "jvm-option-keys": Fault(
        "a deleted access key in -D options of the node's Elasticsearch, from jvm.options.d",
        "static-keys-in-environment",
        _load_key_options,
        _unload_key_options,
        {("SRC-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        restarts=True,
        since=(8, 19),
        outcomes_before={("SRC-2", "victim"): "warning"},
    ),
    "default-file-keys": Fault(
        "a deleted access key in /etc/default/elasticsearch, not loaded yet",
        "static-keys-on-disk",
        _write_key_variables,
        _remove_key_variables,
        {("SRC-1", "victim"): "fail"},
        since=(8, 19),
        outcomes_before={("SRC-2", "victim"): "warning"},
    ),
    "yml-bare-keys": Fault(
        "access_key and secret_key at the top of the node's elasticsearch.yml, where nothing reads them",
        "static-keys-ignored",
        _write_bare_keys,
        _remove_bare_keys,
        {("SRC-2", "victim"): "warning", ("RESTART-1", "victim"): "warning"},
        # Written, and not started with since: worth a look by itself, whatever was written.
        besides=("changed-since-start",),
    ),
    "region-missing": Fault(
        "no region in the node's elasticsearch.yml: only its metadata service gives one",
        "region-missing",
        _remove_region,
        _restore_region,
        {("REGION-2", "victim"): "warning"},
        restarts=True,
        since=(8, 19),
    ),
    "no-instance-role": Fault(
        "no instance profile on the node",
        "no-instance-role",
        _take_role,
        _give_role,
        {("ROLE-1", "victim"): "fail", ("ROLE-2", "victim"): "not applicable", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        needs_elasticsearch=False,
        restarts=True,
    ),
    "port-refused": Fault(
        "new connections to the node's transport port are refused",
        "port-blocked",
        _refuse_transport,
        _open_transport,
        {("PORT-1", "others"): "fail"},
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "port-dropped": Fault(
        "new connections of one peer (the next node) to the node's transport port are dropped",
        "port-blocked",
        _drop_transport,
        _open_transport,
        {("PORT-1", "peer"): "fail"},
        needs_elasticsearch=False,
        needs_peers=True,
    ),
    "route-drift": Fault(
        "the node's own default route leads to a dead gateway: S3 is cut off",
        "route-own",
        _lose_route,
        _restore_route,
        {("ROUTE-1", "victim"): "fail", ("PATH-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        needs_elasticsearch=False,
    ),
    "route-drift-upstream": Fault(
        "the router drops the node's traffic to S3; its own table is as before",
        "route-upstream",
        _lose_upstream,
        _restore_upstream,
        {("PATH-1", "victim"): "fail", ("REPO-1", "victim"): "fail"},
        on_master=_STOPS_AT_MASTER,
        needs_elasticsearch=False,
    ),
    "elasticsearch-down": Fault(
        "Elasticsearch is stopped on the node",
        "elasticsearch-down",
        _stop_elasticsearch,
        _start_elasticsearch,
        {("CLUSTER-1", "victim"): "fail", ("REPO-1", "victim"): "could not check"},
        leaves=True,
    ),
    "host-down": Fault(
        "the node's power is off",
        "host-unreachable",
        _power_off,
        _power_on,
        {("NODE-1", "victim"): "could not check", ("*", "victim"): "blocked"},
        needs_elasticsearch=False,
        leaves=True,
    ),
}
