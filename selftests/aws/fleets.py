"""A made cluster of any size with what AWS says of it: three subnets, a gateway endpoint, one security group, one role.

Made without moto: what 300 instances cost to judge does not hang on who described them.
"""

import json

import surveys
from msgspec.structs import replace

from preflight.aws import records
from preflight.facts import Aws
from preflight.facts import aws as facts
from preflight.facts.policies import BucketPolicy, Decision, MetadataOptions, Policies, Profile, Simulation, Vpc
from preflight.s3 import BUCKET_ACTIONS, OBJECT_ACTIONS

PROFILE = "arn:aws:iam::123456789012:instance-profile/es-node"
ROLE = "arn:aws:iam::123456789012:role/es-node"
EVERYWHERE = records.policy(
    json.dumps({"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}})
)


def address(number):
    """Node n's address: one third of the nodes in each of 10.0.1.0/24, 10.0.2.0/24, 10.0.3.0/24."""
    return f"10.0.{1 + number % 3}.{10 + number // 3}"


def fleet(count, monkeypatch):
    """The survey of so many healthy nodes, with AWS asked."""
    monkeypatch.setattr(surveys, "address", address)
    survey = surveys.healthy(count)
    for_ids = {node.name: f"i-{number:017x}" for number, node in enumerate(survey.nodes, 1)}
    nodes = tuple(replace(n, imds=replace(n.imds, instance_id=for_ids[n.name])) for n in survey.nodes)
    return replace(survey, nodes=nodes, aws=described(survey, for_ids))


def described(survey, ids):
    """What AWS says of these nodes. ids: {node's name: instance id}"""
    group = records.group(
        {
            "GroupId": "sg-1",
            "IpPermissions": [
                {"IpProtocol": "tcp", "FromPort": 9200, "ToPort": 9300, "UserIdGroupPairs": [{"GroupId": "sg-1"}]}
            ],
            "IpPermissionsEgress": [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
        }
    )
    entry = {"protocol": "all", "ports": None, "cidr": "0.0.0.0/0", "number": 100, "allow": True}
    subnets = [f"subnet-{number}" for number in (1, 2, 3)]
    decisions = tuple(Decision(action=a, decision="allowed") for a in (*BUCKET_ACTIONS, *OBJECT_ACTIONS))
    endpoint = facts.Endpoint(
        id="vpce-1",
        vpc="vpc-1",
        service=f"com.amazonaws.{surveys.REGION}.s3",
        kind="Gateway",
        state="available",
        policy=EVERYWHERE,
    )
    return Aws(
        region=surveys.REGION,
        caller="arn:aws:iam::123456789012:user/operator",
        calls=16,
        instances=tuple(
            facts.Instance(
                id=ids[node.name],
                vpc="vpc-1",
                state="running",
                interfaces=(
                    facts.Interface(
                        id=f"eni-{number}",
                        subnet=subnets[number % 3],
                        addresses=(surveys.address(number),),
                        groups=("sg-1",),
                    ),
                ),
                profile=PROFILE,
                metadata=MetadataOptions(endpoint="enabled", tokens="required", hop_limit=1),
            )
            for number, node in enumerate(survey.nodes, 1)
        ),
        subnets=tuple(facts.Subnet(id=id, cidrs=(f"10.0.{n}.0/24",)) for n, id in enumerate(subnets, 1)),
        groups=(group,),
        acls=(
            facts.NetworkAcl(
                id="acl-1",
                subnets=tuple(subnets),
                entries=tuple(facts.AclEntry(direction=way, **entry) for way in ("ingress", "egress")),
            ),
        ),
        tables=tuple(
            facts.RouteTable(
                id=f"rtb-{n}",
                vpc="vpc-1",
                main=False,
                subnets=(id,),
                routes=(
                    facts.TableRoute(destination="10.0.0.0/16", target="local"),
                    facts.TableRoute(destination="pl-1", target="vpce-1"),
                ),
            )
            for n, id in enumerate(subnets, 1)
        ),
        endpoints=(endpoint,),
        prefix_lists=(
            facts.PrefixList(id="pl-1", name=f"com.amazonaws.{surveys.REGION}.s3", cidrs=("198.18.0.0/15",)),
        ),
        nat_gateways=(),
        vpcs=(Vpc(id="vpc-1", dns_support=True, dns_hostnames=True),),
        policies=Policies(
            buckets=(BucketPolicy(bucket="es-snapshots", policy=()),),
            profiles=(Profile(arn=PROFILE, roles=(ROLE,)),),
            simulations=(Simulation(role=ROLE, bucket="es-snapshots", base_path="prod", decisions=decisions),),
        ),
    )
