"""AWS-3: which instances with the nodes' tags did not join, which members lack the tags, and what is no news."""

import time

import judged as judging
import pytest
import surveys
from msgspec.structs import replace

from preflight import aws, targets
from preflight.diagnosis import diagnose
from preflight.facts import Unknown
from preflight.rules.aws import joined

TAGS = {"Cluster": ("logs",)}
PROFILE = "arn:aws:iam::123456789012:instance-profile/es-node"


def run(cloud, address, *, subnet="subnet-1", group=None, tags=None):
    """Another instance; its id."""
    tags = {"Cluster": "logs"} if tags is None else tags
    return cloud.ec2.run_instances(
        ImageId="ami-0123456789abcdef0",
        MinCount=1,
        MaxCount=1,
        SubnetId=cloud.ids[subnet],
        PrivateIpAddress=address,
        SecurityGroupIds=[group or cloud.ids["group"]],
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )["Instances"][0]["InstanceId"]


def other_group(cloud):
    return cloud.ec2.create_security_group(GroupName="web", Description="kibana", VpcId=cloud.ids["vpc"])["GroupId"]


@pytest.fixture
def logs(cloud):
    """The three members carry Cluster=logs."""
    cloud.ec2.create_tags(Resources=list(cloud.instances.values()), Tags=[{"Key": "Cluster", "Value": "logs"}])
    return cloud


def seen(cloud, survey=None, *, tags=TAGS, source="discovery.ec2", later=3600.0):
    """The survey of these instances, made `later` seconds from now."""
    found = cloud.survey(survey)
    asked = cloud.asked(tags=aws.Tags(source=source, tags=tags))
    return replace(found, aws=asked, started=time.time() + later)


def outcomes(survey):
    return {o.node: o.outcome for o in judging.judged(survey) if o.check == "AWS-3"}


def said(survey, node="es-1"):
    finding = joined.agrees(survey, survey.node(node))
    return (finding.observed, *finding.details)


QUIET = {"es-1": "pass", "es-2": "pass", "es-3": "pass"}


# Not joined


def test_an_instance_that_did_not_join_is_told_once(logs):
    stray = run(logs, "10.0.1.99", tags={"Cluster": "logs", "Name": "es-4"})
    survey = seen(logs)
    assert outcomes(survey) == {**QUIET, "es-1": "warning"}
    name = survey.clusters[0].name
    assert said(survey) == (f"{stray} (es-4, 10.0.1.99) runs with Cluster=logs and is no member of {name}",)
    outcome = [o for o in judging.judged(survey) if o.check == "AWS-3"]
    (cause,) = diagnose(survey, outcome).causes
    assert cause.explains == (("AWS-3", "es-1"),) and "Name=tag:Cluster,Values=logs" in cause.remedy.commands[0].text


def test_the_members_are_quiet(logs):
    assert outcomes(seen(logs)) == QUIET


def test_one_call_more_is_made(logs):
    assert seen(logs).aws.calls == logs.asked().calls + 1


@pytest.mark.parametrize("shape", ["stopped", "other cluster", "just started", "something else", "other vpc"])
def test_what_is_no_stray(logs, shape):
    later = 3600.0
    if shape == "stopped":
        logs.ec2.stop_instances(InstanceIds=[run(logs, "10.0.1.99")])
    elif shape == "other cluster":
        run(logs, "10.0.1.99", tags={"Cluster": "metrics"})
    elif shape == "just started":
        run(logs, "10.0.1.99")
        later = 60.0
    elif shape == "something else":
        run(logs, "10.0.1.99", group=other_group(logs))
    else:
        vpc = logs.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        logs.ids["abroad"] = logs.ec2.create_subnet(VpcId=vpc, CidrBlock="10.0.1.0/24")["Subnet"]["SubnetId"]
        group = logs.ec2.create_security_group(GroupName="es", Description="es", VpcId=vpc)["GroupId"]
        run(logs, "10.0.1.99", subnet="abroad", group=group)
    assert outcomes(seen(logs, later=later)) == QUIET


def test_the_members_instance_profile_makes_a_stray_of_another_groups_instance(logs):
    """What was left behind by a change of security groups is the very node that cannot join."""
    stray = run(logs, "10.0.1.99", group=other_group(logs))
    survey = seen(logs)
    assert outcomes(survey) == QUIET

    def with_profile(instances):
        return tuple(replace(instance, profile=PROFILE) for instance in instances)

    found = survey.aws
    found = replace(
        found,
        instances=with_profile(found.instances),
        tagged=replace(found.tagged, instances=with_profile(found.tagged.instances)),
    )
    assert stray in said(replace(survey, aws=found))[0]


def test_a_member_that_was_not_given_has_joined(logs):
    """A coordinating-only node is one too."""
    stray = run(logs, "10.0.1.99")
    survey = seen(logs)
    (cluster,) = survey.clusters
    member = replace(
        cluster.members[0], id="fourth", name="es-4", roles=(), transport="10.0.1.99:9300", http="10.0.1.99:9200"
    )
    survey = replace(survey, clusters=(replace(cluster, members=(*cluster.members, member)),))
    assert stray in {instance.id for instance in survey.aws.tagged.instances}
    assert outcomes(survey) == QUIET


def test_a_member_at_an_address_that_aws_does_not_know_may_be_the_stray(logs):
    run(logs, "10.0.1.99", tags={"Cluster": "logs", "Name": "es-4"})
    survey = seen(logs)
    (cluster,) = survey.clusters
    member = replace(cluster.members[0], id="fourth", name="es-4", transport="172.17.0.2:9300", http=None)
    survey = replace(survey, clusters=(replace(cluster, members=(*cluster.members, member)),))
    assert outcomes(survey) == {**QUIET, "es-1": "could not check"}


def test_a_node_that_was_logged_in_to_is_cluster_1s(logs):
    survey = surveys.with_node(seen(logs), "es-3", process=None, view=Unknown(reason="not running"))
    (cluster,) = survey.clusters
    left = tuple(m for m in cluster.members if m.name != "es-3")
    survey = replace(survey, clusters=(replace(cluster, members=left),))
    assert outcomes(survey)["es-1"] == "pass"


def test_a_node_that_could_not_be_logged_in_to_is_told_as_no_member(logs):
    survey = surveys.host_down(seen(logs), "es-3")
    (cluster,) = survey.clusters
    left = tuple(m for m in cluster.members if m.name != "es-3")
    survey = replace(survey, clusters=(replace(cluster, members=left),))
    assert outcomes(survey) == {"es-1": "warning", "es-2": "pass", "es-3": "blocked"}
    assert logs.instances["es-3"] in said(survey)[0]


@pytest.mark.parametrize(
    ("settings", "outcome"),
    [
        ({}, "warning"),
        ({"discovery.ec2.availability_zones": "ap-northeast-2z"}, "pass"),
        ({"discovery.ec2.groups": "web, others"}, "pass"),
        ({"discovery.ec2.groups": "es"}, "warning"),
    ],
)
def test_zones_and_groups_that_discovery_is_held_to_count(logs, settings, outcome):
    run(logs, "10.0.1.99")
    survey = seen(logs)
    config = survey.node("es-1").config
    written = {**config.settings, "discovery.ec2.tag.Cluster": "logs", **settings}
    survey = surveys.with_node(survey, "es-1", config=replace(config, settings=written))
    assert outcomes(survey)["es-1"] == outcome


# Without the tags


def test_a_member_without_the_tag_speaks_for_itself(logs):
    logs.ec2.delete_tags(Resources=[logs.instances["es-3"]], Tags=[{"Key": "Cluster"}])
    survey = seen(logs)
    assert outcomes(survey) == {**QUIET, "es-3": "warning"}
    assert said(survey, "es-3") == (
        f"es-3 is a member, and its instance {logs.instances['es-3']} has no tag Cluster: "
        "a node that starts is not told of it",
    )


@pytest.mark.parametrize(("source", "outcome"), [("discovery.ec2", "warning"), ("ec2://", "pass")])
def test_another_value_may_be_meant_by_hosts_and_never_by_discovery(logs, source, outcome):
    logs.ec2.create_tags(Resources=[logs.instances["es-3"]], Tags=[{"Key": "Cluster", "Value": "masters"}])
    assert outcomes(seen(logs, source=source))["es-3"] == outcome


def test_a_key_that_is_not_there_is_meant_by_nobody(logs):
    logs.ec2.delete_tags(Resources=[logs.instances["es-3"]], Tags=[{"Key": "Cluster"}])
    survey = seen(logs, source="ec2://")
    assert said(survey, "es-3")[0].endswith("--hosts does not find it")


# Not looked at


def test_without_tags_and_without_aws_it_does_not_apply(logs):
    assert set(outcomes(logs.survey()).values()) == {"not applicable"}
    assert set(outcomes(surveys.healthy()).values()) == {"not applicable"}


def test_a_call_that_is_denied_could_not_be_checked(logs):
    survey = seen(logs)
    tagged = replace(survey.aws.tagged, instances=Unknown(reason="may not ec2:DescribeInstances"))
    assert set(outcomes(replace(survey, aws=replace(survey.aws, tagged=tagged))).values()) == {"could not check"}


def test_the_tags_are_those_of_the_nodes_configuration():
    config = surveys.healthy().node("es-1").config
    written = replace(
        config,
        settings={
            "discovery.ec2.tag.Cluster": "logs, logs-2",
            "discovery.ec2.tag.Role": "data",
            "discovery.ec2.endpoint": "ec2.ap-northeast-2.amazonaws.com",
        },
    )
    assert targets.discovery_tags([Unknown(reason="x"), config, written]) == {
        "Cluster": ("logs", "logs-2"),
        "Role": ("data",),
    }
    assert targets.discovery_tags([config]) == {}
