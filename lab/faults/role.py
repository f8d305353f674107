"""What can be wrong with a role and the metadata service that hands it out."""

from __future__ import annotations

from collections.abc import Mapping

from .. import host, names, network
from ..imds import set_role
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault
from .sources import DEFAULT_FILE, append, drop_lines

TABLE = "fault_imds"

SLOW_SECONDS = 3.0
"""Three times what AWS's SDKs wait for an answer of the metadata service."""

NOBODY_THERE = "http://127.0.0.1:51679/role"

_CUT_OFF = {("ROLE-1", "victim"): "fail", ("ROLE-3", "victim"): "not applicable", ("REPO-1", "victim"): "fail"}
_GONE = {**_CUT_OFF, ("ROLE-2", "victim"): "not applicable"}


def _take_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, None)


def _give_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE)


def _give_bare_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.BARE_ROLE)


def _give_other_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.OTHER_ROLE)


def _let_expire(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE, expired=True)


def _slow_down(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE, delay=SLOW_SECONDS)


def _refuse(victim: Node, who: str = "") -> None:
    rule = f"{who} ip daddr {names.IMDS_ADDRESS} tcp dport 80 reject with tcp reset"
    network.filter_at(victim.namespace, TABLE, "output", rule)


def _refuse_everybody(lab: Lab, victim: Node) -> None:
    _refuse(victim)


def _refuse_service_user(lab: Lab, victim: Node) -> None:
    _refuse(victim, f"meta skuid {host.execute(victim, ['id', '-u', 'elasticsearch']).strip()}")


def _refuse_nobody(lab: Lab, victim: Node) -> None:
    network.unfilter(victim.namespace, TABLE)


def _name_endpoint(lab: Lab, victim: Node) -> None:
    append(victim, DEFAULT_FILE, f"AWS_CONTAINER_CREDENTIALS_FULL_URI={NOBODY_THERE}\n")


def _name_no_endpoint(lab: Lab, victim: Node) -> None:
    drop_lines(victim, DEFAULT_FILE, "AWS_CONTAINER_CREDENTIALS_FULL_URI=")


# The SDK goes on using credentials it holds until they are about to expire: whatever is wrong here, it shows after the
# next start.
FAULTS: Mapping[str, Fault] = {
    "no-instance-role": Fault(
        "no instance profile on the node",
        _take_role,
        _give_role,
        Expected("no-instance-role", _GONE, on_master=STOPS_AT_MASTER),
        needs_elasticsearch=False,
        restart_to_break=True,
    ),
    "role-without-bucket-access": Fault(
        "another role on the node, with no permission for the bucket",
        _give_bare_role,
        _give_role,
        Expected(
            "role-denied",
            {("ROLE-2", "victim"): "warning", ("ROLE-3", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        restart_to_break=True,
        # What the process signs with is still current, and still another role's.
        restart_to_heal=True,
    ),
    "other-role": Fault(
        "another role on the node, with the same permissions",
        _give_other_role,
        _give_role,
        Expected("other-role", {("ROLE-2", "victim"): "warning"}),
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "expired-role-credentials": Fault(
        "the node's metadata service hands out credentials that have expired",
        _let_expire,
        _give_role,
        Expected("expired-role-credentials", _CUT_OFF, on_master=STOPS_AT_MASTER),
        restart_to_break=True,
        restart_to_heal=True,
    ),
    "imds-off": Fault(
        "nobody listens at the node's metadata address",
        _refuse_everybody,
        _refuse_nobody,
        Expected("imds-out-of-reach", _GONE, on_master=STOPS_AT_MASTER),
        restart_to_break=True,
    ),
    "imds-slow": Fault(
        f"the node's metadata service takes {SLOW_SECONDS:.0f} s for every answer",
        _slow_down,
        _give_role,
        Expected("imds-slow", _CUT_OFF, on_master=STOPS_AT_MASTER),
        restart_to_break=True,
    ),
    "imds-refuses-service-user": Fault(
        "a rule of the node's own filter keeps the user elasticsearch, and nobody else, from the metadata service",
        _refuse_service_user,
        _refuse_nobody,
        Expected("imds-refuses-service-user", _GONE, on_master=STOPS_AT_MASTER),
        restart_to_break=True,
    ),
    "container-credentials": Fault(
        "the environment of the node's Elasticsearch names an endpoint for container credentials where nobody is",
        _name_endpoint,
        _name_no_endpoint,
        Expected("container-credentials", {("ROLE-1", "victim"): "warning"}),
        on_sdk_v1=Expected("container-credentials", _CUT_OFF, on_master=STOPS_AT_MASTER),
        restart_to_break=True,
        restart_to_heal=True,
    ),
}
