"""The hosts' own packet filters on the real lab: the rule that stops a pair is named and mended as printed, and strict
firewalls that let their peers through are not blamed for what is around the hosts."""

import pytest
from rulesets import FOLDER
from suite_run import ON_THE_LAB, Ran, run_lab

from lab import ec2, elasticsearch, host, names, network

pytestmark = ON_THE_LAB

NAMED = {
    "port-refused": ("victim", "rejects it: table inet fault, chain input: `ip saddr { "),
    "port-dropped": ("victim", "drops it: table inet fault, chain input: `ip saddr "),
    "one-peer-blocked": ("victim", "drops it: table inet fault, chain output: `ip daddr "),
    "port-closed-http-only": ("victim", "drops it: table inet fault, chain input: `ip saddr { "),
    "port-dropped-one-way": ("victim", "drops it: table inet fault, chain output: `ip daddr { "),
}
"""Fault -> what its cause says of the victim's own firewall."""


@pytest.fixture
def victim(lab):
    master = elasticsearch.master(lab.nodes)
    yield next(node for node in lab.nodes if node != master)
    run_lab("heal")


@pytest.mark.parametrize("fault", NAMED)
def test_the_rule_is_named_and_what_is_printed_lets_the_peers_through(lab, victim, tmp_path, fault):
    run_lab("break", fault, victim.name)
    ran = Ran(tmp_path, "tests/test_ports.py")
    (cause,) = ran.diagnosis.causes
    words = f"{victim.name}'s own firewall {NAMED[fault][1]}"
    assert any(line.startswith(words) for line in cause.evidence), ran.text
    assert (cause.confidence, cause.remedy.caution) == ("certain", None)
    for command in cause.remedy.commands:
        node = next(node for node in lab.nodes if node.name == command.where)
        host.execute(node, ["sh", "-c", command.text])
    again = Ran(tmp_path, "tests/test_ports.py")
    assert (again.status, again.diagnosis.causes) == (0, ()), again.text


def test_a_rule_that_keeps_a_node_from_s3_is_the_cause_and_not_its_routes(victim, tmp_path):
    run_lab("break", "s3-dropped-by-host", victim.name)
    ran = Ran(tmp_path)
    (cause,) = ran.diagnosis.causes
    assert (cause.id, cause.nodes) == ("own-firewall", (victim.name,)), ran.text
    assert any("table inet fault_s3, chain output: `ip daddr 198.18.1.0/24" in line for line in cause.evidence)


@pytest.fixture
def strict(lab):
    """firewalld's rules, an allowlist beside fail2ban's sets, a container engine's chains: a node each."""
    rulesets = dict(zip(lab.nodes, ("firewalld.nft", "fail2ban.nft", "docker.nft"), strict=True))
    for node, name in rulesets.items():
        network.nft(node.namespace, (FOLDER / name).read_text())
    yield
    for node in rulesets:
        network.nft(node.namespace, "flush ruleset")


def test_strict_firewalls_are_green_and_not_blamed_for_a_security_group(lab, strict, victim, tmp_path):
    healthy = Ran(tmp_path / "healthy")
    assert {o.outcome for o in healthy.outcomes} <= {"pass", "not applicable"}, healthy.text
    assert (healthy.status, healthy.diagnosis.causes) == (0, ()), healthy.text
    assert {node.filters for node in healthy.survey.nodes} == {None}
    run_lab("break", "sg-missing-peer", victim.name)
    environ = {"AWS_CONFIG_FILE": str(names.AWS_STATE / "config")}
    for options in ((), (f"--aws-profile={ec2.PROFILE}",)):
        ran = Ran(tmp_path / str(len(options)), *options, environ=environ)
        (cause,) = ran.diagnosis.causes
        assert cause.id == "port-blocked" and cause.confidence == ("certain" if options else "likely"), ran.text
        assert not any("own firewall" in line for line in cause.evidence), ran.text
