"""The packet filter's rules: what is read, what is left out, and that reading leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import msgspec
import pytest

from preflight import facts as records
from preflight.probe.program import part
from preflight.probe.sections import filters

sys.path.insert(0, str(Path(__file__).parents[1] / "rules"))

from rulesets import FOLDER, chain, printed, read

HOSTS = ["198.18.0.11", "198.18.0.12"]


def kept(text, addresses=HOSTS, ports=(9200, 9300)):
    return filters.Concern(addresses, list(ports)).kept(text)


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr 198.18.0.0/24 tcp dport 9300 drop",
        "ip saddr { 10.0.0.0/8, 198.18.0.12 } drop",
        "ip saddr 198.18.0.10-198.18.0.20 drop",
        "ip saddr != 198.18.0.0/16 drop",
        "ip saddr @blocked tcp dport @ports drop",
        "ip saddr & 255.255.0.0 == 198.18.0.0 drop",
        "ip saddr . tcp dport { 10.0.0.1 . 22 } drop",
        "tcp dport { 22, 9000-9400 } drop",
        "tcp dport vmap { 22 : accept, 9300 : drop }",
        "tcp dport wap-wsp drop",
        "tcp dport != 22 drop",
        "meta l4proto { tcp, udp } th dport 9300 drop",
        'ip saddr 198.18.0.12 comment "udp dport 53, ip saddr 10.0.0.1" drop',
        "-A INPUT ! -s 10.0.0.0/8 -p tcp -m tcp --dport 9200:9300 -j DROP",
        "-A INPUT ! -p udp -j DROP",
        "-A INPUT -p tcp -m multiport --dports 22,9300 -j DROP",
        "-A INPUT -p tcp -m set --match-set blocked src -j DROP",
        "drop",
    ],
)
def test_what_may_concern_the_connections_is_kept(rule):
    assert kept(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "ip saddr 10.0.0.0/8 tcp dport 9300 drop",
        "ip daddr { 10.0.0.1, 10.0.0.3-10.0.0.9 } drop",
        "ip6 saddr fd00::/8 tcp dport 9300 drop",
        "tcp dport { 22, 80-90 } drop",
        "udp dport 9300 drop",
        "icmpv6 type echo-request accept",
        "meta l4proto icmp accept",
        "ip protocol udp drop",
        "-A INPUT -s 192.0.2.7/32 -j REJECT --reject-with icmp-port-unreachable",
        "-A INPUT -p tcp -m multiport --dports 22,2222 -j f2b-sshd",
        "-A INPUT -p udp -m udp --dport 9300 -j DROP",
    ],
)
def test_what_surely_does_not_is_left_out(rule):
    assert not kept(rule)


def test_chains_sets_and_places_of_what_is_left():
    more = (
        "\tset blocked { # handle 2\n\t\ttype ipv4_addr\n\t\tflags interval\n"
        "\t\telements = { 10.0.0.0/8, 198.18.0.12,\n\t\t\t     203.0.113.1-203.0.113.9 }\n\t}\n"
        '\tset names { # handle 3\n\t\ttype ifname\n\t\telements = { "eth0" }\n\t}\n'
        "\tchain apart { # handle 4\n\t\tdrop # handle 9\n\t}\n"
        "\tchain es { # handle 5\n\t\tip saddr @blocked drop # handle 10\n\t}\n"
    )
    (table,) = chain("udp dport 53 accept", "iifname @names tcp dport 9300 jump es", more=more).tables
    assert [(c.name, c.hook, c.policy) for c in table.chains] == [("input", "input", "accept"), ("es", None, None)]
    assert [(r.text, r.number, r.handle) for c in table.chains for r in c.rules] == [
        ("iifname @names tcp dport 9300 jump es", 2, 6),
        ("ip saddr @blocked drop", 1, 10),
    ]
    assert table.sets == {"blocked": ("198.18.0.12",)}


def test_iptables_and_ip6tables_as_they_are_saved():
    (table,) = read(printed("ufw.iptables")).tables
    assert (table.family, table.name, table.command) == ("ip", "filter", "iptables")
    chains = {c.name: c for c in table.chains}
    assert (chains["INPUT"].hook, chains["INPUT"].policy) == ("input", "drop")
    assert [(r.number, r.handle) for r in chains["ufw-user-input"].rules] == [(2, None)]
    assert chains["FORWARD"].policy == "drop" and "OUTPUT" not in chains


def test_nat_and_tables_that_are_switched_off_are_left_out():
    text = "table ip nat { # handle 1\n\tchain o { # handle 1\n\t\ttype nat hook output priority 0; policy accept;\n"
    text += "\t\ttcp dport 9300 drop # handle 2\n\t}\n}\n"
    assert read(text).tables == ()
    off = "table inet off { # handle 2\n\tflags dormant\n\n\tchain i { # handle 1\n"
    off += "\t\ttype filter hook input priority 0; policy drop;\n\t}\n}\n"
    assert read(off).tables == () and len(read(off.replace("\tflags dormant\n", "")).tables) == 1


def test_ten_thousand_rules_become_those_that_matter_and_too_many_that_may_are_not_handed_on():
    many = [f"ip saddr 10.{at // 250}.{at % 250}.1 tcp dport 9300 drop" for at in range(10_000)]
    (table,) = chain(*many, "ip saddr 198.18.0.12 tcp dport 9300 drop").tables
    assert [r.number for c in table.chains for r in c.rules] == [10_001]
    with pytest.raises(filters.Unseen, match="more than 300 rules"):
        chain(*["tcp dport 9300 limit rate 1/second drop"] * 400)


def test_one_who_is_not_root_is_told_how_to_become_it(monkeypatch):
    monkeypatch.setattr(filters.os, "geteuid", lambda: 1000)
    with pytest.raises(filters.Unseen, match="root alone") as unseen:
        filters.filters({"addresses": [], "ports": []}, None)
    assert unseen.value.remedy == "use --sudo"


def modules(tmp_path, monkeypatch, loaded, builtin):
    monkeypatch.setattr(filters, "PROC", str(tmp_path))
    if loaded is not None:
        (tmp_path / "modules").write_text(loaded)
    texts = {"modules.builtin": builtin}
    read_text = filters.read_text

    def text(path):
        name = Path(path).name
        if name not in texts:
            return read_text(path)
        if texts[name] is None:
            raise FileNotFoundError(path)
        return texts[name]

    monkeypatch.setattr(filters, "read_text", text)


@pytest.mark.parametrize(
    ("loaded", "builtin", "there"),
    [
        (None, None, True),
        ("nf_tables 356352 7 nft_ct, Live 0x0\n", None, True),
        ("xfs 1 1 - Live 0x0\n", "kernel/net/netfilter/nf_tables.ko\n", True),
        ("nft_compat 1 1 nf_tables, Live 0x0\n", "kernel/fs/ext4/ext4.ko\n", False),
    ],
)
def test_nftables_is_asked_only_where_the_kernel_has_it(tmp_path, monkeypatch, loaded, builtin, there):
    """nft's first question would load nf_tables; a kernel without /proc/modules loads nothing."""
    modules(tmp_path, monkeypatch, loaded, builtin)
    assert filters.has_nftables() is there


def test_a_kernel_that_does_not_say_is_not_asked(tmp_path, monkeypatch):
    modules(tmp_path, monkeypatch, "xfs 1 1 - Live 0x0\n", None)
    with pytest.raises(filters.Unseen, match="nf_tables built in is not told"):
        filters.has_nftables()


IN_A_NAMESPACE = pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or shutil.which("nft") is None,
    reason="a network namespace of its own with rules in it needs root and nft",
)


def within(tmp_path, before):
    """A shell that runs the probe in a network namespace of its own, and says afterwards what is there."""
    left = (
        f"{{ nft list tables; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; }} >{tmp_path}/left 2>/dev/null"
    )
    return ("unshare", "--net", "/bin/sh", "-c", f'{before} && /bin/sh -c "$0"; {left}; touch {tmp_path}/done')


def ask(session, addresses=HOSTS):
    question = {
        "ask": "filters",
        "program": part("filters"),
        "addresses": list(addresses),
        "ports": [9200, 9300],
        "deadline": 20,
    }
    return msgspec.convert(session.ask(question, 20), records.Filters)


@IN_A_NAMESPACE
@pytest.mark.parametrize("name", ["firewalld.nft", "fail2ban.nft"])
def test_real_rules_are_read_on_every_python(start, python, tmp_path, name):
    session = start(python=python, shell=within(tmp_path, f"nft -f {FOLDER / name}"))
    assert ask(session) == read(printed(name), HOSTS)


@IN_A_NAMESPACE
def test_where_there_are_none_none_are_made(start, tmp_path):
    session = start(shell=within(tmp_path, "true"))
    assert ask(session) == records.Filters(tables=(), unread=())
    session.close()
    for _ in range(100):
        if (tmp_path / "done").exists():
            break
        time.sleep(0.05)
    assert (tmp_path / "left").read_text() == ""
