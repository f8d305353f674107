"""pytest glue: every hook delegates to a module beside.

options: the command line; session: nodes, waivers, directory; selection: what is collected; surveying: when nodes are
asked; verdicts: how a test ended; reporting and closing: exit status and report.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from .. import __version__
from ..facts import NodeFacts, Survey
from ..redaction import redact, redact_report, redact_tree
from . import closing, listing, nodes, options, reporting, selection, session, surveying, verdicts
from .run import RUN

# -- command line and configuration ----------------------------------------------------------------------------------


def pytest_addoption(parser: pytest.Parser) -> None:
    options.add(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    selection.declare_markers(config)
    run = session.configure(config)
    if run.active and not run.worker:
        config.pluginmanager.register(reporting.Reporting(run), "preflight-reporting")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    if RUN in config.stash:
        closing.close(config.stash[RUN])


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    return listing.main(config) if config.option.list_checks else None


def pytest_report_header(config: pytest.Config) -> list[str] | None:
    run = config.stash[RUN]
    if not run.active:
        return None
    where = run.directory.path if run.directory else None
    return [f"preflight {__version__}: {', '.join(run.names)}; report in {where}", *run.header]


@pytest.hookimpl(optionalhook=True)
def pytest_metadata(metadata: dict[str, Any], config: pytest.Config) -> None:
    # pytest-metadata copies CI variables into the report; some hold a URL with user and password.
    kept: dict[str, Any] = {name: metadata[name] for name in ("Python", "Platform") if name in metadata}
    metadata.clear()
    metadata.update(kept, Preflight=__version__, pytest=pytest.__version__)


# -- collection ------------------------------------------------------------------------------------------------------


def pytest_ignore_collect(collection_path: Any, config: pytest.Config) -> bool | None:
    return selection.ignored(config.stash[RUN], collection_path)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    nodes.parametrize(metafunc, metafunc.config.stash[RUN])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    selection.describe(items)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    surveying.after_selection(session.config.stash[RUN], session)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    redact_report(report)


# -- the survey ------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    surveying.before_tests(session.config.stash[RUN], session)
    return (yield)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    session.brief_worker(node.config.stash[RUN], node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: list[str]) -> None:
    surveying.before_scheduling(node.config.stash[RUN], node.gateway.id, ids)


# -- fixtures --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def _given_node(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def survey(pytestconfig: pytest.Config) -> Survey:
    """Everything this run has seen of all nodes and clusters."""
    return surveying.the_survey(pytestconfig.stash[RUN])


@pytest.fixture(scope="session")
def node(_given_node: str, survey: Survey) -> NodeFacts:
    """What was seen of one given node; a test that takes it runs once for each."""
    return survey.node(_given_node)


@pytest.fixture(scope="session")
def host(_given_node: str, pytestconfig: pytest.Config) -> Any:
    """testinfra's host for tests of your own, once for each given node, over the run's one login to it."""
    return nodes.testinfra_host(pytestconfig.stash[RUN], _given_node)


# -- outcomes --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    with verdicts.untraced(item, call):
        report = yield
    verdicts.judge(item.config.stash[RUN], item, call, report)
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(report: Any) -> tuple[str, str, Any] | None:
    return verdicts.status(report)


# -- secrets in what pytest itself prints ----------------------------------------------------------------------------


@pytest.hookimpl(tryfirst=True)
def pytest_internalerror(excrepr: Any) -> None:
    redact_tree(excrepr)


@pytest.hookimpl(tryfirst=True)
def pytest_warning_recorded(warning_message: Any) -> None:
    text = str(warning_message.message)
    if redact(text) != text:
        warning_message.message = redact(text)
