"""The one refusal: nothing is taken away before the role that has to sign instead is proven on that very node."""

from __future__ import annotations

from collections.abc import Sequence

from ..facts import NodeFacts, Repository, Survey
from ..judgement import Command, Remedy, Step
from ..rules import role
from .asking import AFTERWARDS

WITHOUT_A_ROLE = "without a role the node has nothing else to sign with, and every one of its snapshots fails"
LATER = "the command that removes the keys is printed here once S3 accepts the role from this node"


def role_not_proven(node: NodeFacts, repositories: Sequence[Repository] | None) -> str | None:
    """Why the node's role is not proven for these repositories, with the node's name; None where it is."""
    why = role.unproven(node, None if repositories is None else tuple(repositories))
    return f"role not proven on {node.name}: {why}" if why else None


def not_yet(survey: Survey, node: NodeFacts, why: str, what: str = "remove", later: str | None = LATER) -> Remedy:
    """Do not do it yet, why, and what shows the node's role. what: what the operator was about to do."""
    proof = prove_role(survey, node)
    return Remedy(
        caution=f"do not {what} yet: {why}",
        commands=proof,
        advice=(WITHOUT_A_ROLE, *((later,) if later else ())),
        steps=(
            Step(
                phase="prove",
                title="Prove the role first",
                commands=proof,
                notes=(
                    f"{node.name}: {why}",
                    WITHOUT_A_ROLE,
                    "the answer is the role's name; 404 means that no instance profile is attached. The role has to "
                    "list, read, write and delete in the bucket under the repository's base path",
                    AFTERWARDS,
                ),
            ),
        ),
    )


def prove_role(survey: Survey, node: NodeFacts) -> tuple[Command, ...]:
    """What shows which role the node has, without printing a credential."""
    base = "http://169.254.169.254/latest"
    curl = "curl -sS -m 5 --noproxy '*'"
    token = f"$({curl} -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {base}/api/token)"
    return (
        Command(
            where=node.name,
            text=f'{curl} -H "X-aws-ec2-metadata-token: {token}" {base}/meta-data/iam/security-credentials/',
        ),
    )
