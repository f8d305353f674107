"""What hands out a role's credentials: mend it where the facts prove how, else show what keeps it away."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from .. import fallback
from ..facts import Container, CouldNotCheck, Imds, Install, NodeFacts, Process, Sources, Survey
from ..judgement import Command, NotApplicable, Remedy
from ..rules import members, role
from .asking import AFTERWARDS, CONTROLLER, instance
from .refusal import prove_role

SESSION_URL = "http://169.254.169.254/latest/api/token"


def give_role(survey: Survey, node: NodeFacts) -> Remedy:
    """What mends that Elasticsearch gets no current credentials of a role."""
    try:
        trouble = role.trouble(survey, node)
    except (CouldNotCheck, NotApplicable):
        trouble = None
    return MENDS[trouble.kind](survey, node) if trouble else Remedy()


def _metadata_options(node: NodeFacts, *options: str) -> Command:
    region = node.imds.region if isinstance(node.imds, Imds) else None
    where = f" --region {shlex.quote(region)}" if region else ""
    text = f"aws ec2 modify-instance-metadata-options{where} --instance-id {instance(node)} {' '.join(options)}"
    return Command(where=CONTROLLER, text=text)


def _user(node: NodeFacts) -> str:
    if isinstance(node.process, Process):
        return node.process.user
    return (node.install.service_user if isinstance(node.install, Install) else None) or "elasticsearch"


def _asked(node: NodeFacts) -> Command:
    """One token request as Elasticsearch's own user, told by its status and how long it took."""
    curl = f"curl -sS -m 5 --noproxy '*' -o /dev/null -w '%{{http_code}} %{{time_total}} s\\n' -X PUT {SESSION_URL}"
    curl += " -H 'X-aws-ec2-metadata-token-ttl-seconds: 60'"
    return Command(where=node.name, text=f"sudo -u {shlex.quote(_user(node))} {curl}")


def _rules(node: NodeFacts) -> tuple[Command, ...]:
    """Rules of the host's own filters that go by the user."""
    return (
        Command(where=node.name, text="sudo nft list ruleset | grep -n skuid"),
        Command(where=node.name, text="sudo iptables -S OUTPUT | grep -e --uid-owner"),
    )


def _out_of_reach(survey: Survey, node: NodeFacts) -> Remedy:
    return Remedy(
        caution="what keeps the metadata service away is not proven: this shows how far a request gets",
        commands=(_asked(node), *_rules(node), *prove_role(survey, node)),
        advice=(
            "an instance whose processes sit in containers needs a metadata hop limit of 2",
            "not an EC2 instance: declare the clients' static keys in the inventory (preflight_static_key_clients)",
        ),
    )


def _user_refused(survey: Survey, node: NodeFacts) -> Remedy:
    return Remedy(
        caution="which rule keeps that user away is not proven: these show it",
        commands=(*_rules(node), _asked(node)),
        advice=(
            f"let user {_user(node)} open TCP port 80 of 169.254.169.254, in what writes these rules too",
            AFTERWARDS,
        ),
    )


def _switched_off(survey: Survey, node: NodeFacts) -> Remedy:
    return Remedy(commands=(_metadata_options(node, "--http-endpoint enabled"),), advice=(AFTERWARDS,))


def _protocol(survey: Survey, node: NodeFacts) -> Remedy:
    row = fallback.line(node, survey.member_of(node))
    if row is not None and row.imds == "IMDSv1":
        return Remedy(
            caution="IMDSv1 answers whoever can make this host send a request: an upgrade is the better way",
            commands=(_metadata_options(node, "--http-tokens optional"),),
            advice=("Elasticsearch from 7.7 on asks with a session token", AFTERWARDS),
        )
    return Remedy(
        caution="what answers at the metadata address is not known: it gives no session token",
        commands=(_asked(node),),
        advice=("a proxy for the metadata service has to know IMDSv2", AFTERWARDS),
    )


def _namespace(survey: Survey, node: NodeFacts) -> Remedy:
    return Remedy(
        caution="the hop limit is the usual reason and is not proven; raising it lets containers of the host ask IMDS",
        commands=(_metadata_options(node, "--http-put-response-hop-limit 2"),),
        advice=(AFTERWARDS,),
    )


def _slow(survey: Survey, node: NodeFacts) -> Remedy:
    row = fallback.line(node, survey.member_of(node))
    longer = ("AWS_METADATA_SERVICE_TIMEOUT (seconds) in Elasticsearch's environment lets it wait longer",)
    return Remedy(
        caution="what slows the metadata service down is not proven: this times one request",
        commands=(_asked(node),),
        advice=(
            "a proxy or agent between, a host without CPU to spare, or too many requests: IMDS itself takes 1-2 ms",
            *(longer if row is not None and row.sdk == 2 else ()),
            AFTERWARDS,
        ),
    )


def _expired(survey: Survey, node: NodeFacts) -> Remedy:
    name = node.imds.role if isinstance(node.imds, Imds) and node.imds.role else ""
    return Remedy(
        caution="why the role's credentials are not current is not proven: does its trust policy name EC2?",
        commands=(
            Command(where=CONTROLLER, text=f"aws iam get-role --role-name {shlex.quote(name)}"),
            Command(where=node.name, text="timedatectl"),
        ),
        advice=("AWS renews them hours before; a role made anew under its name needs its profile attached again",),
    )


def _no_role(survey: Survey, node: NodeFacts) -> Remedy:
    """Attach the instance profile that the other nodes have."""
    imds = node.imds if isinstance(node.imds, Imds) else None
    if imds is not None and imds.role is not None:
        return _expired(survey, node)
    where = f" --region {shlex.quote(imds.region)}" if imds and imds.region else ""
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
    attach = f"aws ec2 associate-iam-instance-profile{where} --instance-id {instance(node)}"
    attach += f' --iam-instance-profile Name="$({profile})"'
    return Remedy(
        commands=(Command(where=CONTROLLER, text=attach),),
        advice=(f"the other nodes have role {roles[0]}; credentials appear in IMDS within seconds", AFTERWARDS),
    )


def _container(survey: Survey, node: NodeFacts) -> Remedy:
    """Whether the endpoint is meant, nobody knows from here: show who names it."""
    variable = node.container.variable if isinstance(node.container, Container) else ""
    lines = node.sources.found if isinstance(node.sources, Sources) else ()
    named = [f"{line.path} line {line.line} sets {line.name}" for line in lines if line.name in fallback.CONTAINER]
    return Remedy(
        caution="whether this node is meant to have container credentials is not known: this shows what names them",
        commands=(
            Command(
                where=node.name,
                text="sudo grep -rln AWS_CONTAINER_CREDENTIALS /etc/default /etc/sysconfig /etc/systemd/system",
            ),
        ),
        advice=(
            *named,
            f"mend what answers there, or take {variable} out of Elasticsearch's environment and restart it: "
            "the instance role then signs",
            AFTERWARDS,
        ),
    )


MENDS: dict[str, Callable[[Survey, NodeFacts], Remedy]] = {
    "container": _container,
    "user refused": _user_refused,
    "out of reach": _out_of_reach,
    "switched off": _switched_off,
    "protocol": _protocol,
    "slow": _slow,
    "no role": _no_role,
    "expired": _expired,
    "namespace": _namespace,
}
"""By role.Trouble.kind."""
