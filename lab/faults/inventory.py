"""What can be wrong with the list of nodes that the suite is given."""

from __future__ import annotations

from collections.abc import Mapping

from .. import ec2, names
from ..names import Node
from ..state import Lab
from .fault import Expected, Fault, Run

LOGIN = {"ES_PREFLIGHT_USER": names.PREFLIGHT_USER, "ES_PREFLIGHT_PASSWORD_FILE": str(names.PREFLIGHT_PASSWORD)}


def _tag_spare(lab: Lab, victim: Node) -> None:
    ec2.tag_spare(tagged=True)


def _untag_spare(lab: Lab, victim: Node) -> None:
    ec2.tag_spare(tagged=False)


def _by_tag(lab: Lab, victim: Node) -> Run:
    way = f"user={names.SSH_USER}&sudo=true&ssh_config={names.SSH_CONFIG}"
    return Run(
        hosts=f"ec2://{names.REGION}?tag:Cluster={names.CLUSTER}&{way}",
        options=(f"--aws-profile={ec2.PROFILE}",),
        environ={**LOGIN, "AWS_CONFIG_FILE": str(names.AWS_STATE / "config")},
        # One node tells of the cluster: the first that was given, whoever is the elected master.
        besides={"spare": ec2.SPARE, "first": lab.nodes[0].name},
    )


def _nothing(lab: Lab, victim: Node) -> None:
    """What is wrong is what the suite is given."""


def _twice(lab: Lab, victim: Node) -> Run:
    return Run(
        hosts=f"lab,{names.SSH_USER}@{victim.address}:22",
        options=("--sudo", f"--ssh-config={names.SSH_CONFIG}"),
        environ=LOGIN,
        besides={"twin": victim.address},
    )


ASKED_OF_AWS = {(f"AWS-{number}", who): "pass" for number in range(1, 8) for who in ("victim", "others")}
"""AWS is asked, and has nothing against the cluster's own instances."""

FAULTS: Mapping[str, Fault] = {
    "instance-tagged-not-joined": Fault(
        "an instance that bears the cluster's tag is no member, and nobody answers at its address",
        _tag_spare,
        _untag_spare,
        Expected(
            "host-unreachable",
            {
                **ASKED_OF_AWS,
                ("AWS-3", "first"): "warning",
                ("NODE-1", "spare"): "could not check",
                ("*", "spare"): "blocked",
                **{(f"AWS-{number}", "spare"): "blocked" for number in range(1, 8)},
            },
            besides=("finding-aws-3",),
            whose="spare",
        ),
        everywhere=True,
        run=_by_tag,
    ),
    "duplicate-node-in-inventory": Fault(
        "the node is given twice, by its name and by its address",
        _nothing,
        _nothing,
        Expected("finding-cluster-1", {("CLUSTER-1", "twin"): "warning"}, whose="twin"),
        run=_twice,
    ),
}
