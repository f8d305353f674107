"""The user's checks run on a made survey without a machine: what pytest would make of them, as outcomes."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType

from preflight.check import REGISTRY, Check
from preflight.facts import CouldNotCheck, Survey
from preflight.judgement import Failed, NotApplicable
from preflight.outcomes import Outcome

TESTS = Path(__file__).parents[2] / "tests"


@functools.cache
def _wanted(function: object) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)  # type: ignore[arg-type]


@functools.cache
def _module(path: Path) -> ModuleType:
    """A file of tests/, under a name that no selftest has."""
    spec = importlib.util.spec_from_file_location(f"checks.{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checks() -> dict[str, tuple[Check, object]]:
    """Every check of tests/ with its function, by id."""
    modules = [_module(path) for path in sorted(TESTS.glob("test_*.py"))]
    functions = {f"{m.__name__}.{name}": value for m in modules for name, value in vars(m).items() if callable(value)}
    return {id: (check, functions[check.function]) for id, check in REGISTRY.items() if check.function in functions}


def outcome(check: Check, function: object, survey: Survey, name: str) -> Outcome:
    """How one check ends on one node."""
    node = survey.node(name)
    fixtures = {"node": node, "survey": survey}
    wanted = {name: fixtures[name] for name in _wanted(function)}
    said = {"check": check.id, "node": node.name, "severity": check.severity, "title": check.title}
    try:
        function(**wanted)  # type: ignore[operator]
    except Failed as failed:
        finding = failed.finding
        warns = finding.warning or check.severity == "warning"
        return Outcome(
            **said,
            outcome="warning" if warns else "fail",
            reason=finding.observed,
            observed=finding.observed,
            expected=finding.expected,
            details=finding.details,
            remedy=failed.remedy,
        )
    except CouldNotCheck as error:
        return Outcome(**said, outcome="blocked" if error.blocked else "could not check", reason=error.reason)
    except NotApplicable as error:
        return Outcome(**said, outcome="not applicable", reason=str(error))
    return Outcome(**said, outcome="pass")


def judged(survey: Survey) -> list[Outcome]:
    """Every check on every node, node by node."""
    found = checks()
    return [outcome(*found[id], survey, node.name) for node in survey.nodes for id in found]


def not_passed(outcomes: list[Outcome]) -> dict[tuple[str, str], str]:
    """(check, node) -> outcome for whatever is neither pass nor not applicable."""
    return {(o.check, o.node): o.outcome for o in outcomes if o.outcome not in ("pass", "not applicable")}
