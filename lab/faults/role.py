"""What can be wrong with a role and the metadata service that hands it out."""

from __future__ import annotations

from collections.abc import Mapping

from .. import names
from ..imds import set_role
from ..names import Node
from ..state import Lab
from .fault import STOPS_AT_MASTER, Expected, Fault, restart

_GONE = {
    ("ROLE-1", "victim"): "fail",
    ("ROLE-2", "victim"): "not applicable",
    ("ROLE-3", "victim"): "not applicable",
    ("REPO-1", "victim"): "fail",
}


def _take_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, None)
    # The SDK goes on using credentials it holds until they are about to expire.
    restart(lab, victim)


def _give_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.ROLE)


def _give_bare_role(lab: Lab, victim: Node) -> None:
    set_role(names.AWS_STATE, victim.name, names.BARE_ROLE)
    restart(lab, victim)


def _give_role_anew(lab: Lab, victim: Node) -> None:
    _give_role(lab, victim)
    # What it signs with is still current, and still another role's.
    restart(lab, victim)


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
        restarts=True,
    ),
    "role-without-bucket-access": Fault(
        "another role on the node, with no permission for the bucket",
        _give_bare_role,
        _give_role_anew,
        Expected(
            "role-denied",
            {("ROLE-2", "victim"): "warning", ("ROLE-3", "victim"): "fail", ("REPO-1", "victim"): "fail"},
            on_master=STOPS_AT_MASTER,
        ),
        restarts=True,
    ),
}
