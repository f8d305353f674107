"""runbook.md: what to type, where and in which order. Markdown for a ticket, for a terminal and for scripts/carry-out.

What a program reads: a line that begins with `On`, naming the host and the login, and under it blocks of one command,
each fenced with "sh PHASE HOST". A quoted line that begins with **Not yet** forbids its section, **In no hurry** keeps
it out of what is carried out unasked, **By hand** asks for a person. No other line can look like these: prose stands in
lists, wrapped and without a run of backticks.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import get_args

from ..facts import Install, NodeFacts, Survey, Unknown
from ..judgement import Cause, Command, Diagnosis, Phase, Remedy, Step
from ..outcomes import Outcome
from . import words

WIDTH = 100
PHASES: tuple[Phase, ...] = get_args(Phase)
LOGINS = {
    "user": "ES_PREFLIGHT_USER and ES_PREFLIGHT_PASSWORD_FILE",
    "api-key": "ES_PREFLIGHT_API_KEY",
}
NEVER = (
    "Never DELETE the repository, whatever a recipe says: registering it again re-reads no keystore, and searchable "
    "snapshots may hang on it."
)

UNKNOWN = "no command that mends this is known: what was seen is all there is to go by"


def text(survey: Survey, outcomes: Sequence[Outcome], diagnosis: Diagnosis, *, interrupted: bool = False) -> str:
    """The whole file; one line where there is no cause to mend."""
    warned = {(o.check, o.node) for o in outcomes if o.outcome == "warning"}
    headline = _prose(words.headline(diagnosis, interrupted))
    if not diagnosis.causes:
        return f"Nothing to carry out. {headline}\n"
    lines = ["# Runbook", "", *_item(headline, ""), "", *_preamble(survey, diagnosis), ""]
    told: dict[object, int] = {}
    for number, cause in enumerate(diagnosis.causes, 1):
        calm = bool(cause.explains) and warned.issuperset(cause.explains)
        lines += [*_section(survey, number, cause, told, calm=calm), ""]
    lines += ["## At the end", "", *_item("Run the suite again: it proves the mend, or says what is left.")]
    return "\n".join(lines) + "\n"


def _preamble(survey: Survey, diagnosis: Diagnosis) -> Iterator[str]:
    yield from _item(
        f"Made at {words.utc(survey.finished)} from what the nodes showed then. Where that is long ago, or somebody "
        "has worked on them since, run the suite again first."
    )
    yield from _item(
        "From top to bottom, each block whole, on the host that the line above it names. Where a command fails, stop: "
        "its answer and the notes of its step say why."
    )
    login = LOGINS.get(survey.options.elasticsearch_login or "")
    if login:
        yield from _item(f"Blocks for this machine, where the suite ran, take the Elasticsearch login from {login}.")
    yield from _item(NEVER)
    named = {name for cause in diagnosis.causes for name in cause.nodes}
    for node in survey.nodes:
        if node.name in named:
            yield from _item(_about(survey, node))


def _about(survey: Survey, node: NodeFacts) -> str:
    member = survey.member_of(node)
    install = node.install if isinstance(node.install, Install) else None
    version = member.version if member else install.version if install else None
    said = [f"Elasticsearch {version or 'of unknown version'}"]
    if install:
        said.append(f"installed as {install.layout}, configuration in {install.path_conf}")
    if _is_master(node):
        said.append("the elected master")
    return f"{node.name}: {', '.join(said)}"


def _is_master(node: NodeFacts) -> bool:
    return not isinstance(node.view, Unknown) and node.view.master_id == node.view.node_id


def _section(survey: Survey, number: int, cause: Cause, told: dict[object, int], *, calm: bool) -> Iterator[str]:
    """calm: warnings alone follow from the cause."""
    doubt = "" if cause.confidence == "certain" else f" ({cause.confidence})"
    yield f"## {number}. {_prose(cause.title)}{doubt}"
    yield ""
    for line in cause.evidence:
        yield from _item(line)
    remedies = _own(survey, cause)
    first = next((told[_key(remedy)] for _, remedy in remedies if _key(remedy) in told), None)
    if first is not None:
        yield from _item(f"Mended by section {first}: nothing to type here. The suite's next run says whether it was.")
        remedies = [(node, remedy) for node, remedy in remedies if _key(remedy) not in told]
        if not remedies:
            return
    told.update({_key(remedy): number for _, remedy in remedies})
    if calm:
        yield ""
        yield from _item("**In no hurry**: nothing fails by this today.", "> ", "> ")
    cautions = list(dict.fromkeys(remedy.caution for _, remedy in remedies if remedy.caution))
    for caution in cautions:
        yield ""
        yield from _item(f"**Not yet**: {caution}", "> ", "> ")
    steps = _merged([step for _, remedy in remedies for step in _steps(remedy)])
    for place, group in enumerate(steps, 1):
        yield ""
        yield f"### {number}.{place} {group[0].title}"
        yield from _step(survey, group, forbidden=bool(cautions))


def _own(survey: Survey, cause: Cause) -> list[tuple[str, Remedy]]:
    """Each node's own remedy, the elected master's last: where a restart is in it, that is the order."""
    if len(cause.remedies) != len(cause.nodes):
        return [(cause.nodes[0] if cause.nodes else "", cause.remedy)]
    pairs = list(zip(cause.nodes, cause.remedies, strict=True))
    masters = {node.name for node in survey.nodes if _is_master(node)}
    return sorted(pairs, key=lambda pair: pair[0] in masters)


def _key(remedy: Remedy) -> object:
    """What two remedies share that are the same work."""
    return remedy.steps or (remedy.commands, remedy.caution, remedy.advice)


def _steps(remedy: Remedy) -> tuple[Step, ...]:
    """A remedy's steps; one step of its commands and advice where it has none."""
    if remedy.steps:
        return remedy.steps
    if not remedy.commands and not remedy.advice:
        return () if remedy.caution else (Step(phase="change", title="Mend it", notes=(UNKNOWN,)),)
    phase: Phase = "prove" if remedy.caution else "change"
    title = "What shows it, or has to come first" if remedy.caution else "Mend it"
    return (Step(phase=phase, title=title, commands=remedy.commands, notes=remedy.advice),)


def _merged(steps: Iterable[Step]) -> list[list[Step]]:
    """The same step of several nodes becomes one, with the nodes in their order; phases in theirs."""
    groups: dict[tuple[int, str], list[Step]] = {}
    for step in steps:
        groups.setdefault((PHASES.index(step.phase), step.title), []).append(step)
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def _step(survey: Survey, group: Sequence[Step], *, forbidden: bool) -> Iterator[str]:
    notes = list(dict.fromkeys(note for step in group for note in step.notes))
    by_hand = any(not step.commands for step in group) and group[0].phase in ("change", "apply") and not forbidden
    if notes:
        yield ""
    if by_hand and notes:
        yield from _item(f"**By hand**: {notes.pop(0)}", "> ", "> ")
    for note in notes:
        yield from _item(note)
    where = None
    for command in (command for commands in dict.fromkeys(step.commands for step in group) for command in commands):
        yield ""
        if command.where != where:
            where = command.where
            yield f"{_on(survey, where)}:"
            yield ""
        yield from _block(command, group[0].phase)


def _on(survey: Survey, where: str) -> str:
    """The line that names the host, with the login in the form that this run had."""
    if where == "controller":
        return "On this machine"
    ssh = next((node.ssh for node in survey.nodes if node.name == where), None)
    return f"On {_prose(where)}" + (f", logged in by {_code(ssh)}" if ssh else "")


def _block(command: Command, phase: Phase) -> Iterator[str]:
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", command.text):
        # Neither to be shown as it is nor to be typed as it would be shown.
        yield from _item(
            "**By hand**: a name in this command holds control characters: results.jsonl has it", "> ", "> "
        )
        return
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", command.text) or [""]))
    yield f"{fence}sh {phase} {_prose(command.where)}"
    yield command.text
    yield fence


def _code(content: str) -> str:
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", content)), default=0))
    pad = " " if len(fence) > 1 else ""
    return f"{fence}{pad}{_visible(content)}{pad}{fence}"


def _item(content: str, first: str = "- ", later: str = "  ") -> list[str]:
    """One paragraph of prose, wrapped under its mark."""
    if not first:
        later = ""
    return textwrap.wrap(
        _prose(content), WIDTH, initial_indent=first, subsequent_indent=later,
        break_long_words=False, break_on_hyphens=False,
    ) or [first.rstrip()]  # fmt: skip


def _prose(content: str) -> str:
    """One line that is prose to Markdown, whatever a node sent: no markup, no fence, no control character."""
    flat = _visible(" ".join(content.split())).replace("```", "'''")
    return re.sub(r"<(?=[A-Za-z/!?])", r"\\<", flat)


def _visible(content: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda match: f"\\x{ord(match[0]):02x}", content)
