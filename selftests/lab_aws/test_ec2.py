"""The lab's EC2 tells the operator of the same nodes as the lab's namespaces have, and lets nobody change it."""

import os

import boto3
import pytest
from botocore.exceptions import ClientError

from lab import ec2, names
from preflight import aws
from preflight.facts import Unknown


@pytest.fixture
def profile(running_aws, monkeypatch):
    """The operator's profile, as --aws-profile takes it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(running_aws.state / "config"))
    return ec2.PROFILE


def test_the_operator_sees_the_nodes_and_their_network(profile):
    wanted = aws.Wanted(region=names.REGION, ids=tuple(node.instance_id for node in names.nodes(2)), addresses=())
    found = aws.ask(wanted, profile, 10.0)
    assert found.caller.endswith("user/lab-operator")
    assert {i.id: i.interfaces[0].addresses[0] for i in found.instances} == {
        node.instance_id: node.address for node in names.nodes(2)
    }
    assert [name for name in found.__struct_fields__ if isinstance(getattr(found, name), Unknown)] == []
    (endpoint,) = found.endpoints
    table = next(table for table in found.tables if table.subnets)
    assert any(route.target == endpoint.id for route in table.routes)


def test_the_operator_sees_the_nodes_role_and_what_it_may_do(profile):
    """As AWS enforces it: by the documented policy, and by a bucket that has no policy of its own."""
    place = aws.Place(bucket=names.BUCKET, base_path="prod")
    ids = tuple(node.instance_id for node in names.nodes(2))
    found = aws.ask(aws.Wanted(region=names.REGION, ids=ids, addresses=(), places=(place,)), profile, 10.0)
    assert {i.metadata.endpoint for i in found.instances} == {"enabled"}
    (bucket,), (held,), (simulation,) = found.policies.buckets, found.policies.profiles, found.policies.simulations
    assert bucket.policy == () and held.roles == (f"arn:aws:iam::{names.ACCOUNT}:role/{names.ROLE}",)
    assert {decision.decision for decision in simulation.decisions} == {"allowed"}
    assert len(simulation.decisions) == 9


def test_an_instance_moves_to_another_group_and_back(running_aws, profile, monkeypatch):
    monkeypatch.setattr(names, "AWS_STATE", running_aws.state)
    node = names.nodes(1)[0]

    def groups():
        found = aws.ask(aws.Wanted(region=names.REGION, ids=(node.instance_id,), addresses=()), profile, 10.0)
        named = {group.id: group.name for group in found.groups}
        return [named[group] for group in found.instances[0].interfaces[0].groups]

    assert groups() == [ec2.GROUP]
    ec2.move_to_group(node, ec2.BARE_GROUP)
    assert groups() == [ec2.BARE_GROUP]
    ec2.move_to_group(node, ec2.GROUP)
    assert groups() == [ec2.GROUP]


def test_what_a_subnet_loses_it_gets_back(running_aws, profile, monkeypatch):
    """Its own route table, the route to S3's endpoint in it, and the network ACL that lets everything through."""
    monkeypatch.setattr(names, "AWS_STATE", running_aws.state)
    node = names.nodes(1)[0]

    def seen():
        found = aws.ask(aws.Wanted(region=names.REGION, ids=(node.instance_id,), addresses=()), profile, 10.0)
        subnet = found.instances[0].interfaces[0].subnet
        table = next(table for table in found.tables if subnet in table.subnets)
        acl = next(acl for acl in found.acls if subnet in acl.subnets)
        denied = [entry.cidr for entry in acl.entries if not entry.allow and entry.number < 32767]
        return table.id, any((route.target or "").startswith("vpce-") for route in table.routes), denied

    own, leads, denied = seen()
    assert leads and not denied
    ec2.swap_table(node, swapped=True)
    other, leads, _ = seen()
    assert other != own and not leads
    for _ in range(2):  # healing twice is healing once
        ec2.swap_table(node, swapped=False)
        assert seen() == (own, True, [])
    ec2.associate_endpoint(node, associated=False)
    assert seen() == (own, False, [])
    for _ in range(2):
        ec2.associate_endpoint(node, associated=True)
        assert seen() == (own, True, [])
    peer = names.nodes(2, 2)[1]
    ec2.restrict(node, [peer])
    assert seen() == (own, True, [peer.subnet.cidr])
    for _ in range(2):
        ec2.unrestrict(node)
        assert seen() == (own, True, [])


def test_the_operator_changes_nothing(profile):
    client = boto3.Session(profile_name=profile).client("ec2")
    with pytest.raises(ClientError):
        client.delete_security_group(GroupName=ec2.GROUP)


def test_the_operators_key_is_for_root_alone(running_aws):
    assert (running_aws.state / "config").stat().st_mode & 0o777 == 0o600
