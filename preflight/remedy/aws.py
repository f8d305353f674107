"""Security groups, network ACLs and route tables: their owner decides, so most of this shows and names the change."""

from __future__ import annotations

import shlex

from ..facts import CouldNotCheck, NodeFacts, Survey, Unknown
from ..judgement import Command, NotApplicable, Remedy
from ..rules import members, ports
from ..rules.aws import gates, pairs, s3_route
from .asking import AFTERWARDS, CONTROLLER

_OWNERS = "what a security group or network ACL should allow is its owner's to decide: these show what it does"


def let_through(survey: Survey, node: NodeFacts) -> Remedy:
    """The rules of what is in the way of this node, and the one that is missing."""
    found = []
    for port in ports.DEFAULTS:
        for dial in ports.failing(survey, node, port):
            try:
                closed = pairs.between(survey, node, dial)
            except CouldNotCheck:
                continue
            found += [closed] if closed else []
    return open_pairs(survey, tuple(found))


def open_pairs(survey: Survey, closed: tuple[pairs.Closed, ...]) -> Remedy:
    """What shows the rules in the way of these pairs; the change is for the owner of the group or ACL."""
    commands, advice = [], []
    where = region_option(survey)
    for pair in closed:
        if pair.group is None:
            commands.append(_show_acl(where, pair.acl or ""))
            advice.append("an entry with a lower number than the one that denies, for the ports named, lets it through")
        else:
            group, direction, other = pair.group
            commands.append(_show_group(where, group))
            port = pair.target.rpartition(":")[2]
            permission = (
                f"IpProtocol=tcp,FromPort={port},ToPort={port},UserIdGroupPairs=[{{GroupId={shlex.quote(other)}}}]"
            )
            advice.append(
                f"to let it through: aws ec2 authorize-security-group-{direction}{where} --group-id "
                f"{shlex.quote(group)} --ip-permissions '{permission}'"
            )
    return Remedy(
        caution=_OWNERS,
        commands=tuple(dict.fromkeys(commands)),
        advice=(*dict.fromkeys(advice), AFTERWARDS),
    )


def lead_to_s3(survey: Survey, node: NodeFacts) -> Remedy:
    """Put the endpoint that the other nodes use into the subnet's table, where that is proven to be what it lacks."""
    try:
        own = s3_route.way(survey, node)
        others = s3_route.ways(survey, node)
        cut = s3_route.cut_off(survey, node)
        tried = tuple(path for path in s3_route.paths(survey, node) if path.tcp == "timeout")
        shut = gates.closed(survey, node, own, tried) if cut and not own.broken else None
    except (CouldNotCheck, NotApplicable):
        return Remedy(advice=(AFTERWARDS,))
    if shut:
        return _open_gate(survey, shut)
    where = region_option(survey)
    good = {name: other for name, other in others.items() if not other.broken and other.vpc == own.vpc}
    endpoint = next((other for other in good.values() if other.kind == "gateway endpoint"), None)
    show = Command(
        where=CONTROLLER, text=f"aws ec2 describe-route-tables{where} --route-table-ids {shlex.quote(own.table)}"
    )
    if not (cut and own.broken and own.kind in (None, "gateway endpoint") and endpoint and endpoint.target):
        return Remedy(
            caution="which way this subnet is meant to take to S3 is not proven: this shows its routes",
            commands=(show,),
            advice=(AFTERWARDS,),
        )
    same = [name for name, other in good.items() if other.target == endpoint.target]
    neighbours = _subnets_on(survey, own.table)
    also = f", which {members.listed(neighbours)} use" if len(neighbours) > 1 else ""
    return Remedy(
        commands=(
            Command(
                where=CONTROLLER,
                text=f"aws ec2 modify-vpc-endpoint{where} --vpc-endpoint-id {shlex.quote(endpoint.target)} "
                f"--add-route-table-ids {shlex.quote(own.table)}",
            ),
            show,
        ),
        advice=(
            f"it gives {own.table}{also} the endpoint's route to S3, as {members.listed(same)} have it; "
            "nothing else in the table changes",
            f"to undo: the same with --remove-route-table-ids {own.table}",
            "change it in what wrote the table too (Terraform, CloudFormation), or the next apply takes it back",
            AFTERWARDS,
        ),
    )


def _open_gate(survey: Survey, shut: gates.Closed) -> Remedy:
    """The rules of what is in the way of S3; a group's missing one is printed, an ACL's place among its entries not."""
    where = region_option(survey)
    if shut.acl is not None:
        advice = (
            "an entry with a lower number than the one that denies, for S3's ranges and these ports, lets it through"
        )
        return Remedy(
            caution=_OWNERS,
            commands=(_show_acl(where, shut.acl),),
            advice=(
                f"{advice}; a network ACL knows no prefix list: the ranges come from "
                f"aws ec2 get-managed-prefix-list-entries{where} --prefix-list-id {_s3_list(survey)}",
                AFTERWARDS,
            ),
        )
    group = shut.group or ""
    if shut.direction == "ingress":
        peer = f"UserIdGroupPairs=[{{GroupId={shlex.quote(shut.peer)}}}]"
    else:
        peer = f"PrefixListIds=[{{PrefixListId={_s3_list(survey)}}}]"
    permission = f"IpProtocol=tcp,FromPort={shut.port},ToPort={shut.port},{peer}"
    return Remedy(
        caution=_OWNERS,
        commands=(_show_group(where, group),),
        advice=(
            f"to let it through: aws ec2 authorize-security-group-{shut.direction}{where} --group-id "
            f"{shlex.quote(group)} --ip-permissions '{permission}'",
            AFTERWARDS,
        ),
    )


def _s3_list(survey: Survey) -> str:
    aws = survey.aws
    lists = () if aws is None or isinstance(aws, Unknown) or isinstance(aws.prefix_lists, Unknown) else aws.prefix_lists
    return next((found.id for found in lists if found.name.endswith(".s3")), "PREFIX_LIST_OF_S3")


def _show_group(where: str, group: str) -> Command:
    text = f"aws ec2 describe-security-group-rules{where} --filters Name=group-id,Values={shlex.quote(group)}"
    return Command(where=CONTROLLER, text=text)


def _show_acl(where: str, acl: str) -> Command:
    text = f"aws ec2 describe-network-acls{where} --network-acl-ids {shlex.quote(acl)}"
    return Command(where=CONTROLLER, text=text)


def _subnets_on(survey: Survey, table: str) -> list[str]:
    aws = survey.aws
    if aws is None or isinstance(aws, Unknown) or isinstance(aws.tables, Unknown):
        return []
    return next((list(t.subnets) for t in aws.tables if t.id == table), [])


def agree(survey: Survey, node: NodeFacts) -> Remedy:
    """What shows the instances; which of tag, membership and instance is wrong, only their owner knows."""
    aws = survey.aws
    found = aws.tagged if aws is not None and not isinstance(aws, Unknown) else None
    if found is None:
        return Remedy(advice=(AFTERWARDS,))
    filters = " ".join(shlex.quote(f"Name=tag:{key},Values={','.join(values)}") for key, values in found.tags.items())
    show = (
        f"aws ec2 describe-instances{region_option(survey)} --filters {filters} --query "
        "'Reservations[].Instances[].[InstanceId,PrivateIpAddress,State.Name,LaunchTime]' --output table"
    )
    return Remedy(
        caution="whether tag, instance or membership is wrong is its owner's to say: this shows who has the tags",
        commands=(Command(where=CONTROLLER, text=show),),
        advice=(
            "an instance that is meant to be a member: give it among --hosts, and CLUSTER-1 and PORT-1 say why not",
            "one that is not: it should not carry the nodes' tags, or --hosts and discovery.ec2.tag.* need one more",
            AFTERWARDS,
        ),
    )


def region_option(survey: Survey) -> str:
    """The option of an aws command for the region that was asked."""
    aws = survey.aws
    return "" if aws is None or isinstance(aws, Unknown) else f" --region {shlex.quote(aws.region)}"
