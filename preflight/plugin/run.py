"""What one pytest session knows of its preflight run: the state that the plugin's modules share."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from .. import waivers
from ..facts import Survey
from ..judgement import Diagnosis
from ..outcomes import Outcome
from .directory import RunDirectory
from .options import Choices
from .signals import Signals

if TYPE_CHECKING:
    from ..connection.connections import Connections
    from ..inventory import Node


@dataclasses.dataclass
class Tally:
    """Tests that are neither a check nor run on a node: they count, but have no outcome record."""

    passed: int = 0
    failed: int = 0
    unchecked: int = 0
    collection_errors: int = 0


@dataclasses.dataclass
class Run:
    """One preflight run, in the process that runs pytest and in each of its xdist workers.

    names: of the given nodes; usage: why there are none, None where there are; header: how they were found, a line each
    recorded: the survey that --facts names; survey: what the checks judge, None until gathered
    umask: the one before ours; interrupted: by what, None where nothing did
    troubles: bugs of ours after the tests, a line each
    """

    config: pytest.Config
    choices: Choices
    started: datetime.datetime
    names: tuple[str, ...] = ()
    nodes: tuple[Node, ...] = ()
    usage: str | None = None
    header: list[str] = dataclasses.field(default_factory=list)
    recorded: Survey | None = None
    survey: Survey | None = None
    directory: RunDirectory | None = None
    umask: int | None = None
    waivers: waivers.Waivers = waivers.NONE
    signals: Signals = dataclasses.field(default_factory=Signals)
    connections: Connections | None = None
    outcomes: list[Outcome] = dataclasses.field(default_factory=list)
    tally: Tally = dataclasses.field(default_factory=Tally)
    interrupted: str | None = None
    diagnosis: Diagnosis | None = None
    troubles: list[str] = dataclasses.field(default_factory=list)

    @property
    def active(self) -> bool:
        """Nodes were given: there will be outcomes, a report and an exit status of ours."""
        return bool(self.names)

    @property
    def worker(self) -> bool:
        """This process is an xdist worker."""
        return hasattr(self.config, "workerinput")

    def guarded(self, what: str, action: Callable[[], Any]) -> Any:
        """What action returns; None where it raised, which becomes a line of troubles. Losing one part of the
        report to a bug of ours is bad, losing all of it is worse."""
        try:
            return action()
        except Exception as error:
            self.troubles.append(f"{what} failed by a bug of ours: {bug(error)}")
            return None


RUN = pytest.StashKey[Run]()


def bug(error: BaseException) -> str:
    """An exception as type and place. Never its text: that may hold anything."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(error).__name__
    path = trace.tb_frame.f_code.co_filename.replace("\\", "/")
    return f"{type(error).__name__} in {'/'.join(path.split('/')[-2:])}:{trace.tb_lineno}"
