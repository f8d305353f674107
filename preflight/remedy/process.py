"""Elasticsearch that does not run, and hosts that do not answer."""

from __future__ import annotations

from ..facts import Install, NodeFacts, Survey, Unknown
from ..judgement import Command, Remedy
from ..rules import cluster, restart
from ..rules import joining as rules
from . import joining
from .asking import CONTROLLER, over_ssm, unit_of, waits
from .region import drop_removed_settings
from .restart import come_back


def start_elasticsearch(survey: Survey, node: NodeFacts) -> Remedy:
    """Read why it stopped, then start it; not while its configuration is known to refuse."""
    log = Command(where=node.name, text="sudo sh -c 'tail -n 50 /var/log/elasticsearch/*.log'")
    if not isinstance(node.install, Install) or unit_of(node) is None:
        return Remedy(caution="how it is started here is not known", advice=("start it as it was started before",))
    why = waits(node)
    if why is not None:
        return Remedy(caution=why, commands=drop_removed_settings(survey, node).commands)
    ending = [reason for reason in restart.judge(survey, node).reasons if reason.kind != "waiting keys"]
    if ending:
        mend = come_back(survey, node)
        return Remedy(
            caution=f"it will not start before this is mended: {ending[0].text}",
            commands=mend.commands,
            advice=mend.advice,
        )
    return Remedy(
        commands=(Command(where=node.name, text="sudo systemctl start elasticsearch"), log),
        advice=("if it ends again, the log's last lines say why",),
    )


def join(survey: Survey, node: NodeFacts) -> Remedy:
    """Start it where it does not run, mend what leads it astray; else show what its log says of finding a master."""
    if node.process is None:
        return start_elasticsearch(survey, node)
    if first := cluster.given_before(survey, node):
        return Remedy(advice=(f"leave {node.name} or {first.name} out of --hosts or of the inventory's group",))
    outside = rules.outside(survey, node)
    if outside is not None:
        return joining.rejoin(survey, node, outside)
    if rules.apart(survey, node):
        return joining.merge(survey, node)
    return Remedy(
        caution="why it is not a member of the others' cluster is not proven: its log says",
        commands=(joining.log_of(node),),
        advice=("compare cluster.name, discovery.seed_hosts and PORT-1 of both sides",),
    )


def reach_host(survey: Survey, node: NodeFacts) -> Remedy:
    """What the login's own error suggests."""
    hint = node.login.remedy if isinstance(node.login, Unknown) else ""
    return Remedy(
        caution="until it answers, nothing on this node is known",
        commands=(Command(where=CONTROLLER, text=node.ssh if over_ssm(node) else f"{node.ssh} true"),),
        advice=(hint,) if hint else (),
    )
