"""One node while it is surveyed: its login, its probe, its Elasticsearch, and what each of them answered."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import urlsplit

import msgspec

from . import certificates, targets, versions
from .connection import Connection, ssm_spec
from .connection.errors import ConnectionFailed, ForwardingForbidden
from .connection.ssm import SsmConnection
from .connection.way import ssh_command
from .credentials import Credentials, credentials, keystore_password
from .facts import (
    PROTECTED,
    BucketPath,
    Certificate,
    ChosenPath,
    Cluster,
    Config,
    Dial,
    Filters,
    Identity,
    LoadedCertificate,
    Login,
    NodeFacts,
    Process,
    Routing,
    System,
    Unknown,
    View,
)
from .inventory import Node
from .probe.phases import PhasedSession
from .probe.program import part
from .probe.session import ProbeFailed, Session
from .questions import SECTIONS, Settings, Wanted

if TYPE_CHECKING:
    from .elastic import Api

T = TypeVar("T")
Progress = Callable[[str], None]

NOT_WANTED = Unknown(reason="not gathered: no selected check needs it")
HANGING_UP = 1.0
"""Seconds in which a session that the node's end refuses is closed."""
PENDING = Unknown(reason="Elasticsearch has not answered yet")
"""A view while it is asked for."""


class Overtaken(Exception):
    """This thread was given up: what it still finds out comes too late to be written down."""


class Asked:
    """One node. Every method writes down what it saw; none raises for a node that does not answer.

    Only the thread that it was handed to last may write. A thread that was given up runs on until its network lets go
    of it, and its answers would contradict what the run has told by then: it gets Overtaken at its next one.
    """

    def __init__(self, node: Node, settings: Settings, wanted: Wanted) -> None:
        self.node, self.settings, self.wanted = node, settings, wanted
        self._writing, self._writer = threading.Lock(), threading.current_thread()
        self.connection: Connection | None = None
        self.session: Session | PhasedSession | None = None
        self.api: Api | None = None
        self.sections: dict[str, Any] = dict.fromkeys(SECTIONS, NOT_WANTED)
        self.login: Login | Unknown = Unknown(reason="not asked")
        self.answered, self.lists_leftovers = False, False
        # A session costs this machine a process and AWS a connection: who of a fleet is worth one, the survey says.
        self.asks_itself = node.carrier != "ssm" or node.es_url is not None
        self.view: View | Unknown = NOT_WANTED
        self.dials: tuple[Dial, ...] | Unknown = NOT_WANTED
        self.paths: tuple[ChosenPath, ...] | Unknown = NOT_WANTED
        self.buckets: tuple[BucketPath, ...] | Unknown = NOT_WANTED
        self.identity: Identity | Unknown | None = None
        self.certificates: tuple[Certificate, ...] | Unknown = NOT_WANTED
        self.loaded_certificates: tuple[LoadedCertificate, ...] | None = None
        self.filters: Filters | Unknown | None = None
        self._authorities: dict[str, str | None] = {}

    @property
    def reached(self) -> bool:
        """The node was logged in to and its probe answers."""
        return not isinstance(self.login, Unknown) and self.session is not None

    @property
    def address(self) -> str | None:
        """Where its peers find it: the host as given, or an address of its own where that is an instance id."""
        if self.node.carrier != "ssm":
            return self.node.host
        routing = self.sections["routing"]
        own = routing.addresses if isinstance(routing, Routing) else ()
        return next((address.address for address in own if address.scope == "global"), None)

    def take_over(self) -> None:
        """From now on the calling thread alone writes."""
        self.hand_over(threading.current_thread())

    def hand_over(self, thread: threading.Thread) -> None:
        """From now on that thread alone writes."""
        with self._writing:
            self._writer = thread

    def write(self, **seen: Any) -> None:
        """Set those attributes, all or none. Raises Overtaken."""
        with self._writing:
            if self._writer is not threading.current_thread():
                raise Overtaken
            for name, value in seen.items():
                setattr(self, name, value)

    def facts(self) -> NodeFacts:
        """What is known of it now."""
        return NodeFacts(
            name=self.node.name,
            host=self.node.host,
            ssh=login_command(self.node),
            login=self.login,
            view=self.view,
            dials=self.dials,
            paths=self.paths,
            buckets=self.buckets,
            identity=self.identity,
            certificates=self.certificates,
            loaded_certificates=self.loaded_certificates,
            static_key_clients=self.node.static_key_clients,
            filters=self.filters,
            **self.sections,
        )

    def close(self) -> None:
        """End what was opened for it but the login, which the run owns."""
        if self.api is not None:
            self.api.close()
        if self.session is not None:
            self.session.close()
        if isinstance(self.connection, SsmConnection):
            self.connection.close()  # a session of its own, not a login

    def unreachable(self, reason: str, remedy: str = "") -> None:
        """The whole node is unknown; only its login says why, the rest is blocked by it."""
        blocked = Unknown(reason=f"{self.node.name} could not be surveyed (NODE-1)", blocked=True)
        self.write(
            login=Unknown(reason=reason, remedy=remedy),
            sections=dict.fromkeys(SECTIONS, blocked),
            **dict.fromkeys(("view", "dials", "paths", "buckets", "certificates"), blocked),
        )

    def not_told(self, why: Unknown) -> None:
        """Nothing is asked of a host that runs several Elasticsearch processes before one of them is named."""
        blocked = Unknown(reason=f"{self.node.name} could not be surveyed (NODE-1)", blocked=True)
        session = self.session
        self.write(
            session=None,
            answered=True,
            sections={**dict.fromkeys(SECTIONS, blocked), "system": why},
            **dict.fromkeys(("view", "dials", "paths", "buckets", "certificates"), blocked),
        )
        if session is not None:
            session.close()

    def give_up(self, limit: float | None) -> None:
        """It is not waited for any longer: what is missing of its first answer is unknown, what it has said stands.

        limit: the seconds that were not enough, None where the run was interrupted
        """
        name, remedy = self.node.name, "" if limit is None else "give it longer with --command-timeout"
        if not self.answered:
            early = f"the run was interrupted before {name} had answered"
            self.unreachable(early if limit is None else f"no answer within {limit:g} s", remedy)
        elif self.view is PENDING:
            early = f"the run was interrupted before Elasticsearch on {name} had answered"
            late = f"Elasticsearch on {name} gave no answer within {limit:g} s" if limit is not None else early
            self.write(view=Unknown(reason=late, remedy=remedy))

    def who_are_you(self) -> None:
        """Log in, start the probe, put the first question, and ask its Elasticsearch for its view of the cluster."""
        node, settings = self.node, self.settings
        started = time.monotonic()
        try:
            connection = settings.connections.get(node)
            session = self._started(connection)
        except (ConnectionFailed, ProbeFailed) as error:
            self.unreachable(str(error), error.remedy)
            return
        login = Login(
            user=connection.user,
            sudo_user=(node.sudo_user or "root") if node.sudo else None,
            carrier=connection.carrier,
            milliseconds=round((time.monotonic() - started) * 1000, 1),
            host_key=connection.host_key,
        )
        try:
            self.write(connection=connection, session=session, login=login)
        except Overtaken:
            session.close()
            raise
        self.first_question()

    def _started(self, connection: Connection) -> Session | PhasedSession:
        """The probe on the node; over ssm:// the first question is what starts it."""
        node = self.node
        if isinstance(connection, SsmConnection):
            return PhasedSession(connection, sudo_user=node.sudo_user, es_port=node.es_port)
        return Session(
            connection,
            sudo=node.sudo,
            sudo_user=node.sudo_user,
            es_port=node.es_port,
            start_timeout=self.settings.command_timeout,
        )

    def first_question(self) -> None:
        """The sections, and the node's own view of its cluster."""
        if self.session is None:
            return
        limit = self.settings.command_timeout
        password = keystore_password(self.node.keystore_password_file or self.settings.keystore_password_file)
        confidential = self.session.confidential
        if not confidential and password is not None:
            password = Unknown(
                reason=f"the keystore is {PROTECTED}, and AWS would keep a password that is sent over ssm://",
                remedy="survey this node over SSH",
            )
        try:
            answer = self.session.ask(
                {
                    "ask": "facts",
                    "sections": list(self.wanted.sections),
                    "tokenless_before": versions.tokenless_before(),
                    "deadline": limit,
                    "fingerprint_key": self.settings.fingerprints.text if confidential else None,
                    "keystore_password": password if isinstance(password, str) else None,
                },
                limit,
            )
            offset = self.session.clock_offset(limit)
        except (ConnectionFailed, ProbeFailed) as error:
            self.unreachable(str(error), error.remedy)
            return
        if "not_told" in answer:
            self.not_told(_unknown(answer["not_told"]))
            return
        sections = {**self.sections, **{name: _section(answer, name) for name in self.wanted.sections}}
        keystore = sections["keystore"]
        if isinstance(password, Unknown) and isinstance(keystore, Unknown) and PROTECTED in keystore.reason:
            sections["keystore"] = password
        system = sections["system"]
        if isinstance(system, System):
            sections["system"] = msgspec.structs.replace(system, clock_offset=round(offset, 3))
        self.write(sections=sections, answered=True)
        if self.wanted.cluster and self.settings.es_url is None:
            if self.asks_itself or sections["process"] is None:
                self.ask_view()
            elif self.view is NOT_WANTED:
                self.write(view=PENDING)

    def ask_view(self) -> None:
        """The node's own view of its cluster, and what else only its own Elasticsearch tells."""
        self.asks_itself = True
        self.write(view=PENDING)
        self.write(view=self._own_view())
        if self.wanted.dials and self.api is not None:
            self.write(loaded_certificates=self.api.loaded_certificates())

    def credentials(self) -> Credentials | Unknown:
        """The login for its Elasticsearch; Unknown says which variable or file to change."""

        try:
            login = credentials(
                self.settings.environ,
                user=self.node.es_user,
                password_file=self.node.es_password_file,
                api_key_file=self.node.es_api_key_file,
            )
        except ValueError as error:
            return Unknown(reason=str(error))
        return login or Unknown(
            reason="no login for Elasticsearch was given",
            remedy="set ES_PREFLIGHT_API_KEY, or ES_PREFLIGHT_USER and ES_PREFLIGHT_PASSWORD_FILE",
        )

    def _own_view(self) -> View | Unknown:
        from . import elastic

        process, config = self.sections["process"], self.sections["config"]
        if process is None:
            return Unknown(reason=f"no Elasticsearch process runs on {self.node.name}")
        login = self.credentials()
        if isinstance(login, Unknown):
            return login
        refused: elastic.Refused | None = None
        encrypted: set[str] = set()
        limit = self.settings.command_timeout
        urls = [self.node.es_url] if self.node.es_url else targets.http(process, config, self.sections["routing"])
        for url in urls:
            scheme, _, address = url.partition("://")
            if scheme == "http" and address in encrypted:
                continue
            carrier = None if self.node.es_url else _Carrier(self, url)
            try:
                api = elastic.Api(
                    url,
                    login,
                    ca=self._authority() if scheme == "https" else None,
                    dial=carrier,
                    check_name=carrier is None or carrier.unproven,
                    timeout=limit,
                )
                view = api.view("direct")
            except elastic.Refused as error:
                if carrier and carrier.no_session:
                    return carrier.no_session
                if carrier and error.ended in ("tls", "connection") and carrier.hangs_up(limit):
                    error = elastic.Refused(f"no connection to Elasticsearch: {url} accepts none", ended="connection")
                # What answered and refused says more than an address where nothing listens.
                if refused is None or refused.ended == "connection":
                    refused = error
                if error.ended in ("answer", "silence"):
                    break  # it is there: asking it again elsewhere would be a second attempt at the same login
                # A certificate that is not trusted is no reason to send the login in the clear.
                if scheme == "https" and not (error.ended == "tls" and carrier and carrier.plain(limit)):
                    encrypted.add(address)
                continue
            try:
                self.write(api=api)
            except Overtaken:
                api.close()
                raise
            return msgspec.structs.replace(view, carrier=carrier.used) if carrier else view
        return refused.unknown() if refused else Unknown(reason="Elasticsearch was not asked")

    def _authority(self) -> str | None:
        """PEM text of the CA for the node's HTTP certificate: the given file, else the one its configuration names."""
        given = self.node.es_ca or self.settings.es_ca
        if given:
            return authority(Path(given))
        config = self.sections["config"]
        if self.session is None or not isinstance(config, Config):
            return None
        written = config.settings.get("xpack.security.http.ssl.certificate_authorities", "certs/http_ca.crt")
        first = written.strip("[]").split(",")[0].strip().strip("\"'")
        if first not in self._authorities:
            self._authorities[first] = self._certificates_of(first)
        return self._authorities[first]

    def _certificates_of(self, file: str) -> str | None:
        """PEM text of the certificates in a file of the node's; None where they cannot be had."""
        if self.session is None:
            return None
        limit = self.settings.command_timeout
        try:
            answer = self.session.ask({"ask": "certificates", "file": file, "deadline": limit}, limit)
        except (ConnectionFailed, ProbeFailed):
            return None  # the controller's own trust store decides, and says so where it does not know the issuer
        return str(answer["pem"])

    def try_the_paths(self, cluster: Cluster | None, dials: list[dict[str, Any]], progress: Progress) -> None:
        """The second question; where Elasticsearch was restarted meanwhile, both questions once more."""
        if not self.second_question(cluster, dials):
            return
        progress(f"{self.node.name}: Elasticsearch was restarted during the run, asking once more")
        self.first_question()
        if not self.reached:
            return
        if self.second_question(cluster, dials):
            changed = Unknown(reason=f"Elasticsearch on {self.node.name} was restarted during the run")
            self.write(**dict.fromkeys(("view", "dials", "paths", "buckets", "certificates"), changed))

    def second_question(self, cluster: Cluster | None, dials: list[dict[str, Any]]) -> bool:
        """Dial the peers, look up the routes, walk the way to every bucket; whether Elasticsearch is another now.

        cluster: None where none answered
        """
        if self.session is None:
            return False
        wanted, settings = self.wanted, self.settings
        question = {
            "ask": "paths",
            "connect_timeout": settings.connect_timeout,
            "deadline": settings.command_timeout,
            "dials": dials if wanted.dials else [],
            "destinations": targets.destinations(dials, targets.published(self.facts(), cluster) if cluster else None)
            if wanted.paths
            else [],
            "buckets": targets.buckets(self.facts(), cluster, write=self._writes(), leftovers=self.lists_leftovers)
            if cluster
            else [],
            "identity": targets.identity(self.facts(), cluster) if cluster and wanted.buckets else None,
        }
        answer, *now = self.session.ask_all(
            [question, *self._still_there()], settings.command_timeout + 2 * settings.connect_timeout
        )
        if isinstance(answer, Exception):
            self.unanswered(Unknown(reason=str(answer), remedy=getattr(answer, "remedy", "")))
        else:
            self._tried(answer, cluster)
        return any(self._restarted(one) for one in now)

    def _tried(self, answer: dict[str, Any], cluster: Cluster | None) -> None:
        """Write down the answer to the second question."""
        wanted = self.wanted
        seen: dict[str, Any] = {}
        if wanted.dials:
            found = [{**dial, "assumed": cluster is None} for dial in answer.get("dials", ())]
            seen["dials"] = _converted(found, tuple[Dial, ...], "dials")
            seen["certificates"] = self._shown(answer.get("certificates", {}), found)
        if wanted.paths:
            seen["paths"] = _converted(answer.get("paths"), tuple[ChosenPath, ...], "paths")
        if wanted.buckets:
            seen["buckets"] = (
                _converted(answer.get("buckets"), tuple[BucketPath, ...], "buckets")
                if cluster and not isinstance(cluster.repositories, Unknown)
                else Unknown(reason="the cluster's repositories are not known")
            )
            told = answer.get("identity")
            seen["identity"] = None if told is None else _converted(told, Identity, "identity")
        self.write(**seen)

    def _shown(self, octets: dict[str, str], dials: list[dict[str, Any]]) -> tuple[Certificate, ...] | Unknown:
        """The certificates that servers showed to this node, held against the CA file it is configured with."""
        from . import elastic

        try:
            authorities = self._authority() if octets else None
        except elastic.Refused:
            authorities = None
        try:
            chains = [(dial.get("chain", ()), bool(dial.get("whole_chain"))) for dial in dials]
            return certificates.read(octets, chains, authorities)
        except ValueError as error:
            return Unknown(reason=f"a certificate that {self.node.name} was shown cannot be read: {error}")

    def _writes(self) -> Literal["never", "for a fix", "always"]:
        if self.settings.read_only or not self.wanted.marker:
            return "never"
        return "always" if self.settings.try_role else "for a fix"

    def unanswered(self, why: Unknown) -> None:
        """What the second question asks for is unknown, as far as it was wanted."""
        wanted = self.wanted
        asked = {"dials": wanted.dials, "paths": wanted.paths, "buckets": wanted.buckets}
        asked["certificates"] = wanted.dials
        self.write(**{name: why if asked[name] else NOT_WANTED for name in asked})

    def read_filters(self, addresses: tuple[str, ...], ports: tuple[int, ...]) -> None:
        """Ask for the packet filter's rules about connections from or to the node that did not come about."""
        if self.session is None:
            return
        limit = self.settings.command_timeout
        wanted = {"addresses": list(addresses), "ports": list(ports)}
        question = {"ask": "filters", "program": part("filters"), "deadline": limit, **wanted}
        found: Filters | Unknown
        try:
            found = _converted(self.session.ask(question, limit), Filters, "filters")
        except (ConnectionFailed, ProbeFailed) as error:
            found = Unknown(reason=str(error), remedy=error.remedy)
        self.write(filters=found)

    def _still_there(self) -> list[dict[str, Any]]:
        """The question whether its Elasticsearch is still the process that was seen; none where none was seen."""
        before = self.sections["process"]
        if not isinstance(before, Process):
            return []
        limit = self.settings.command_timeout
        return [{"ask": "facts", "sections": ["process"], "pid": before.pid, "deadline": limit}]

    def _restarted(self, answer: dict[str, Any] | Exception) -> bool:
        before = self.sections["process"]
        if isinstance(answer, Exception) or not isinstance(before, Process):
            return False
        now = _section(answer, "process")
        return now is None or (isinstance(now, Process) and (now.pid, now.started) != (before.pid, before.started))


class _Carrier:
    """Dials the node's HTTP address: a channel of the SSH login, or through the probe where sshd forbids forwarding;
    over ssm:// a session.

    used: as facts.View has it; no_session: why there is none
    """

    def __init__(self, asked: Asked, url: str) -> None:
        split = urlsplit(url)
        self.asked, self.host, self.port = asked, split.hostname or "", split.port or 0
        self.used = "session" if isinstance(asked.connection, SsmConnection) else "direct-tcpip"
        self.no_session: Unknown | None = None

    @property
    def unproven(self) -> bool:
        """The carrier has not proved which host this is: neither by its key nor, over ssm://, as AWS knows it."""
        return self.asked.connection is None or self.asked.connection.host_key == "not verified"

    def __call__(self, limit: float) -> socket.socket:
        if self.asked.connection is None or self.asked.session is None:
            raise OSError("not logged in")
        try:
            if self.used != "probe":
                try:
                    return self.asked.connection.tunnel(self.host, self.port, limit)
                except ForwardingForbidden:
                    if self.used == "session":
                        raise
                    self.used = "probe"
            return self.asked.session.relay(self.host, self.port, limit)
        except (ConnectionFailed, ProbeFailed) as error:
            if self.used == "session":
                self.no_session = not_over_ssm(error)
            raise OSError(str(error)) from error

    def hangs_up(self, limit: float) -> bool:
        """Over a session, which accepts for the node before it has asked there: nothing on the node accepts."""
        if self.used != "session":
            return False
        try:
            with self(limit) as wire:
                wire.settimeout(HANGING_UP)
                return not wire.recv(1)
        except OSError:  # above all TimeoutError: whoever accepts waits for us to speak
            return False

    def plain(self, limit: float) -> bool:
        """What listens there speaks, and not TLS."""
        from . import elastic

        try:
            return not elastic.speaks_tls(self, limit)
        except OSError:
            return False


def login_command(node: Node) -> str:
    """The command line that logs in to the node as this suite does, for messages and printed commands."""
    if node.carrier == "ssm":
        return ssm_spec.session_command(node.host, node.region, node.profile)
    return ssh_command(node)


def not_over_ssm(why: ConnectionFailed | ProbeFailed) -> Unknown:
    """Elasticsearch is not asked through a node over ssm://, and the ways there are."""
    remedy = f"{why.remedy}; or name" if why.remedy else "name"
    return Unknown(
        reason=f"Elasticsearch is not asked over ssm://: {why}",
        remedy=f"{remedy} Elasticsearch's address with --es-url, where this machine reaches it",
    )


def authority(file: Path) -> str:
    """PEM text of a CA file given on the controller. Raises elastic.Refused naming it."""
    from . import elastic

    try:
        return file.expanduser().read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not PEM text"
        raise elastic.Refused(f"cannot read the CA file {file}: {reason}", "name another with --es-ca") from error


def _section(answer: Mapping[str, Any], name: str) -> Any:
    found = answer.get("sections", {}).get(name)
    if not isinstance(found, dict):
        return Unknown(reason=f"the probe gave no answer to section {name}")
    if "unknown" not in found:
        found = found.get("value")
    if found is None and name in ("install", "process", "container"):
        return None
    return _converted(found, SECTIONS[name], name)


def _unknown(value: Mapping[str, object]) -> Unknown:
    return Unknown(reason=str(value["unknown"]), remedy=str(value.get("remedy", "")))


def _converted(value: object, kind: type[T], name: str) -> T | Unknown:
    if isinstance(value, dict) and "unknown" in value:
        return _unknown(value)
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return Unknown(reason=f"our own bug: the probe's {name} do not fit the facts: {error}")
