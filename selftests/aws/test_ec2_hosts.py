"""--hosts=ec2://...: which instances it is, by which address, under which name, and what is said where it is none."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import surveys

from preflight.inventory import Defaults, InventoryError, expand
from preflight.inventory.ec2 import label

ROOT = Path(__file__).parents[2]
REGION = surveys.REGION
PROFILE = "[profile ops]\naws_access_key_id = testing\naws_secret_access_key = testing\n"
LOGS = f"ec2://{REGION}?tag:Cluster=logs"


def tag(cloud, node, **tags):
    cloud.ec2.create_tags(
        Resources=[cloud.instances[node]], Tags=[{"Key": key, "Value": value} for key, value in tags.items()]
    )


@pytest.fixture
def tagged(cloud):
    """es-1 and es-2 hold data, es-3 is a dedicated master; all are of the cluster `logs`."""
    for node, role in (("es-1", "data"), ("es-2", "data"), ("es-3", "master")):
        tag(cloud, node, Name=node, Cluster="logs", Role=role)
    return cloud


def nodes(hosts, **defaults):
    return expand(hosts, None, Defaults(**defaults))


def names(hosts, **defaults):
    return [node.name for node in nodes(hosts, **defaults)]


def refusal(hosts, **defaults):
    with pytest.raises(InventoryError) as caught:
        expand(hosts, None, Defaults(**defaults))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Which instances


def test_the_nodes_are_the_running_instances_that_match(tagged):
    tagged.ec2.stop_instances(InstanceIds=[tagged.instances["es-2"]])
    es1, es3 = nodes(LOGS)
    assert (es1.name, es1.host, es1.instance, es1.found_by) == ("es-1", "10.0.1.15", tagged.instances["es-1"], LOGS)
    assert (es3.name, es3.host) == ("es-3", "10.0.3.15")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("&tag:Role=data", ["es-1", "es-2"]),
        ("&tag:Role=data|master", ["es-1", "es-2", "es-3"]),
        ("&tag:Role=d*", ["es-1", "es-2"]),
        ("&tag:Role=*", ["es-1", "es-2", "es-3"]),
        ("&tag:Name=es-*&tag:Name=*-3", ["es-3"]),
        ("&tag:Name=*-3&tag:Name=es-*", ["es-3"]),
        ("&tag:Name=es-1|es-3&tag:Role=data", ["es-1"]),
    ],
)
def test_keys_are_all_meant_and_values_any(tagged, more, found):
    assert names(LOGS + more) == found


def test_other_clusters_and_other_vpcs_are_left_out(tagged):
    tag(tagged, "es-2", Cluster="metrics")
    assert names(LOGS) == ["es-1", "es-3"]
    assert names(f"ec2://{REGION}?vpc-id={tagged.ids['vpc']}") == ["es-1", "es-2", "es-3"]
    assert "no instance in" in refusal(f"{LOGS}&vpc-id=vpc-0123456789abcdef0")


def test_a_comma_an_ampersand_and_a_bar_in_a_value_are_written_encoded(tagged):
    tag(tagged, "es-1", Owner="ops, search & logs | all")
    assert names(f"ec2://{REGION}?tag:Owner=ops%2C search %26 logs %7C all") == ["es-1"]


def test_the_region_and_the_profile_may_be_the_sdks_own(tagged, monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text(f"{PROFILE}region = {REGION}\n[profile bare]\nregion = {REGION}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert "no region is configured" in refusal("ec2://?tag:Cluster=logs")
    assert names("ec2://?tag:Cluster=logs&profile=ops") == ["es-1", "es-2", "es-3"]
    assert names("ec2://?tag:Cluster=logs", aws_profile="ops") == ["es-1", "es-2", "es-3"]
    assert "profile bare has no AWS credentials" in refusal("ec2://?tag:Cluster=logs&profile=bare")


def test_a_role_is_assumed(tagged):
    role = "arn:aws:iam::123456789012:role/preflight"
    assert names(f"{LOGS}&role_arn={role}") == ["es-1", "es-2", "es-3"]


def test_instances_of_several_specs_and_plain_hosts_are_each_one_node(tagged):
    assert names(f"{LOGS}&tag:Role=data,{LOGS},other") == ["es-1", "es-2", "es-3", "other"]


# Names and ways


def test_a_name_that_two_have_gives_way_to_the_instances_ids(tagged):
    tag(tagged, "es-2", Name="es-1")
    assert set(names(LOGS)) == {tagged.instances["es-1"], tagged.instances["es-2"], "es-3"}
    assert names(LOGS) == names(LOGS)


def test_a_name_that_two_specs_have_gives_way_too(tagged):
    tag(tagged, "es-2", Name="es-1")
    first, second = nodes(f"{LOGS}&tag:Role=data&vpc-id={tagged.ids['vpc']},{LOGS}")[:2]
    assert {first.name, second.name} == {tagged.instances["es-1"], tagged.instances["es-2"]}


def test_names_are_in_the_order_of_their_numbers(tagged):
    tag(tagged, "es-2", Name="es-10")
    assert names(LOGS) == ["es-1", "es-3", "es-10"]


@pytest.mark.parametrize(
    ("tag_value", "name"),
    [("es-1", "es-1"), ("logs / es 1", "logs-es-1"), ("$(reboot)", "reboot"), ("es[1]::x", "es-1-x"), ("***", "")],
)
def test_a_name_tag_becomes_a_name_that_no_shell_reads(tag_value, name):
    assert label(tag_value) == name


@pytest.mark.parametrize(
    ("more", "host", "user", "sudo"),
    [
        ("", "10.0.1.15", None, False),
        ("&address=private&user=ec2-user&sudo=true", "10.0.1.15", "ec2-user", True),
        ("&address=dns", "ip-10-0-1-15.ap-northeast-2.compute.internal", None, False),
        ("&via=paramiko&sudo_user=elasticsearch&sudo=true", "10.0.1.15", None, True),
    ],
)
def test_the_way_to_an_instance_is_written_in_the_spec(tagged, more, host, user, sudo):
    (node,) = nodes(f"{LOGS}&tag:Name=es-1{more}")
    assert (node.host, node.user, node.sudo) == (host, user, sudo)


@pytest.mark.parametrize(
    ("more", "profile", "sudo"), [("", None, False), ("&profile=ops&sudo=true&sudo_user=elasticsearch", "ops", True)]
)
def test_an_instance_is_reached_through_systems_manager(tagged, monkeypatch, tmp_path, more, profile, sudo):
    (tmp_path / "config").write_text(PROFILE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    (node,) = nodes(f"{LOGS}&tag:Name=es-1&via=ssm{more}")
    assert (node.name, node.carrier, node.instance) == ("es-1", "ssm", tagged.instances["es-1"])
    assert (node.host, node.region, node.profile, node.sudo) == (tagged.instances["es-1"], REGION, profile, sudo)


@pytest.mark.parametrize(
    ("more", "carrier", "used"),
    [
        ("", "paramiko", "paramiko"),
        ("", "ssh", "ssh"),
        ("&via=ssh", "paramiko", "ssh"),
        ("&via=paramiko", "ssh", "paramiko"),
    ],
)
def test_an_instance_is_reached_as_the_word_says_else_as_the_run_does(tagged, more, carrier, used):
    assert {node.carrier for node in nodes(f"{LOGS}{more}", carrier=carrier)} == {used}


def test_an_instance_can_be_named_to_an_ssh_config_by_its_id(tagged, tmp_path):
    config = tmp_path / "config"
    config.write_text("")
    (node,) = nodes(f"{LOGS}&tag:Name=es-1&address=id&ssh_config={config}&timeout=3")
    assert (node.name, node.host) == ("es-1", tagged.instances["es-1"])
    assert (node.ssh_config, node.connect_timeout) == (str(config), 3.0)


def test_an_instance_without_such_an_address_is_named(tagged):
    identity = tagged.instances["es-1"]
    assert f"{identity} has no public address: choose another" in refusal(f"{LOGS}&tag:Name=es-1&address=public")


# Refusals that ask nobody


@pytest.mark.parametrize(
    ("hosts", "said"),
    [
        (f"ec2://{REGION}", "would be every instance of the region"),
        (f"ec2://{REGION}?via=paramiko", "would be every instance of the region"),
        ("ec2://Seoul?tag:Cluster=logs", "'Seoul' is no region"),
        (f"ec2://{REGION}?Cluster=logs", "'Cluster' means nothing here: did you mean tag:Cluster="),
        (f"ec2://{REGION}?tags:Cluster=logs", "'tags:Cluster' means nothing here: did you mean tag:Cluster="),
        (f"{LOGS}&vpcid=vpc-1", "'vpcid' means nothing here: did you mean vpc-id="),
        (f"{LOGS}&adress=dns", "'adress' means nothing here: did you mean address="),
        (f"{LOGS}&region=eu-west-1", "the region stands first"),
        (f"{LOGS}&via=winrm", "via=winrm is none of paramiko, ssh, ssm"),
        (f"{LOGS}&address=ipv4", "address=ipv4 is none of private, public, dns, id"),
        (f"{LOGS}&user=a&user=b", "user is given twice"),
        (f"ec2://{REGION}?tag:Cluster=", "tag:Cluster has no value: write tag:Cluster=* for any value"),
        (f"ec2://{REGION}?tag:Cluster=a|", "tag:Cluster has no value"),
        (f"{LOGS}&user=", "user has no value"),
        (f"{LOGS}&sudo=perhaps", "write true or false"),
        (f"{LOGS}&ssh_config=/none", "there is no such file"),
        (f"{LOGS}&via=ssm&user=admin", "user means nothing with via=ssm"),
        (f"{LOGS}&via=ssm&address=public", "address means nothing with via=ssm"),
        (f"{LOGS}&via=ssm&role_arn=arn:aws:iam::1:role/x", "with via=ssm the role stands in AWS's configuration"),
    ],
)
def test_what_cannot_be_meant_is_said_before_aws_is_asked(monkeypatch, hosts, said):
    monkeypatch.setattr("preflight.inventory.ec2._instances", lambda query: pytest.fail("AWS was asked"))
    assert said in refusal(hosts)


# Refusals of AWS


def test_no_match_says_what_was_looked_for_and_where(tagged):
    assert f"no instance in {REGION} matches Name=tag:Cluster,Values=logz" in refusal(
        f"ec2://{REGION}?tag:Cluster=logz"
    )


def test_instances_that_do_not_run_are_counted(tagged):
    tagged.ec2.stop_instances(InstanceIds=list(tagged.instances.values()))
    assert f"no instance that matches in {REGION} is running (3 stopped)" in refusal(LOGS)


def test_no_credentials(tagged, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    said = refusal(LOGS)
    assert "this machine has no AWS credentials" in said and "aws sts get-caller-identity" in said
    assert "nobody" in refusal(f"{LOGS}&profile=nobody")


def test_an_action_that_is_denied_is_named(tagged, enforced):
    enforced({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    assert "these AWS credentials may not ec2:DescribeInstances" in refusal(LOGS)


def test_the_documented_policy_is_enough_to_find_the_nodes(tagged, enforced):
    enforced(json.loads((ROOT / "docs" / "aws-policy.json").read_text()))
    assert names(LOGS) == ["es-1", "es-2", "es-3"]


def test_keys_that_aws_does_not_know_are_said(tagged, enforced, monkeypatch):
    enforced(json.loads((ROOT / "docs" / "aws-policy.json").read_text()))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    assert "AWS refuses with AuthFailure" in refusal(LOGS)


def test_an_aws_that_is_not_reached_and_a_region_that_is_none(tagged, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{closed.getsockname()[1]}")
        assert "AWS was not asked: Could not connect" in refusal(LOGS)
        said = refusal("ec2://ap-nothreast-2?tag:Cluster=logs")
    assert "there may be no region ap-nothreast-2: did you mean ap-northeast-2" in said


# The program


def program(tmp_path, *args):
    return subprocess.run(
        [sys.executable, "-m", "pytest", f"--reports={tmp_path}/reports", "-p", "no:cacheprovider", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture
def nowhere(tmp_path):
    """An ssh_config under which every host is a closed port of this machine."""
    config = tmp_path / "ssh_config"
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        config.write_text(f"Host *\n  HostName 127.0.0.1\n  Port {closed.getsockname()[1]}\n")
        yield config


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_the_expansion_is_in_the_header_and_its_nodes_are_asked(tagged, tmp_path, nowhere, workers):
    run = program(tmp_path, f"--hosts={LOGS}&tag:Role=data&ssh_config={nowhere}", "tests/test_node.py", *workers)
    assert run.returncode == 10, run.stdout + run.stderr
    assert f"&ssh_config={nowhere} is 2 instances: es-1 ({tagged.instances['es-1']}, 10.0.1.15), es-2 (" in run.stdout
    lines = (tmp_path / "reports/latest/results.jsonl").read_text().splitlines()
    assert {json.loads(line)["node"] for line in lines} == {"es-1", "es-2"}


@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_no_match_ends_the_program_before_anything_else(tagged, tmp_path, workers):
    run = program(tmp_path, f"--hosts=ec2://{REGION}?tag:Cluster=logz", "tests/test_node.py", *workers)
    assert run.returncode == 4
    assert "no instance in" in run.stdout + run.stderr and "Traceback" not in run.stdout + run.stderr
    assert not (tmp_path / "reports").exists()


def test_without_ec2_the_sdk_stays_on_disk():
    code = (
        "import sys; from preflight.inventory import Defaults, expand; expand('es-1,es-2', None, Defaults()); "
        "sys.exit('boto3' in sys.modules or 'botocore' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ}, timeout=60).returncode == 0
