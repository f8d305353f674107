"""What can be wrong with a role and the metadata service that hands it out."""

from __future__ import annotations

from collections.abc import Mapping

from .. import names
from ..imds import set_role
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault

_GONE = {
    ("ROLE-1", "victim"): "fail",
    ("ROLE-2", "victim"): "not applicable",
    ("ROLE-3", "victim"): "not applicable",
    ("REPO-1", "victim"): "fail",
}


def _take_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, None)


def _give_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE)


def _give_bare_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.BARE_ROLE)


FAULTS: Mapping[str, Fault] = {
    "no-instance-role": Fault(
        "no instance profile on the node",
        _take_role,
        _give_role,
        Expected(
            "no-instance-role",
            _GONE,
            on_master=STOPS_AT_MASTER,
        ),
        needs_elasticsearch=False,
        # The SDK goes on using credentials it holds until they are about to expire.
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
}
