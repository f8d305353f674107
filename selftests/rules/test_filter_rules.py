"""Which rule of a host's packet filter stops a connection: named where it decides, "may" where not, silent on doubt."""

from __future__ import annotations

import pytest
from judged import judged, not_passed
from msgspec.structs import replace
from rulesets import chain, printed, read
from surveys import healthy, port_fails, route_upstream, s3_dropped_by_host, with_node

from preflight import attempts
from preflight.diagnosis import diagnose
from preflight.facts import Filters, Unknown
from preflight.rules import filters

HEALTHY = ("firewalld.nft", "fail2ban.nft", "docker.iptables", "docker.nft", "ufw.iptables", "ufw.nft")
"""What hosts really have; all let the members to each other's ports."""


def cut(source="es-1", target="es-2", outcome="timeout", port="transport", **firewalls):
    """A survey where one dial failed. firewalls: es_2=Filters; the others' are empty"""
    survey = port_fails(healthy(), source, target, outcome, port)
    for name in ("es-1", "es-2", "es-3"):
        own = firewalls.get(name.replace("-", "_"), Filters(tables=(), unread=()))
        survey = with_node(survey, name, filters=own)
    return survey


def said(survey, source="es-1"):
    """(kind, certain, rule) of everything that explains the source's first failing dial."""
    node = survey.node(source)
    dial = attempts.stopped(node)[0]
    found = filters.of_dial(survey, node, dial)
    return [(b.node.name, b.kind, b.certain, b.rule.text if b.rule else None) for b in found]


DROPS = [
    "drop",
    "tcp dport 9300 drop",
    "tcp dport { 22, 9200-9400 } counter packets 3 bytes 180 drop",
    "ip saddr 198.18.0.11 drop",
    "ip saddr { 198.18.0.11, 198.18.0.13 } tcp dport 9300 tcp flags syn / syn,ack drop",
    "tcp flags & (syn | ack) == syn tcp dport 9300 drop",
    "tcp flags & (fin | syn | rst | ack) == syn tcp dport 9300 drop",
    "ip saddr 198.18.0.10-198.18.0.12 meta l4proto tcp drop",
    "ip saddr != 198.18.0.12 tcp dport != 22 drop",
    'iifname "eth0" tcp dport 9300 ct state new log prefix "a, { b " level warn drop comment "tcp dport 22 accept"',
    "ct state { established, new } tcp dport 9300 drop",
    "fib daddr type local tcp dport 9300 drop",
    "tcp dport vmap { 22 : accept, 9300 : drop }",
    "meta nfproto ipv4 ip protocol tcp th dport 9300 drop",
    'iifname { "ens*", "eth*" } tcp dport 9300 drop',
]

PASSES = [
    "tcp dport 9200 drop",
    "ip saddr 198.18.0.12 tcp dport 9300 drop",
    "ip saddr != 198.18.0.0/24 tcp dport 9300 drop",
    "ip daddr 198.18.0.11 drop",
    "ip6 saddr ::/0 drop",
    "ip6 saddr != fd00::/8 drop",
    "meta nfproto ipv6 drop",
    "udp dport 9300 drop",
    "meta l4proto { icmp, udp } drop",
    'iifname "lo" drop',
    'iifname "eth1" drop',
    'iifname != "eth0" tcp dport 9300 drop',
    "ct state invalid drop",
    "ct state established,related drop",
    "tcp flags & (fin | syn) == fin | syn drop",
    "tcp flags ack / syn,ack tcp dport 9300 drop",
    "fib daddr type { broadcast, multicast } drop",
    "tcp dport vmap { 9200 : drop }",
    "tcp dport 9300 counter",
    "meta mark set 0x1",
]


@pytest.mark.parametrize("rule", DROPS)
def test_a_rule_that_decides_is_named(rule):
    survey = cut(es_2=chain(rule))
    assert said(survey) == [("es-2", "drop", True, rule)]
    assert said(cut(es_2=chain("tcp dport 9300 accept", rule))) == []


@pytest.mark.parametrize("rule", PASSES)
def test_a_rule_that_says_nothing_of_the_connection_is_not(rule):
    survey = cut(es_2=chain(rule))
    assert said(survey) == []
    assert filters.lets_through(survey, survey.node("es-1"), attempts.stopped(survey.node("es-1"))[0])


@pytest.mark.parametrize(
    "rule",
    [
        "tcp dport 9300 limit rate over 5/second drop",
        "ip saddr 198.18.0.11 meta skuid 997 drop",
        "tcp dport 9300 ct mark 0x7 drop",
        "ip saddr @unread tcp dport 9300 drop",
    ],
)
def test_a_condition_nobody_knows_makes_it_may(rule):
    """Where it asks for this very address or port."""
    assert said(cut(es_2=chain(rule))) == [("es-2", "drop", False, rule)]
    assert "es-2's own firewall may drop it" in " ".join(diagnosed(cut(es_2=chain(rule))).evidence)


@pytest.mark.parametrize("rule", ["meta mark & 0x8000 == 0x8000 drop", "ip saddr . tcp dport { 10.0.0.1 . 22 } drop"])
def test_a_rule_that_may_concern_anybody_is_not_named_and_not_cleared(rule):
    survey = cut(es_2=chain(rule))
    assert said(survey) == []
    assert not filters.lets_through(survey, survey.node("es-1"), attempts.stopped(survey.node("es-1"))[0])


def test_what_may_let_it_through_first_makes_it_may():
    rules = ("ip saddr 198.18.0.0/24 limit rate 5/second accept", "tcp dport 9300 drop")
    assert said(cut(es_2=chain(*rules))) == [("es-2", "drop", False, rules[1])]


def test_a_policy_is_named_where_no_rule_lets_it_through():
    rules = ("ct state established,related accept", "tcp dport 22 accept")
    assert said(cut(es_2=chain(*rules, policy="drop"))) == [("es-2", "drop", True, None)]
    (line,) = [x for x in diagnosed(cut(es_2=chain(*rules, policy="drop"))).evidence if "firewall" in x]
    assert line == (
        "es-2's own firewall drops it: table inet fault, chain input: policy drop, and no rule lets it through"
    )


def test_before_a_policy_stands_an_accept_at_the_chains_beginning():
    (command,) = diagnosed(cut(es_2=chain("tcp dport 22 accept", policy="drop"))).remedy.commands
    assert command.text == "sudo nft insert rule inet fault input ip saddr 198.18.0.11 tcp dport 9300 accept"
    own = read("*filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n")
    (command,) = diagnosed(cut(es_2=own)).remedy.commands
    assert command.text == "sudo iptables -I INPUT 1 -s 198.18.0.11 -p tcp --dport 9300 -j ACCEPT"


def test_jumps_gotos_and_returns():
    more = (
        "\tchain es { # handle 20\n\t\tip saddr 198.18.0.11 return # handle 21\n\t\tdrop # handle 22\n\t}\n"
        "\tchain strict { # handle 30\n\t\ttcp dport 9300 reject with tcp reset # handle 31\n\t}\n"
    )
    assert said(cut(es_2=chain("tcp dport 9300 jump es", more=more))) == []
    assert said(cut(es_2=chain("tcp dport 9300 jump es", policy="drop", more=more))) == [("es-2", "drop", True, None)]
    survey = cut("es-3", es_2=chain("tcp dport 9300 jump es", more=more))
    assert said(survey, "es-3") == [("es-2", "drop", True, "drop")]
    survey = cut(outcome="refused", es_2=chain("goto strict", "accept", more=more))
    assert said(survey) == [("es-2", "reject", True, "tcp dport 9300 reject with tcp reset")]
    # A chain that was gone to does not come back: the policy counts, and not the rule after it.
    assert said(cut(es_2=chain("goto es", "drop", more=more))) == []


@pytest.mark.parametrize(
    ("rule", "outcome"),
    [
        ("reject with tcp reset", "refused"),
        ("reject", "refused"),
        ("reject with icmpx admin-prohibited", "no-route"),
        ("reject with icmp type host-prohibited", "no-route"),
        ("drop", "timeout"),
    ],
)
def test_a_rule_explains_the_end_that_it_gives_a_connection(rule, outcome):
    for end in ("refused", "no-route", "timeout"):
        found = said(cut(outcome=end, es_2=chain(rule)))
        assert bool(found) is (end == outcome), end


def test_the_way_out_is_the_sources():
    rule = "ip daddr 198.18.0.12 tcp dport 9300 drop"
    survey = cut(es_1=chain(rule, hook="output"))
    assert said(survey) == [("es-1", "drop", True, rule)]
    assert said(cut(es_2=chain(rule, hook="output"))) == []
    assert said(cut(es_1=chain('oifname "eth1" drop', hook="output"))) == []
    assert said(cut(es_1=chain('oifname "eth0" drop', hook="output"))) == [
        ("es-1", "drop", True, 'oifname "eth0" drop')
    ]


@pytest.mark.parametrize("name", HEALTHY)
def test_real_firewalls_of_healthy_hosts_are_not_blamed(name):
    survey = cut(es_1=read(printed(name)), es_2=read(printed(name)))
    assert said(survey) == []
    silent = "docker" in name  # a mark that nobody knows
    node = survey.node("es-1")
    assert filters.lets_through(survey, node, attempts.stopped(node)[0]) is not silent


@pytest.mark.parametrize(
    ("name", "before", "after", "outcome", "rule"),
    [
        ("firewalld.nft", "{ 9200, 9300 }", "9200", "no-route", "reject with icmpx admin-prohibited"),
        ("fail2ban.nft", "9200, 9300", "9200", "timeout", None),
        ("ufw.nft", "{ 9200, 9300 }", "9200", "timeout", None),
        ("ufw.iptables", "9200,9300", "9200", "timeout", None),
        ("fail2ban.nft", "192.0.2.7", "198.18.0.11", "timeout", None),
        (
            "docker.iptables",
            "-A INPUT -j",
            "-A INPUT -s 198.18.0.0/28 -j DROP\n-A INPUT -j",
            "timeout",
            "-A INPUT -s …",
        ),
    ],
)
def test_real_firewalls_that_lack_the_port_are(name, before, after, outcome, rule):
    text = printed(name).replace(before, after)
    if after == "198.18.0.11":  # an address that is banned at sshd's port alone
        assert said(cut(es_2=read(text))) == []
        text = text.replace(
            "tcp dport 22 ip saddr @addr-set-sshd reject", "tcp dport 9300 ip saddr @addr-set-sshd drop"
        )
        rule = text[text.index("tcp dport 9300") :].partition(" # ")[0]
    found = said(cut(outcome=outcome, es_2=read(text)))
    assert [(n, c) for n, _, c, _ in found] == [("es-2", True)]
    assert found[0][3] == rule or ((rule or "").endswith("…") and found[0][3].startswith(rule[:-1]))


def test_iptables_rules_as_they_are_saved():
    rules = {
        "-A INPUT -s 198.18.0.11/32 -p tcp -m tcp --dport 9300 --tcp-flags FIN,SYN,RST,ACK SYN -j DROP": True,
        '-A INPUT -p tcp -m tcp --dport 9300 -m comment --comment "-s 10.0.0.1 -j ACCEPT" -j DROP': True,
        "-A INPUT ! -s 198.18.0.12/32 -p tcp -m tcp --dport 9200:9300 -j DROP": True,
        "-A INPUT -p tcp -m multiport --dports 22,9300 -j DROP": True,
        "-A INPUT -i eth+ -m conntrack --ctstate NEW -j DROP": True,
        "-A INPUT -m addrtype --dst-type LOCAL -p tcp -j DROP": True,
        "-A INPUT -s 198.18.0.11/32 -m set --match-set blocked src -j DROP": False,
        "-A INPUT -p tcp -m tcp --dport 9300 -m hashlimit --hashlimit-above 5/sec --hashlimit-name x -j DROP": False,
        "-A INPUT -p tcp -m tcp --sport 9300 -j DROP": None,
        "-A INPUT -i lo -j DROP": None,
        "-A INPUT -m conntrack --ctstate INVALID -j DROP": None,
        "-A INPUT -p tcp -m tcp --dport 9300 -j LOG --log-prefix DROP": None,
        "-A INPUT -m addrtype --dst-type BROADCAST -j DROP": None,
    }
    for rule, certain in rules.items():
        own = read(f"*filter\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n")
        assert said(cut(es_2=own)) == ([] if certain is None else [("es-2", "drop", certain, rule)]), rule


def test_behind_the_hosts_nat_nobody_knows_the_packets_address():
    """Elasticsearch in a network namespace of its own: its own rules count, the host's forward chain may."""
    own = chain("tcp dport 9300 drop", hook="input").tables
    hosts = chain("ip saddr 198.18.0.11 ip daddr 172.17.0.2 drop", hook="forward", translated=True).tables
    inside = Filters(tables=(*hosts, *(replace(table, namespace="process") for table in own)), unread=())
    survey = cut(es_2=inside)
    survey = with_node(survey, "es-2", process=replace(survey.node("es-2").process, own_network_namespace=True))
    assert said(survey) == [("es-2", "drop", True, "tcp dport 9300 drop")]
    assert "network namespace" in diagnosed(survey).evidence[-1]
    only = with_node(survey, "es-2", filters=Filters(tables=tuple(hosts), unread=()))
    assert said(only) == [("es-2", "drop", False, "ip saddr 198.18.0.11 ip daddr 172.17.0.2 drop")]
    assert diagnosed(survey).remedy.commands[0].text.startswith("sudo nsenter -t 812 -n nft insert rule inet fault ")


def diagnosed(survey):
    """The one cause."""
    (cause,) = diagnose(survey, judged(survey)).causes
    return cause


def test_the_cause_names_the_rule_and_prints_what_lets_the_peer_through():
    rule = "ip saddr 198.18.0.11 tcp dport 9300 drop"
    survey = cut(es_2=chain("ct state established accept", rule))
    cause = diagnosed(survey)
    assert cause.title == (
        "es-1 cannot open transport 198.18.0.12:9300 of es-2: timeout, by es-2's own firewall "
        "(http opens; the other way opens)"
    )
    assert cause.confidence == "certain"
    assert f"es-2's own firewall drops it: table inet fault, chain input: `{rule}`" in cause.evidence
    (command,) = cause.remedy.commands
    assert (command.where, command.text) == (
        "es-2",
        "sudo nft insert rule inet fault input handle 6 ip saddr 198.18.0.11 tcp dport 9300 accept",
    )
    assert cause.remedy.caution is None
    assert any("grep -rIns 'inet fault' /etc" in line for line in cause.remedy.advice)
    assert not_passed(judged(survey)) == {("PORT-1", "es-1"): "fail"}
    (check,) = [o for o in judged(survey) if o.check == "PORT-1" and o.node == "es-1"]
    assert check.remedy == cause.remedy


def test_several_peers_and_ports_behind_one_rule():
    survey = cut(es_2=chain("tcp dport 9200-9300 reject with tcp reset"), outcome="refused")
    for source, port in (("es-3", "transport"), ("es-1", "http"), ("es-3", "http")):
        survey = port_fails(survey, source, "es-2", "refused", port)
    cause = diagnosed(survey)
    assert [c.text for c in cause.remedy.commands] == [
        "sudo nft insert rule inet fault input handle 5 "
        f"ip saddr '{{ 198.18.0.11, 198.18.0.13 }}' tcp dport {port} accept"
        for port in (9300, 9200)
    ]
    assert sum("own firewall rejects it" in line for line in cause.evidence) == 1


def test_what_iptables_made_is_changed_with_iptables():
    own = read(printed("docker.iptables").replace("-A INPUT -j", "-A INPUT -p tcp --dport 9300 -j DROP\n-A INPUT -j"))
    cause = diagnosed(cut(es_2=own))
    assert cause.remedy.commands[0].text == "sudo iptables -I INPUT 1 -s 198.18.0.11 -p tcp --dport 9300 -j ACCEPT"
    assert "to undo: sudo iptables -D INPUT -s 198.18.0.11 -p tcp --dport 9300 -j ACCEPT" in cause.remedy.advice


@pytest.mark.parametrize(
    ("name", "before", "outcome", "keeper", "words"),
    [
        ("firewalld.nft", "{ 9200, 9300 }", "no-route", "firewalld", '--add-rich-rule=\'rule family="ipv4" source'),
        (
            "ufw.iptables",
            "9200,9300 -j ACCEPT",
            "timeout",
            "ufw",
            "sudo ufw prepend allow from 198.18.0.11 to any port",
        ),
    ],
)
def test_rules_that_a_program_keeps_are_its_to_change(name, before, outcome, keeper, words):
    text = printed(name).replace(before, before.replace(" -j ACCEPT", " -j DROP") if "ufw" in name else "9200")
    mend = diagnosed(cut(outcome=outcome, es_2=read(text))).remedy
    assert mend.caution and mend.caution.startswith(f"{keeper} keeps these rules")
    assert words in " ".join(mend.advice)
    assert all(" -S" in c.text or " list " in c.text for c in mend.commands)


def test_hosts_that_let_it_through_are_cleared():
    cause = diagnosed(cut())
    assert "nftables and iptables of es-1 and es-2 let it through" in cause.evidence[-1]
    assert cause.confidence == "likely"
    assert not any("nft list" in command.text for command in cause.remedy.commands)


def test_a_firewall_that_could_not_be_read_is_said_and_reddens_nothing():
    unread = Unknown(reason="the packet filter's rules are shown to root alone", remedy="use --sudo")
    survey = cut(es_2=unread)
    cause = diagnosed(survey)
    assert cause.evidence[-1] == (
        "es-2's own firewall was not read: the packet filter's rules are shown to root alone (use --sudo)"
    )
    assert any("nft list ruleset" in command.text for command in cause.remedy.commands)
    assert not_passed(judged(survey)) == {("PORT-1", "es-1"): "fail"}


@pytest.mark.parametrize("name", HEALTHY)
def test_a_strict_firewall_alone_is_no_finding(name):
    survey = healthy()
    for node in ("es-1", "es-2", "es-3"):
        survey = with_node(survey, node, filters=read(printed(name)))
    assert not_passed(judged(survey)) == {} and diagnose(survey, judged(survey)).causes == ()


def test_a_rule_of_its_own_that_keeps_a_node_from_s3_is_the_cause():
    survey = s3_dropped_by_host(healthy(), "es-2")
    cause = diagnosed(survey)
    assert (cause.id, cause.nodes, cause.confidence) == ("own-firewall", ("es-2",), "certain")
    assert "es-2's own firewall drops it: table inet fault, chain output: `ip daddr " in " ".join(cause.evidence)
    assert set(cause.explains) == {("PATH-1", "es-2"), ("REPO-1", "es-2")}
    cleared = diagnosed(with_node(survey, "es-2", filters=Filters(tables=(), unread=())))
    assert cleared.id == "route-upstream" and "nftables and iptables of es-2 let it out" in cleared.evidence


def test_only_the_ends_of_what_failed_are_asked():
    survey = port_fails(healthy(), "es-1", "es-2", "timeout")
    assert attempts.questions(survey.nodes) == {
        "es-1": (("198.18.0.11", "198.18.0.12"), (9300,)),
        "es-2": (("198.18.0.11", "198.18.0.12"), (9300,)),
    }
    assert attempts.questions(healthy().nodes) == {}
    assert set(attempts.questions(route_upstream(healthy(), "es-3").nodes)) == {"es-3"}
    closed = port_fails(healthy(), "es-1", "es-2", "closed")
    assert attempts.questions(closed.nodes) == {}
