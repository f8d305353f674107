"""From the command line to a run: which nodes, which waivers, which directory, and where pytest's reports go."""

from __future__ import annotations

import datetime
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from .. import facts, redaction, waivers
from . import directory
from .nodes import replace_testinfras_backend
from .options import Choices, only_looks, read
from .run import RUN, Run
from .selection import refuse_selftests

DEFAULT_WAIVERS = Path("waivers.yml")


def configure(config: pytest.Config) -> Run:
    """The run that the command line asks for. Raises pytest.UsageError."""
    looking = only_looks(config)
    choices = Choices() if looking and config.option.help else read(config)
    run = Run(config=config, choices=choices, started=datetime.datetime.now(datetime.timezone.utc))
    config.stash[RUN] = run
    if not looking:
        _give_nodes(run)
    if run.active:
        _begin(run)
    return run


def _give_nodes(run: Run) -> None:
    choices = run.choices
    if choices.facts:
        run.recorded = recorded(choices.facts, choices)
        run.names = tuple(node.name for node in run.recorded.nodes)
        if not run.names:
            run.usage = f"--facts={choices.facts} records no node"
        return
    if run.worker:
        _take_nodes(run, run.config.workerinput["preflight"])  # type: ignore[attr-defined]
        return
    from ..inventory import Defaults, InventoryError, expand

    defaults = Defaults(
        carrier=choices.carrier,
        ssh_config=str(choices.ssh_config) if choices.ssh_config else None,
        identity_file=str(choices.ssh_identity_file) if choices.ssh_identity_file else None,
        sudo=choices.sudo,
        sudo_user=choices.sudo_user,
        aws_profile=choices.aws_profile,
    )
    try:
        run.nodes = expand(choices.hosts, choices.inventory, defaults, run.header.append, by_ansible=choices.by_ansible)
    except InventoryError as error:
        run.usage = str(error)
        return
    _name_nodes(run)


def _take_nodes(run: Run, given: dict[str, Any]) -> None:
    """What the controller found: asked again, AWS may answer otherwise to each worker."""
    from ..inventory import Node

    run.usage = given["usage"]
    run.nodes = msgspec.json.decode(given["nodes"], type=tuple[Node, ...])
    _name_nodes(run)


def _name_nodes(run: Run) -> None:
    run.names = tuple(node.name for node in run.nodes)
    for node in run.nodes:
        if node.password:
            redaction.hide(node.password)


def recorded(file: Path, choices: Choices) -> facts.Survey:
    """The survey in --facts, judged by this run's --reference and --complete where they are given."""
    try:
        survey = facts.load(file.read_bytes())
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--facts={file}: {error}") from error
    options = msgspec.structs.replace(
        survey.options,
        reference=choices.reference or survey.options.reference,
        complete=choices.complete or survey.options.complete,
    )
    return msgspec.structs.replace(survey, options=options)


def _begin(run: Run) -> None:
    choices = run.choices
    refuse_selftests(run.config)
    if choices.reference and choices.reference not in run.names:
        raise pytest.UsageError(f"--reference={choices.reference} is none of the given nodes: {', '.join(run.names)}")
    run.waivers = _waivers(run)
    redaction.start()
    if run.nodes:
        replace_testinfras_backend(run)
    if run.worker:
        given = run.config.workerinput["preflight"]  # type: ignore[attr-defined]
        run.directory = directory.RunDirectory(Path(given["directory"]))
        run.started = datetime.datetime.fromisoformat(given["started"])
        return
    _check_login(run)
    run.umask = os.umask(0o077)
    try:
        run.directory = directory.create(choices.reports, run.started)
    except OSError as error:
        raise pytest.UsageError(
            f"--reports={choices.reports}: cannot make a directory there: {error.strerror}"
        ) from error
    option = run.config.option
    if getattr(option, "htmlpath", None) is None:
        option.htmlpath = str(run.directory.page)
        option.self_contained_html = True
    if option.xmlpath is None:
        option.xmlpath = str(run.directory.junit)
    run.signals.install()


def _waivers(run: Run) -> waivers.Waivers:
    file = run.choices.waivers or DEFAULT_WAIVERS
    if not run.choices.waivers and not file.is_file():
        return waivers.NONE
    try:
        return waivers.load(file, run.started.date())
    except waivers.WaiverError as error:
        raise pytest.UsageError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise pytest.UsageError(f"--waivers={file}: {error}") from error


def _check_login(run: Run) -> None:
    """A login that can't be read is said before anything is asked, and its secret is masked from here on."""
    if run.recorded is not None:
        return
    from ..credentials import credentials

    try:
        login = credentials(os.environ)
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error
    for secret in (login.api_key, login.password) if login else ():
        if secret:
            redaction.hide(secret)


def brief_worker(run: Run, worker: Any) -> None:
    """Tell an xdist worker, before it starts, which nodes and which directory its controller has made out."""
    worker.workerinput["preflight"] = {
        "nodes": msgspec.json.encode(run.nodes),
        "usage": run.usage,
        "directory": str(run.directory.path.absolute()) if run.directory is not None else None,
        "started": run.started.isoformat(),
    }
