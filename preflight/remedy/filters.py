"""The rule of a host's own packet filter that stops members of one cluster: what lets them through, and them alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

from ..facts import Process
from ..judgement import Command, Remedy
from ..rules.filters import Blocker
from .asking import AFTERWARDS

KEEPERS: tuple[tuple[str, str, str], ...] = (
    (
        "firewalld",
        r"firewalld|(IN|FWDI|FWDO)_\w+|\w+_ZONES\w*",
        "sudo firewall-cmd --get-active-zones names the zone; sudo firewall-cmd --permanent --zone=ZONE --add-rich-rule"
        '=\'rule family="{family}" source address="{peer}" port port="{port}" protocol="tcp" accept\' and '
        "sudo firewall-cmd --reload let {peer} in",
    ),
    ("ufw", r"ufw6?-\S+", "sudo ufw prepend allow {ends} port {port} proto tcp puts that before what denies it"),
    ("fail2ban", r"f2b\S*|fail2ban", "sudo fail2ban-client unban {peer}, and ignoreip in jail.local for the next time"),
    ("Docker", r"DOCKER\S*", "a rule of yours that is to stay goes into DOCKER-USER"),
    ("Kubernetes", r"KUBE-\S+|cali-\S+|cilium\S*|CILIUM_\S+", "its network policies are where it is let through"),
)
"""(who keeps rules of its own, and writes them anew; names of its tables, chains and sets; what is asked of it)."""


def pass_filters(blockers: Sequence[Blocker]) -> Remedy:
    """An accept for the very members and ports before the rule that stops them: nothing else comes through by it.

    Rules that a program keeps are its own to change.
    """
    commands, advice, undo, kept = [], [], [], []
    for same in _alike(blockers):
        one = same[0]
        keeper, words = _keeper(same)
        if keeper:
            commands += _shown(same)
            kept.append(keeper)
            advice.append(f"{one.node.name}: {words}")
            continue
        for port in dict.fromkeys(blocker.attempt.port for blocker in same):
            peers = _peers([blocker for blocker in same if blocker.attempt.port == port])
            if peers:
                text, back = _accept(one, peers, port)
                commands.append(Command(where=one.node.name, text=text))
                undo.append(f"to undo: {back}")
        advice.append(f"{one.node.name}: what loads the rule, to be mended too, is found by {_search(one)}")
    if undo:
        advice.insert(0, "only these members and ports are let through; it lasts until the rules are loaded again")
    caution = f"{kept[0]} keeps these rules, and a change beside it is lost: these show them" if kept else None
    if not commands:
        commands, caution = _shown(blockers), "what is to be let through is not proven: these show the rules"
    return Remedy(
        caution=caution,
        commands=tuple(dict.fromkeys(commands)),
        advice=(*dict.fromkeys((*advice, *undo)), AFTERWARDS),
    )


def let_out_to_s3(blockers: Sequence[Blocker]) -> Remedy:
    """What shows the rules; which addresses S3 will have tomorrow is known to nobody, so that no accept is the fix."""
    keeper, _ = _keeper(blockers)
    port = blockers[0].attempt.port
    advice = f"S3's addresses change: what is to be let out is TCP to port {port}, to AWS's ranges or to everywhere"
    return Remedy(
        caution="what this rule is for is not known: these show it",
        commands=tuple(dict.fromkeys(_shown(blockers))),
        advice=(
            advice,
            f"{keeper} keeps these rules" if keeper else f"what loads the rule is found by {_search(blockers[0])}",
            AFTERWARDS,
        ),
    )


def _alike(blockers: Sequence[Blocker]) -> list[list[Blocker]]:
    """Blockers by the rule or policy that they have in common."""
    found: dict[tuple[object, ...], list[Blocker]] = {}
    for one in blockers:
        rule = (one.rule.number, one.rule.text) if one.rule else None
        key = (one.node.name, one.table.namespace, one.table.family, one.table.name, one.chain.name, rule, one.way)
        found.setdefault(key, []).append(one)
    return list(found.values())


def _peers(same: Sequence[Blocker]) -> list[str]:
    """The other ends, in the addresses that the rule sees."""
    found = [one.attempt.target if one.way == "out" else one.attempt.source for one in same]
    return sorted({address for address in found if address})


def _accept(one: Blocker, peers: list[str], port: int) -> tuple[str, str]:
    """The command, and what undoes it."""
    before = f"sudo {_inside(one)}"
    table, chain, rule = one.table, one.chain, one.rule
    if table.command != "nft":
        which = "" if table.name == "filter" else f" -t {table.name}"
        spec = f"{'-d' if one.way == 'out' else '-s'} {','.join(peers)} -p tcp --dport {port} -j ACCEPT"
        place = f"-I {chain.name} {rule.number if rule else 1}"
        command = f"{before}{table.command}{which}"
        return f"{command} {place} {spec}", f"{command} -D {chain.name} {spec}"
    where = f"{table.family} {shlex.quote(table.name)} {shlex.quote(chain.name)}"
    address = f"{'ip6' if ':' in peers[0] else 'ip'} {'daddr' if one.way == 'out' else 'saddr'}"
    some = peers[0] if len(peers) == 1 else shlex.quote(f"{{ {', '.join(peers)} }}")
    # Before a policy nothing but the chain's first place is sure to be come by.
    place = f"insert rule {where} handle {rule.handle}" if rule else f"insert rule {where}"
    show = f"{before}nft -a list chain {where} shows the new rule's handle N"
    return (
        f"{before}nft {place} {address} {some} tcp dport {port} accept",
        f"{show}, {before}nft delete rule {where} handle N",
    )


def _shown(blockers: Sequence[Blocker]) -> list[Command]:
    found = []
    for one in blockers:
        table = one.table
        if table.command == "nft":
            text = f"nft -a list table {table.family} {shlex.quote(table.name)}"
        else:
            text = f"{table.command} -t {table.name} -S"
        found.append(Command(where=one.node.name, text=f"sudo {_inside(one)}{text}"))
    return found


def _inside(one: Blocker) -> str:
    process = one.node.process
    if one.table.namespace == "process" and isinstance(process, Process):
        return f"nsenter -t {process.pid} -n "
    return ""


def _keeper(same: Sequence[Blocker]) -> tuple[str | None, str]:
    """Who keeps the rules and what is asked of it; None where nobody is known to."""
    one = same[0]
    names = [one.table.name, one.chain.name, *re.findall(r"@(\S+)", one.rule.text if one.rule else "")]
    peer = (_peers(same) or ["ADDRESS"])[0]
    for name, pattern, words in KEEPERS:
        if any(re.fullmatch(pattern, found) for found in names):
            ends = f"out to {peer}" if one.way == "out" else f"from {peer} to any"
            family = "ipv6" if ":" in peer else "ipv4"
            return name, words.format(peer=peer, port=one.attempt.port, family=family, ends=ends)
    return None, ""


def _search(one: Blocker) -> str:
    if one.table.command == "nft":
        return f"sudo grep -rIns {shlex.quote(f'{one.table.family} {one.table.name}')} /etc"
    return "sudo grep -rIls iptables /etc"
