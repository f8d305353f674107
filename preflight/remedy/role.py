"""The instance role: attach it, or show what keeps it away."""

from __future__ import annotations

import shlex

from ..facts import Imds, NodeFacts, Survey
from ..judgement import Command, Remedy
from ..rules import members
from .asking import AFTERWARDS, CONTROLLER, instance
from .refusal import prove_role


def give_role(survey: Survey, node: NodeFacts) -> Remedy:
    """Attach the instance profile that the other nodes have, or say what keeps its credentials away."""
    imds = node.imds if isinstance(node.imds, Imds) else None
    if imds is None or imds.outcome != "answered":
        return Remedy(
            caution="what keeps the metadata service away is not proven: this shows how far a request gets",
            commands=prove_role(survey, node),
            advice=("an instance whose processes sit in containers needs a metadata hop limit of 2",),
        )
    where = f" --region {shlex.quote(imds.region)}" if imds.region else ""
    own = instance(node)
    if imds.token_status == 403:
        text = f"aws ec2 modify-instance-metadata-options{where} --instance-id {own} --http-endpoint enabled"
        return Remedy(commands=(Command(where=CONTROLLER, text=text),), advice=(AFTERWARDS,))
    if imds.role is not None:
        text = f"aws iam get-role --role-name {shlex.quote(imds.role)}"
        return Remedy(
            caution="why the role's credentials are not current is not proven: does its trust policy name EC2?",
            commands=(Command(where=CONTROLLER, text=text),),
        )
    roles = sorted({n.imds.role for n in members.companions(survey, node) if isinstance(n.imds, Imds) and n.imds.role})
    listing = Command(
        where=CONTROLLER, text="aws iam list-instance-profiles --query 'InstanceProfiles[].InstanceProfileName'"
    )
    if len(roles) != 1:
        return Remedy(
            caution=f"which instance profile {node.name} should have is not known from the other nodes",
            commands=(listing,),
        )
    profile = f"aws iam list-instance-profiles-for-role --role-name {shlex.quote(roles[0])}"
    profile += " --query 'InstanceProfiles[0].InstanceProfileName' --output text"
    attach = f"aws ec2 associate-iam-instance-profile{where} --instance-id {own}"
    attach += f' --iam-instance-profile Name="$({profile})"'
    return Remedy(
        commands=(Command(where=CONTROLLER, text=attach),),
        advice=(f"the other nodes have role {roles[0]}; credentials appear in IMDS within seconds", AFTERWARDS),
    )


def one_role(survey: Survey, node: NodeFacts) -> Remedy:
    """Two roles may both be right: say how to compare them."""
    mine = {node.imds.role} if isinstance(node.imds, Imds) and node.imds.role else set()
    roles = mine | {n.imds.role for n in members.companions(survey, node) if isinstance(n.imds, Imds) and n.imds.role}
    return Remedy(
        caution="which of the roles is meant is not known; these show what each may do",
        commands=tuple(
            Command(where=CONTROLLER, text=f"aws iam list-attached-role-policies --role-name {shlex.quote(name)}")
            for name in sorted(roles)
        ),
    )
