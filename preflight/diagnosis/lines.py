"""Each node's state in words: one line, the same for a healthy node and a broken one."""

from __future__ import annotations

from collections.abc import Callable

from ..facts import CouldNotCheck, NodeFacts, Repository, Survey, Unknown
from ..judgement import NodeLine, NotApplicable
from ..rules import keystore, members, path, repository, restart, role, routes, sources
from ..rules import node as rules
from . import evidence

KEYS = {
    "refused": "static keys in use, refused by S3",
    "waiting": "static keys on disk, not loaded yet",
    "accepted": "static keys in use, accepted by S3",
    "unknown": "static keys in the keystore, cannot tell whether in use",
    "unused": "static keys in the keystore that nothing signs with",
}
"""What a line says of static keys: of the worst use among the clients'."""

NOT_GATHERED = "not gathered"
"""How a section begins that no selected check needed: a line says nothing about it."""


def node_lines(survey: Survey) -> tuple[NodeLine, ...]:
    """One line a node, in the order given."""
    return tuple(NodeLine(node=node.name, text=_text(survey, node)) for node in survey.nodes)


def _text(survey: Survey, node: NodeFacts) -> str:
    if isinstance(node.login, Unknown):
        return f"could not be surveyed: {node.login.reason.removeprefix(f'{node.name}: ')}"
    unnamed = rules.not_told(node)
    if unnamed is not None:
        return f"could not be surveyed: {unnamed.reason}"
    parts = (_part(what, ask, survey, node) for what, ask in PARTS)
    return "; ".join(part for part in parts if part) or "surveyed"


def _part(what: str, ask: Callable[[Survey, NodeFacts], str], survey: Survey, node: NodeFacts) -> str:
    try:
        return ask(survey, node)
    except NotApplicable:
        return ""
    except CouldNotCheck as error:
        return "" if error.reason.startswith(NOT_GATHERED) else f"{what} unknown: {error.reason}"


def _process(survey: Survey, node: NodeFacts) -> str:
    if isinstance(node.view, Unknown):
        return "Elasticsearch does not run" if node.process is None else ""
    return "elected master" if node.view.master_id == node.view.node_id else ""


def _keys(survey: Survey, node: NodeFacts) -> str:
    found = keystore.client_keys(survey, node)
    if not found:
        return _outside(survey, node) or _in_memory(survey, node) or "no static keys"
    uses = {keys.use for keys in found}
    worst = next(use for use in KEYS if use in uses)
    words = KEYS[worst] + (evidence.refused_since(survey, node) if worst == "refused" else "")
    return words if keystore.amiss(survey, node) else f"{words} (declared)"


def _in_memory(survey: Survey, node: NodeFacts) -> str | None:
    try:
        if keystore.only_in_memory(survey, node) is None:
            return None
    except (CouldNotCheck, NotApplicable):
        return None
    return (
        f"static keys removed from the keystore, still in memory, refused by S3{evidence.refused_since(survey, node)}"
    )


def _outside(survey: Survey, node: NodeFacts) -> str:
    """Static keys that come from elsewhere than the keystore; "" where none is seen."""
    try:
        sources.on_aws(survey, node)
        used = sources.in_use(survey, node)
        waiting = sources.waiting(survey, node)
    except (CouldNotCheck, NotApplicable):
        return ""  # SRC-1 says so
    if used:
        where = members.listed([sources.WHERE[keys.source or ""] for keys in used])
        state = (
            f"refused by S3{evidence.refused_since(survey, node)}"
            if sources.refusal(survey, node)
            else "not refused by S3"
        )
        return f"static keys in {where} of the process, {state}"
    return "static keys on disk for the next start" if waiting else ""


def _role(survey: Survey, node: NodeFacts) -> str:
    try:
        wanted: tuple[Repository, ...] | None = role.repositories(survey, node)
    except CouldNotCheck:
        wanted = None
    why = role.unproven(node, wanted)
    if why is not None and why.startswith(NOT_GATHERED):
        return ""
    return "role proven on this node" if why is None else f"role not proven: {why}"


def _safe(survey: Survey, node: NodeFacts) -> str:
    try:
        found = keystore.amiss(survey, node)
    except CouldNotCheck:
        return ""  # "static keys unknown" has said it
    if not found:
        return _safe_outside(survey, node)
    if any(keys.intended for keys in found):
        return ""  # to be replaced
    proven = all(keystore.needed_still(node, keys) is None for keys in found)
    return "safe to remove: " + ("yes" if proven else "no")


def _safe_outside(survey: Survey, node: NodeFacts) -> str:
    try:
        repositories, used = sources.on_aws(survey, node), sources.in_use(survey, node)
    except (CouldNotCheck, NotApplicable):
        return ""
    if not used:
        return ""
    return "safe to remove: " + ("yes" if role.unproven(node, repositories) is None else "no")


def _routes(survey: Survey, node: NodeFacts) -> str:
    if survey.options.reference == node.name:
        return "the reference node"
    beside = routes.compared(survey, node)
    if beside.reference is None:
        return "routes differ between the nodes, none in the majority"
    return f"routes differ from {beside.reference}'s" if beside.differs else "routes as the reference"


def _path(survey: Survey, node: NodeFacts) -> str:
    if isinstance(node.buckets, Unknown):
        return ""
    proxied = routes.proxied_repositories(survey, node)
    broken = [b.repository for b in node.buckets if b.tcp != "open" and b.repository not in proxied and path.problem(b)]
    return f"S3 not reached ({members.listed(broken)})" if broken else ""


def _verify(survey: Survey, node: NodeFacts) -> str:
    if isinstance(node.view, Unknown):
        return ""
    try:
        return "_verify passes" if repository.verifies(survey, node) is None else "_verify fails"
    except CouldNotCheck as error:
        if error.reason.startswith(repository.STOPS):
            return "_verify stopped at the elected master"
        raise


def _reload(survey: Survey, node: NodeFacts) -> str:
    """Whether the process forgets the keys it has by a reload; "" where it is not known to have any."""
    try:
        sources.on_aws(survey, node)
        outside = sources.in_use(survey, node)
        loaded = {keys.use for keys in keystore.client_keys(survey, node)} & {"refused", "accepted"}
    except (CouldNotCheck, NotApplicable):
        return ""
    if outside:
        return "reload enough: no"
    return "reload enough: yes" if loaded or _in_memory(survey, node) else ""


def _restart(survey: Survey, node: NodeFacts) -> str:
    found = restart.judge(survey, node)
    if found.reasons:
        return "would survive a restart: no"
    if node.process is None or (found.doubt is not None and found.doubt.reason.startswith(NOT_GATHERED)):
        return ""
    return "would survive a restart: " + ("not known" if found.doubt or found.changes else "yes")


PARTS: tuple[tuple[str, Callable[[Survey, NodeFacts], str]], ...] = (
    ("process", _process),
    ("static keys", _keys),
    ("role", _role),
    ("safe to remove", _safe),
    ("reload", _reload),
    ("restart", _restart),
    ("routes", _routes),
    ("path to S3", _path),
    ("_verify", _verify),
)
"""What a line says, in this order, and what to call it where it is unknown."""
