"""Policies, roles, metadata options and DNS attributes: what shows them, and the change where the facts prove it."""

from __future__ import annotations

import shlex

from ..facts import CouldNotCheck, NodeFacts, Survey
from ..judgement import Command, NotApplicable, Remedy
from ..rules import members
from ..rules.aws import entry, metadata, names, places, requests, roles, s3_route
from ..s3 import BUCKET_ACTIONS, OBJECT_ACTIONS
from .asking import AFTERWARDS, CONTROLLER
from .aws import region_option


def let_in(survey: Survey, node: NodeFacts) -> Remedy:
    """Show the policy that denies and the node's way; which of the two is meant to change is for their owners."""
    try:
        shut, _ = entry.judged(survey, node)
        own = s3_route.way(survey, node)
        others = s3_route.ways(survey, node)
    except (CouldNotCheck, NotApplicable):
        return Remedy(advice=(AFTERWARDS,))
    where = region_option(survey)
    commands, advice = [], []
    for one in shut:
        name = shlex.quote(one.id)
        text = f"aws s3api get-bucket-policy --bucket {name} --query Policy --output text"
        if one.whose == "endpoint":
            query = "--query 'VpcEndpoints[].PolicyDocument'"
            text = f"aws ec2 describe-vpc-endpoints{where} --vpc-endpoint-ids {name} {query}"
        commands.append(Command(where=CONTROLLER, text=text))
        asked = [x for x in one.endpoints if x != own.target]
        taking = [name for name, other in others.items() if other.target in asked and other.vpc == own.vpc]
        if taking and own.kind not in ("gateway endpoint", "interface endpoint"):
            endpoint = others[taking[0]].target or ""
            advice.append(
                f"{members.listed(taking)} come by {endpoint}, which the policy asks for; to lead {own.subnet} there: "
                f"aws ec2 modify-vpc-endpoint{where} --vpc-endpoint-id {shlex.quote(endpoint)} --add-route-table-ids "
                f"{shlex.quote(own.table)}"
            )
            advice.append(f"whatever else {own.table} is for reaches S3 by that endpoint from then on")
    commands.append(
        Command(
            where=CONTROLLER, text=f"aws ec2 describe-route-tables{where} --route-table-ids {shlex.quote(own.table)}"
        )
    )
    return Remedy(
        caution="whether the policy or this subnet's way to S3 is meant to change is not proven: these show both",
        commands=tuple(dict.fromkeys(commands)),
        advice=(*dict.fromkeys(advice), AFTERWARDS),
    )


def give_actions(survey: Survey, node: NodeFacts) -> Remedy:
    """The other nodes' profile for one without a role, where theirs is proven; else what shows the role's policies."""
    try:
        empty = roles.without_role(survey, node)
        instance = places.of_node(survey, node)[0]
    except (CouldNotCheck, NotApplicable):
        return Remedy(advice=(AFTERWARDS,))
    if empty is not None:
        return _other_profile(survey, node, instance.id, instance.profile)
    arn = requests.role_arn(survey, node)
    name = shlex.quote(roles.name(arn or ""))
    wanted = members.listed([*BUCKET_ACTIONS, *OBJECT_ACTIONS])
    return Remedy(
        caution="which policy is to allow it is its owner's to decide: these show the role's own",
        commands=tuple(
            Command(where=CONTROLLER, text=f"aws iam {verb} --role-name {name}")
            for verb in ("list-role-policies", "list-attached-role-policies")
        )
        if arn
        else (),
        advice=(f"Elastic's documentation lists for a repository: {wanted}", AFTERWARDS),
    )


def _other_profile(survey: Survey, node: NodeFacts, instance: str, profile: str | None) -> Remedy:
    """The association of this instance alone changes; the profile without a role may be others' too."""
    where = region_option(survey)
    theirs = sorted({p for other in members.companions(survey, node) if (p := _proven_profile(survey, other))})
    query = "'IamInstanceProfileAssociations[].[AssociationId,IamInstanceProfile.Arn,State]'"
    filters = f"--filters Name=instance-id,Values={shlex.quote(instance)}"
    show = f"aws ec2 describe-iam-instance-profile-associations{where} {filters} --query {query} --output text"
    if len(theirs) != 1:
        return Remedy(
            caution=f"which instance profile {node.name} should have no other node proves: this shows its own",
            commands=(Command(where=CONTROLLER, text=show),),
            advice=(AFTERWARDS,),
        )
    if profile is None:
        change = f"aws ec2 associate-iam-instance-profile{where} --instance-id {shlex.quote(instance)}"
        undo = "the command's answer has the id of the association: disassociate-iam-instance-profile takes it back"
    else:
        identity = show.replace(query, "'IamInstanceProfileAssociations[0].AssociationId'")
        change = f'aws ec2 replace-iam-instance-profile-association{where} --association-id "$({identity})"'
        undo = f"to undo: the same with Name={roles.name(profile)}"
    change += f" --iam-instance-profile Name={shlex.quote(roles.name(theirs[0]))}"
    return Remedy(
        commands=(Command(where=CONTROLLER, text=change), Command(where=CONTROLLER, text=show)),
        advice=(
            f"it is the profile of the other nodes, whose role S3 accepts; {instance} alone gets it",
            undo,
            "change it in what wrote it too (Terraform, CloudFormation), or the next apply takes it back",
            AFTERWARDS,
        ),
    )


def _proven_profile(survey: Survey, node: NodeFacts) -> str | None:
    """ARN of a node's profile where S3 has accepted its role for every repository; None where it is not proven."""
    try:
        wanted = requests.signed_by_role(survey, node)
        instance = places.of_node(survey, node)[0]
    except (CouldNotCheck, NotApplicable):
        return None
    accepted = all(requests.proven(survey, node, one, "s3:ListBucket") for one in wanted)
    return instance.profile if accepted and requests.role_arn(survey, node) else None


def let_ask(survey: Survey, node: NodeFacts) -> Remedy:
    """Switch on what is off; a longer way is the owner's to allow."""
    try:
        found = metadata.in_the_way(survey, node)
        instance = places.of_node(survey, node)[0].id
    except (CouldNotCheck, NotApplicable):
        found = None
    if found is None:
        return Remedy(advice=(AFTERWARDS,))
    options, caution = OPTIONS[found.kind]
    where = f"{region_option(survey)} --instance-id {shlex.quote(instance)}"
    text = f"aws ec2 modify-instance-metadata-options{where} {options}"
    return Remedy(caution=caution, commands=(Command(where=CONTROLLER, text=text),), advice=(AFTERWARDS,))


OPTIONS: dict[str, tuple[str, str | None]] = {
    "off": ("--http-endpoint enabled", None),
    "protocol": (
        "--http-tokens optional",
        "IMDSv1 answers whoever can make this host send a request: an upgrade is the better way",
    ),
    "hops": ("--http-put-response-hop-limit 2", "raising the hop limit lets every container of the host ask IMDS"),
}
"""By metadata.Option.kind: the option that lets Elasticsearch ask, and what to know before."""


def let_resolve(survey: Survey, node: NodeFacts) -> Remedy:
    """The attributes are the whole VPC's: its owner decides."""
    try:
        vpc = names.attributes(survey, node)
    except (CouldNotCheck, NotApplicable):
        return Remedy(advice=(AFTERWARDS,))
    where, commands, advice = region_option(survey), [], []
    for name, flag, on in (
        ("enableDnsSupport", "--enable-dns-support", vpc.dns_support),
        ("enableDnsHostnames", "--enable-dns-hostnames", vpc.dns_hostnames),
    ):
        text = f"aws ec2 describe-vpc-attribute{where} --vpc-id {shlex.quote(vpc.id)} --attribute {name}"
        commands.append(Command(where=CONTROLLER, text=text))
        if not on:
            advice.append(f"to switch it on: aws ec2 modify-vpc-attribute{where} --vpc-id {shlex.quote(vpc.id)} {flag}")
    return Remedy(
        caution="the attributes hold for all of the VPC: these show them, and a resolver of one's own may be meant",
        commands=tuple(commands),
        advice=(*advice, AFTERWARDS),
    )
