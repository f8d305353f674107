"""Ask every node at once, twice, and write down what was seen. Judges nothing; raises nothing but a user's interrupt.

First question: who are you? (the probe's sections, and the node's own view of its cluster.) The answers say who the
members are, so the second can be put: try the paths (every member's ports, the route to each, every bucket). `_verify`
runs while the nodes try. One login and one process a node serve all of it.
"""

from __future__ import annotations

import os
import shlex
import socket
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from . import __version__, targets
from .connection import Completed, Connection
from .connection.connections import Connections
from .connection.errors import ConnectionFailed, ForwardingForbidden
from .facts import (
    FORMAT,
    BucketPath,
    ChosenPath,
    Cluster,
    Config,
    Dial,
    Imds,
    Install,
    Keystore,
    Login,
    NodeFacts,
    Options,
    Process,
    Routing,
    Survey,
    System,
    Unknown,
    Verification,
    View,
)
from .inventory import Node
from .probe.session import ProbeFailed, Session
from .s3 import s3_repositories

Need = str
Progress = Callable[[str], None]
T = TypeVar("T")

SECTIONS: dict[str, Any] = {
    "system": System,
    "install": Install,
    "process": Process,
    "keystore": Keystore,
    "config": Config,
    "imds": Imds,
    "routing": Routing,
}
ALWAYS = {"system", "install", "process"}
NOT_WANTED = Unknown(reason="not gathered: no selected check needs it")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How to ask. Timeouts in seconds; the other fields as the options of the same name.

    connections: the run's logins, shared with a user's own tests; environ: where the Elasticsearch login is looked up
    ssh: what stands between "ssh" and the host in printed commands
    """

    connections: Connections
    connect_timeout: float = 5.0
    command_timeout: float = 30.0
    verify_timeout: float = 180.0
    insecure_host_keys: bool = False
    reference: str | None = None
    complete: bool = False
    read_only: bool = False
    es_url: str | None = None
    es_ca: Path | None = None
    ssh: str = ""
    environ: Mapping[str, str] = msgspec.field(default_factory=lambda: os.environ)


def run(
    nodes: Sequence[Node],
    settings: Settings,
    needs: Collection[Need],
    progress: Progress = lambda line: None,
    cancelled: threading.Event | None = None,
) -> Survey:
    """Survey the nodes for the sections in `needs` (names as in check.Need).

    progress: called with one line whenever there is something to say; cancelled: set it to give up early.
    A node that cannot be surveyed is Unknown in every section, its reason in `login`.
    """
    return _Run(nodes, settings, frozenset(needs), progress, cancelled or threading.Event()).survey()


class _Asked:
    """One node while the survey runs."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.connection: Connection | None = None
        self.session: Session | None = None
        self.api: Any = None
        self.sections: dict[str, Any] = dict.fromkeys(SECTIONS, NOT_WANTED)
        self.login: Login | Unknown = Unknown(reason="not asked")
        self.view: View | Unknown = NOT_WANTED
        self.dials: tuple[Dial, ...] | Unknown = NOT_WANTED
        self.paths: tuple[ChosenPath, ...] | Unknown = NOT_WANTED
        self.buckets: tuple[BucketPath, ...] | Unknown = NOT_WANTED

    def unreachable(self, reason: str, remedy: str) -> None:
        """The whole node is unknown; only its login says why, the rest is blocked by it."""
        self.login = Unknown(reason=reason, remedy=remedy)
        blocked = Unknown(reason=f"{self.node.name} could not be surveyed (NODE-1)", blocked=True)
        self.sections = dict.fromkeys(SECTIONS, blocked)
        self.view = self.dials = self.paths = self.buckets = blocked

    def facts(self) -> NodeFacts:
        """What is known of it now."""
        return NodeFacts(
            name=self.node.name,
            host=self.node.host,
            login=self.login,
            view=self.view,
            dials=self.dials,
            paths=self.paths,
            buckets=self.buckets,
            **self.sections,
        )


class _Run:
    def __init__(
        self,
        nodes: Sequence[Node],
        settings: Settings,
        needs: frozenset[Need],
        progress: Progress,
        cancelled: threading.Event,
    ) -> None:
        self.settings, self.needs, self.progress, self.cancelled = settings, needs, progress, cancelled
        self.asked = [_Asked(node) for node in nodes]
        self.wants_buckets = "buckets" in needs
        self.wants_paths = "paths" in needs
        self.wants_dials = "dials" in needs
        self.wants_verify = "verify" in needs
        self.wants_cluster = bool(needs & {"view", "cluster", "verify", "dials", "paths", "buckets"})
        self.sections = sorted(
            set(SECTIONS)
            & (
                set(needs)
                | ALWAYS
                | ({"config"} if self.wants_cluster else set())
                | ({"imds"} if self.wants_buckets else set())
                | ({"routing"} if self.wants_paths else set())
            )
        )

    def survey(self) -> Survey:
        started = time.time()
        settings = self.settings
        if self.wants_cluster:
            # Half the client's cost is its import; it overlaps with the logins.
            threading.Thread(target=_import_client, daemon=True).start()
        limit = 2 * settings.connect_timeout + settings.command_timeout
        self._together(dict.fromkeys(self.asked, self._first_question), limit, "no answer to the first question")
        clusters = self._clusters() if self.wants_cluster else []
        self._second_question(clusters)
        for asked in self.asked:
            if asked.api is not None:
                asked.api.close()
            if asked.session is not None:
                asked.session.close()
        return Survey(
            format=FORMAT,
            version=__version__,
            started=started,
            finished=time.time(),
            options=Options(
                reference=settings.reference,
                complete=settings.complete,
                read_only=settings.read_only,
                insecure_host_keys=settings.insecure_host_keys,
                ssh=settings.ssh,
                elasticsearch_login=self._login_kind(),
            ),
            nodes=tuple(asked.facts() for asked in self.asked),
            clusters=tuple(clusters),
        )

    # -- the first question ------------------------------------------------------------------------------------------

    def _first_question(self, asked: _Asked) -> None:
        node, settings = asked.node, self.settings
        started = time.monotonic()
        try:
            asked.connection = settings.connections.get(node)
            asked.session = Session(
                asked.connection, sudo=node.sudo, sudo_user=node.sudo_user, start_timeout=settings.command_timeout
            )
        except (ConnectionFailed, ProbeFailed) as error:
            asked.unreachable(str(error), error.remedy)
            self.progress(f"{node.name}: {error}")
            return
        asked.login = Login(
            user=asked.connection.user,
            sudo_user=(node.sudo_user or "root") if node.sudo else None,
            carrier="paramiko",
            milliseconds=round((time.monotonic() - started) * 1000, 1),
            host_key="not verified" if settings.insecure_host_keys else "verified",
        )
        self._first_answer(asked)
        self.progress(f"{node.name}: {asked.login.reason if isinstance(asked.login, Unknown) else 'surveyed'}")

    def _first_answer(self, asked: _Asked) -> None:
        """The sections of a node that is logged in to, and its view of the cluster."""
        if asked.session is None:
            return
        limit = self.settings.command_timeout
        try:
            offset = asked.session.clock_offset(limit)
            answer = asked.session.ask({"ask": "facts", "sections": self.sections, "deadline": limit}, limit)
        except (ConnectionFailed, ProbeFailed) as error:
            asked.unreachable(str(error), error.remedy)
            return
        for name in self.sections:
            asked.sections[name] = _section(answer.get("sections", {}).get(name), SECTIONS[name], name)
        system = asked.sections["system"]
        if isinstance(system, System):
            asked.sections["system"] = msgspec.structs.replace(system, clock_offset=round(offset, 3))
        if self.wants_cluster and self.settings.es_url is None:
            asked.view = self._view(asked)

    def _view(self, asked: _Asked) -> View | Unknown:
        from . import elastic

        process, config = asked.sections["process"], asked.sections["config"]
        if process is None:
            return Unknown(reason=f"no Elasticsearch process runs on {asked.node.name}")
        login = self._credentials(asked.node)
        if isinstance(login, Unknown):
            return login
        if asked.node.es_url:
            urls, carrier = [asked.node.es_url], None
        else:
            host, port, schemes = targets.http(process, config)
            urls = [targets.url(scheme, host, port) for scheme in schemes]
            carrier = _Carrier(asked, host, port)
        refused: Unknown = Unknown(reason="Elasticsearch was not asked")
        for url in urls:
            try:
                api = elastic.Api(
                    url,
                    login,
                    ca=self._authority(asked) if url.startswith("https:") else None,
                    dial=carrier,
                    check_name=carrier is None or self.settings.insecure_host_keys,
                    timeout=self.settings.command_timeout,
                )
                view = api.view("direct")
            except elastic.Refused as error:
                refused = error.unknown()
                continue
            asked.api = api
            return msgspec.structs.replace(view, carrier=carrier.used) if carrier else view
        return refused

    def _credentials(self, node: Node) -> Any:
        from . import elastic

        try:
            login = elastic.credentials(
                self.settings.environ,
                user=node.es_user,
                password_file=node.es_password_file,
                api_key_file=node.es_api_key_file,
            )
        except ValueError as error:
            return Unknown(reason=str(error))
        return login or Unknown(
            reason="no login for Elasticsearch was given",
            remedy="set ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER and ES_PREFLIGHT_PASSWORD_FILE",
        )

    def _login_kind(self) -> str | None:
        if not self.asked or not self.wants_cluster:
            return None
        login = self._credentials(self.asked[0].node)
        return None if isinstance(login, Unknown) else login.kind

    def _authority(self, asked: _Asked) -> str | None:
        """PEM text of the CA for the node's HTTP certificate: the option's file, else the node's own."""
        given = asked.node.es_ca or self.settings.es_ca
        if given:
            try:
                return Path(given).read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError):
                return ""
        config = asked.sections["config"]
        if asked.connection is None or not isinstance(config, Config):
            return None
        written = config.settings.get("xpack.security.http.ssl.certificate_authorities", "certs/http_ca.crt")
        first = written.strip("[]").split(",")[0].strip().strip("\"'")
        path = str(Path(config.path).parent / first)
        command = f"cat {shlex.quote(path)}"
        if asked.node.sudo:
            command = f"sudo -n {f'-u {shlex.quote(asked.node.sudo_user)} ' if asked.node.sudo_user else ''}{command}"
        try:
            done: Completed = asked.connection.run(command, deadline=self.settings.command_timeout)
        except ConnectionFailed:
            return None
        text = done.stdout.decode("ascii", "replace")
        return text if done.exit_status == 0 and "BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text else None

    # -- clusters and the second question ----------------------------------------------------------------------------

    def _clusters(self) -> list[Cluster]:
        from . import elastic

        clusters: dict[str, Cluster] = {}
        if self.settings.es_url is not None:
            return self._cluster_by_url(self.settings.es_url)
        # The elected master answers for itself first: one hop less for everything that follows.
        order = sorted(self.asked, key=lambda a: not (isinstance(a.view, View) and a.view.master_id == a.view.node_id))
        for asked in order:
            if isinstance(asked.view, View) and asked.view.cluster_uuid not in clusters:
                try:
                    clusters[asked.view.cluster_uuid] = asked.api.cluster(asked.view, asked.node.name)
                except elastic.Refused as error:
                    self.progress(f"{asked.node.name}: {error}")
        return list(clusters.values())

    def _cluster_by_url(self, url: str) -> list[Cluster]:
        from . import elastic

        login = self._credentials(self.asked[0].node)
        if isinstance(login, Unknown):
            for asked in self.asked:
                if not isinstance(asked.view, Unknown) or not asked.view.blocked:
                    asked.view = login
            return []
        given = self.settings.es_ca
        try:
            api = elastic.Api(
                url,
                login,
                ca=given.read_text(encoding="ascii") if given else None,
                timeout=self.settings.command_timeout,
            )
            view = api.view("direct")
            cluster = api.cluster(view, url)
        except (elastic.Refused, OSError, UnicodeDecodeError) as error:
            refused = error.unknown() if isinstance(error, elastic.Refused) else Unknown(reason=f"cannot read {given}")
            for asked in self.asked:
                if not (isinstance(asked.view, Unknown) and asked.view.blocked):
                    asked.view = refused
            return []
        for asked in self.asked:
            if isinstance(asked.login, Unknown):
                continue
            asked.view = targets.matched(
                asked.node.name, asked.node.host, asked.sections["process"], asked.sections["routing"], cluster, view
            )
            if isinstance(asked.view, View):
                asked.api = api
        return [cluster]

    def _second_question(self, clusters: list[Cluster]) -> None:
        jobs: dict[Any, Callable[[Any], None]] = {}
        if self.wants_dials or self.wants_paths or self.wants_buckets:
            jobs.update({a: lambda a: self._try(a, clusters) for a in self.asked if a.session is not None})
        verified: dict[int, tuple[Verification | Unknown, ...]] = {}
        limit = 2 * self.settings.connect_timeout + self.settings.command_timeout
        if self.wants_verify and not self.settings.read_only:
            for index, cluster in enumerate(clusters):
                jobs[index] = lambda index: self._verify(index, clusters, verified)
                count = len(s3_repositories(cluster.repositories))
                limit = max(limit, count * (self.settings.verify_timeout + 10))
        self._together(jobs, limit, "no answer to the second question")
        for index, cluster in enumerate(clusters):
            found: tuple[Verification | Unknown, ...] | Unknown
            if not self.wants_verify:
                found = NOT_WANTED
            elif self.settings.read_only:
                found = Unknown(reason="not asked: --read-only (_verify writes and deletes a marker object)")
            else:
                found = verified.get(index, Unknown(reason="_verify was not finished"))
            clusters[index] = msgspec.structs.replace(cluster, verifications=found)

    def _verify(self, index: int, clusters: list[Cluster], verified: dict[int, Any]) -> None:
        """Every S3 repository of one cluster, one after another: Elasticsearch itself writes while it verifies."""
        cluster = clusters[index]
        api = next(
            (a.api for a in self.asked if a.api and isinstance(a.view, View) and a.view.cluster_uuid == cluster.uuid),
            None,
        )
        results: list[Verification | Unknown] = []
        for repository in s3_repositories(cluster.repositories):
            if api is None or self.cancelled.is_set():
                break
            result = api.verify(repository.name, self.settings.verify_timeout)
            if isinstance(result, Verification) and result.master_before != result.master_after:
                # The answer of a run that lost its master says nothing about S3: once more.
                result = api.verify(repository.name, self.settings.verify_timeout)
            results.append(result)
            verified[index] = tuple(results)
        verified[index] = tuple(results)

    def _try(self, asked: _Asked, clusters: list[Cluster]) -> None:
        """The second question; where Elasticsearch was restarted meanwhile, both questions once more."""
        self._try_paths(asked, clusters)
        if not self._restarted(asked):
            return
        self.progress(f"{asked.node.name}: Elasticsearch was restarted during the run, asking once more")
        self._first_answer(asked)
        self._try_paths(asked, clusters)
        if self._restarted(asked):
            changed = Unknown(reason=f"Elasticsearch on {asked.node.name} was restarted during the run")
            asked.view = asked.dials = asked.paths = asked.buckets = changed

    def _restarted(self, asked: _Asked) -> bool:
        before = asked.sections["process"]
        if asked.session is None or not isinstance(before, Process):
            return False
        try:
            answer = asked.session.ask(
                {"ask": "facts", "sections": ["process"], "deadline": self.settings.command_timeout},
                self.settings.command_timeout,
            )
        except (ConnectionFailed, ProbeFailed):
            return False
        now = _section(answer.get("sections", {}).get("process"), Process, "process")
        return now is None or (isinstance(now, Process) and (now.pid, now.started) != (before.pid, before.started))

    def _try_paths(self, asked: _Asked, clusters: list[Cluster]) -> None:
        if asked.session is None:
            return
        facts = asked.facts()
        cluster = self._cluster_for(asked, clusters)
        dials = self._dials(asked, cluster) if self.wants_dials or self.wants_paths else []
        question: dict[str, Any] = {
            "ask": "paths",
            "connect_timeout": self.settings.connect_timeout,
            "deadline": self.settings.command_timeout,
            "dials": dials if self.wants_dials else [],
            "destinations": targets.destinations(dials) if self.wants_paths else [],
            "buckets": targets.buckets(facts, cluster) if (self.wants_buckets or self.wants_paths) and cluster else [],
        }
        try:
            answer = asked.session.ask(question, self.settings.command_timeout + 2 * self.settings.connect_timeout)
        except (ConnectionFailed, ProbeFailed) as error:
            asked.dials = asked.paths = asked.buckets = Unknown(reason=str(error), remedy=error.remedy)
            return
        if self.wants_dials:
            found = [{**dial, "assumed": cluster is None} for dial in answer.get("dials", ())]
            asked.dials = _converted(found, tuple[Dial, ...], "dials")
        if self.wants_paths:
            asked.paths = _converted(answer.get("paths"), tuple[ChosenPath, ...], "paths")
        if self.wants_buckets:
            asked.buckets = (
                _converted(answer.get("buckets"), tuple[BucketPath, ...], "buckets")
                if cluster and not isinstance(cluster.repositories, Unknown)
                else Unknown(reason="the cluster's repositories are not known")
            )

    def _cluster_for(self, asked: _Asked, clusters: list[Cluster]) -> Cluster | None:
        """Its own cluster; for a node that could not say, the only one there is."""
        if isinstance(asked.view, View):
            return next((c for c in clusters if c.uuid == asked.view.cluster_uuid), None)
        return clusters[0] if len(clusters) == 1 else None

    def _dials(self, asked: _Asked, cluster: Cluster | None) -> list[dict[str, str]]:
        if cluster is not None:
            return targets.members(cluster, asked.view.node_id if isinstance(asked.view, View) else None)
        others = (other for other in self.asked if other is not asked and not isinstance(other.login, Unknown))
        return targets.assumed((other.node.name, other.node.host, other.sections["process"]) for other in others)

    # -- together ----------------------------------------------------------------------------------------------------

    def _together(self, jobs: Mapping[Any, Callable[[Any], None]], limit: float, late: str) -> None:
        """Run every job in a thread of its own, each within `limit` seconds. Threads are daemons: a blocked one must
        not keep an interrupted run alive."""
        done = {key: threading.Event() for key in jobs}

        def work(key: Any) -> None:
            try:
                jobs[key](key)
            except Exception as error:  # our own bug must cost one node's answer, never the run
                if isinstance(key, _Asked):
                    key.unreachable(f"our own bug in the survey: {type(error).__name__} {_where(error)}", "")
            finally:
                done[key].set()

        for key in jobs:
            threading.Thread(target=work, args=(key,), daemon=True).start()
        end = time.monotonic() + limit
        for key, event in done.items():
            while not event.wait(0.2):
                if self.cancelled.is_set() or time.monotonic() > end:
                    break
            if not event.is_set() and isinstance(key, _Asked) and isinstance(key.login, Unknown):
                key.unreachable(f"{late} within {limit:g} s", "give it longer with --command-timeout")


class _Carrier:
    """Dials the node's HTTP address: a channel of the SSH login, or through the probe where sshd forbids forwarding."""

    def __init__(self, asked: _Asked, host: str, port: int) -> None:
        self.asked, self.host, self.port = asked, host, port
        self.used = "direct-tcpip"

    def __call__(self, limit: float) -> socket.socket:
        if self.asked.connection is None or self.asked.session is None:
            raise OSError("not logged in")
        try:
            if self.used == "direct-tcpip":
                try:
                    return self.asked.connection.tunnel(self.host, self.port, limit)
                except ForwardingForbidden:
                    self.used = "probe"
            return self.asked.session.relay(self.host, self.port, limit)
        except (ConnectionFailed, ProbeFailed) as error:
            raise OSError(str(error)) from error


def _import_client() -> None:
    from . import elastic  # noqa: F401


def _where(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"in {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else ""


def _section(answer: object, kind: type[T], name: str) -> T | Unknown | None:
    if not isinstance(answer, dict):
        return Unknown(reason=f"the probe gave no answer to section {name}")
    if "unknown" in answer:
        return Unknown(reason=str(answer["unknown"]), remedy=str(answer.get("remedy", "")))
    value = answer.get("value")
    if value is None and name in ("install", "process"):
        return None
    return _converted(value, kind, name)


def _converted(value: object, kind: type[T], name: str) -> T | Unknown:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return Unknown(reason=f"our own bug: the probe's {name} do not fit the facts: {error}")
