"""AWS-6: the instance's metadata options let Elasticsearch ask for its role.

source: EC2 user guide, instance metadata options: HttpPutResponseHopLimit holds for the answer to the token request.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ... import fallback
from ...facts import CouldNotCheck, Imds, NodeFacts, Process, Survey
from ...facts.policies import MetadataOptions
from ...judgement import Finding
from .. import role
from . import places, requests

LETS_ASK = "the metadata service is on, speaks as this version of Elasticsearch does and reaches as far as it"


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the way. kind: off | protocol | hops; observed: in words"""

    kind: Literal["off", "protocol", "hops"]
    observed: str


def lets_ask(survey: Survey, node: NodeFacts) -> Finding | None:
    """None where no option keeps the credentials of its role from this node's Elasticsearch.

    Raises CouldNotCheck, NotApplicable where nothing on the node signs with a role from the metadata service.
    """
    places.control_plane(survey)
    requests.signed_by_role(survey, node)
    requests.of_instance(survey, node)
    options = options_of(survey, node)
    if options is None:
        raise CouldNotCheck(f"AWS told no metadata options of {node.name}")
    found = in_the_way(survey, node)
    return Finding(observed=found.observed, expected=LETS_ASK) if found else None


def options_of(survey: Survey, node: NodeFacts) -> MetadataOptions | None:
    """The options of the node's instance; None where AWS told none. Raises CouldNotCheck, NotApplicable."""
    return places.of_node(survey, node)[0].metadata


def in_the_way(survey: Survey, node: NodeFacts) -> Option | None:
    """The option that keeps Elasticsearch from its role; None where none does. Raises CouldNotCheck, NotApplicable.

    Where `_verify` passes the hop limit is no matter: a network namespace of its own is no proof of a further hop.
    """
    options = options_of(survey, node)
    if options is None:
        return None
    row = fallback.line(node, survey.member_of(node))
    asks = row.imds if row else "IMDSv2"
    instance = places.of_node(survey, node)[0].id
    # One that answers all the same is on: what AWS lists is then on its way, or has just been changed.
    if options.endpoint == "disabled" and not (isinstance(node.imds, Imds) and node.imds.token_status == 200):
        return Option(
            kind="off", observed=f"the metadata service of {instance} is switched off (HttpEndpoint disabled)"
        )
    if options.tokens == "required" and asks == "IMDSv1":
        return Option(
            kind="protocol",
            observed=f"{instance} asks for a session token (HttpTokens required), which this version of Elasticsearch "
            "does not send",
        )
    tokenless = asks == "IMDSv1" or (asks == "either" and options.tokens == "optional")
    apart = isinstance(node.process, Process) and node.process.own_network_namespace is True
    heard = isinstance(node.imds, Imds) and node.imds.in_namespace and node.imds.token_status == 200
    if options.hop_limit == 1 and apart and not (tokenless or heard or role.verified(survey, node)):
        return Option(
            kind="hops",
            observed=f"the hop limit of {instance} is 1, and Elasticsearch has a network namespace of its own: the "
            "answer to its token request ends at the host",
        )
    return None
