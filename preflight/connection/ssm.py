"""Nodes behind AWS Systems Manager: commands by its document AWS-RunShellScript, one request for up to fifty nodes.

A command is no stream: nothing stays running between two of them, nothing is typed into one, and AWS keeps what was
sent and what was printed, for whoever may read it. So no secret goes into a command. A connection to a port of the node
is forwarded by a session instead (ssm_forward).
"""

from __future__ import annotations

import itertools
import math
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple, TypeVar

from . import Completed, Stream
from .errors import (
    AuthenticationFailed,
    CommandTimeout,
    ConnectionFailed,
    ConnectionLost,
    ForwardingForbidden,
    HostUnreachable,
    SessionRefused,
)
from .several import each
from .ssm_forward import Forward, Session, Sessions
from .ssm_phases import Phases, Result, again

DOCUMENT = "AWS-RunShellScript"
AT_ONCE = 50
"""Most instances that one SendCommand takes by their ids."""

OUTPUT = 24_000
"""Characters of standard output that AWS keeps of one command on one instance (GetCommandInvocation)."""

DELIVERY = 15.0
"""Seconds beside a command's own: until an instance has it, and until AWS has heard of its end."""

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0

POLICY = "docs/aws-ssm-policy.json is the policy that is enough"
AGENT = (
    "see that its SSM agent runs (systemctl status amazon-ssm-agent), that its instance profile allows what "
    "AmazonSSMManagedInstanceCore does, and that its subnet reaches the endpoints ssm and ssmmessages; "
    "or reach it over SSH"
)

DENIED = frozenset({"AccessDeniedException", "AccessDenied", "UnauthorizedOperation"})
BAD_KEY = frozenset(
    {"UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "InvalidSignatureException"}
)
GONE = frozenset({"TargetNotConnected", "InvalidInstanceId"})
LATER = frozenset({"InvocationDoesNotExist", "ThrottlingException", "Throttling"})
"""Answers to a question about a command that say nothing yet: the first is normal right after sending."""

T = TypeVar("T")


class SsmConnection:
    """The Connection of one instance. Nobody logs in: the agent there runs every command as root."""

    carrier = "ssm"
    user = "root"
    host_key: Literal["not applicable"] = "not applicable"

    def __init__(self, fleet: Fleet, instance: str, milliseconds: float) -> None:
        self.fleet, self.instance, self.milliseconds = fleet, instance, milliseconds
        self._forwards: dict[tuple[str, int], Forward | ConnectionFailed] = {}
        self._starting = threading.Lock()

    def run(self, command: str, stdin: bytes = b"", deadline: float = 30.0) -> Completed:
        """One command, by itself. Raises ConnectionFailed and its kinds, also where AWS has cut off its output."""
        if stdin:
            raise SessionRefused("a command over ssm:// has no standard input")
        done = self.fleet.send(command, [self.instance], deadline)[self.instance]
        if isinstance(done, ConnectionFailed):
            raise again(done)
        if len(done.stdout.decode()) >= OUTPUT:
            raise ConnectionLost(
                f"the command's output was cut off: over ssm:// AWS keeps its first {OUTPUT} characters",
                "have the command print less, or reach the node over SSH",
            )
        return done

    def open(self, command: str) -> Stream:
        raise SessionRefused("no program stays running over ssm://")

    def tunnel(self, host: str, port: int, deadline: float) -> socket.socket:
        """See Connection.tunnel. One session carries all connections to a port; where it could not be started, or has
        ended, that is told again: no second one is tried.

        What does not accept there is seen on the connection, which is closed.
        """
        until = time.monotonic() + deadline
        with self._starting:
            forward = self._forwards.get((host, port))
            if forward is None:
                try:
                    forward = self.fleet.forward(self.instance, host, port, deadline)
                except ConnectionFailed as failure:
                    forward = failure
                self._forwards[host, port] = forward
        if isinstance(forward, ConnectionFailed):
            raise again(forward)
        return forward.dial(max(until - time.monotonic(), 0.1))

    def close(self) -> None:
        """End its sessions."""
        with self._starting:
            forwards = [one for one in self._forwards.values() if isinstance(one, Forward)]
        for forward in forwards:
            forward.close()


class Fleet:
    """The instances of one region and profile. Safe to use from several threads.

    region, profile: None for what AWS's own configuration says; timeout: seconds for a connection to AWS
    calls: requests made, by their name; phases: where several instances are asked by one command
    """

    def __init__(self, region: str | None, profile: str | None, timeout: float) -> None:
        self.calls: Counter[str] = Counter()
        self._region, self._profile, self._timeout = region, profile, timeout
        self._lock = threading.Lock()
        self._made: Any = None
        self._expected: dict[str, None] = {}
        self._seen: dict[str, _Agent | ConnectionFailed | None] = {}
        self._sessions = Sessions(self._started, self._terminate)
        self._counting = threading.Lock()
        self.phases = Phases(self.send)

    # -- who is there ------------------------------------------------------------------------------------------------

    def expect(self, instance: str, member: object) -> None:
        """That the run is about it: looked up with the others, and waited for where nodes are asked together."""
        with self._lock:
            self._expected.setdefault(instance)
        self.phases.expect(member)

    def connect(self, instance: str) -> SsmConnection:
        """The connection to an instance whose agent is online. Raises HostUnreachable, or what AWS refused."""
        started = time.monotonic()
        with self._lock:
            if instance not in self._seen:
                self._expected.setdefault(instance)
                unknown = [one for one in self._expected if one not in self._seen]
                try:
                    self._seen |= dict.fromkeys(unknown) | self._agents(unknown)
                except ConnectionFailed as failure:
                    self._seen |= dict.fromkeys(unknown, failure)
        agent = self._seen[instance]
        if isinstance(agent, ConnectionFailed):
            raise again(agent)
        if agent is None:
            raise HostUnreachable(
                f"AWS Systems Manager knows no managed node {instance} in {self._client.meta.region_name}", AGENT
            )
        if agent.ping != "Online":
            raise HostUnreachable(f"the SSM agent of {instance} is not online (PingStatus {agent.ping})", AGENT)
        return SsmConnection(self, instance, (time.monotonic() - started) * 1000)

    def _agents(self, instances: Sequence[str]) -> dict[str, _Agent | None]:
        found: dict[str, _Agent | None] = {}
        for chunk in _chunks(instances, AT_ONCE):
            wanted = {"Filters": [{"Key": "InstanceIds", "Values": chunk}], "MaxResults": AT_ONCE}
            while True:
                try:
                    page = self._call("describe_instance_information", **wanted)
                except _Refused as refused:
                    if refused.code != "InvalidInstanceId":
                        raise refused.failure from refused
                    # One that is not registered spoils the question about all.
                    if len(chunk) > 1:
                        for one in chunk:
                            found |= self._agents([one])
                    break
                found |= {
                    one["InstanceId"]: _Agent(one["PingStatus"], str(one.get("AgentVersion", "")))
                    for one in page["InstanceInformationList"]
                }
                if not page.get("NextToken"):
                    break
                wanted["NextToken"] = page["NextToken"]
        return found

    # -- commands ----------------------------------------------------------------------------------------------------

    def send(self, script: str, instances: Collection[str], seconds: float) -> dict[str, Result]:
        """Run a script on every instance, to its end; what became of it on each. seconds: that it may take there."""
        results: dict[str, Result] = {}
        each(
            _chunks(list(instances), AT_ONCE),
            lambda chunk: results.update(self._of_chunk(script, chunk, seconds)),
        )
        return results

    def _of_chunk(self, script: str, instances: list[str], seconds: float) -> dict[str, Result]:
        try:
            command = self._call(
                "send_command",
                InstanceIds=instances,
                DocumentName=DOCUMENT,
                Parameters={"commands": [script], "executionTimeout": [str(math.ceil(seconds) + 5)]},
                TimeoutSeconds=max(30, math.ceil(seconds)),
                Comment="Elasticsearch snapshot preflight",
            )["Command"]["CommandId"]
        except _Refused as refused:
            if refused.code == "InvalidInstanceId" and len(instances) > 1:
                # One that went away since it was looked up spoils the command for all.
                apart = [self._of_chunk(script, [one], seconds) for one in instances]
                return {one: result for results in apart for one, result in results.items()}
            return dict.fromkeys(instances, refused.failure)
        except ConnectionFailed as failure:
            return dict.fromkeys(instances, failure)
        return self._results(command, instances, seconds)

    def _results(self, command: str, instances: Sequence[str], seconds: float) -> dict[str, Result]:
        results: dict[str, Result] = {}
        until, pause = time.monotonic() + seconds + DELIVERY, FIRST_PAUSE
        pending = list(instances)

        def look(instance: str) -> None:
            result = self._result(command, instance)
            if result is not None:
                results[instance] = result

        while pending and time.monotonic() < until:
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            each(pending, look)
            pending = [one for one in pending if one not in results]
        for one in pending:
            results[one] = CommandTimeout(
                f"no end of the command on {one} within {seconds:g} s", "a longer --command-timeout"
            )
        return results

    def _result(self, command: str, instance: str) -> Result | None:
        try:
            told = self._call("get_command_invocation", CommandId=command, InstanceId=instance)
        except _Refused as refused:
            return None if refused.code in LATER else refused.failure
        except ConnectionFailed as failure:
            return failure
        status = str(told["Status"])
        details = str(told.get("StatusDetails") or status).replace(" ", "")
        if details in _ENDINGS or status in _ENDINGS:
            words, remedy = _ENDINGS.get(details) or _ENDINGS[status]
            return ConnectionLost(f"{words} on {instance} (SSM status {details})", remedy)
        if status not in ("Success", "Failed"):
            return None
        stdout, stderr = (str(told.get(f"Standard{name}Content") or "") for name in ("Output", "Error"))
        return Completed(int(told["ResponseCode"]), stdout.encode(), _AGENTS_OWN.sub("", stderr).encode())

    # -- ports -------------------------------------------------------------------------------------------------------

    def forward(self, instance: str, host: str, port: int, deadline: float) -> Forward:
        """A session that forwards host:port as the instance sees it, see Sessions.start."""
        agent = self._seen.get(instance)
        return self._sessions.start(instance, agent.version if isinstance(agent, _Agent) else "", host, port, deadline)

    def close(self) -> None:
        """End what is left of its sessions. Never raises."""
        self._sessions.close()

    def _started(self, request: Mapping[str, Any]) -> Session:
        try:
            answer = self._call("start_session", **request)
        except _Refused as refused:
            failure, remedy = refused.failure, refused.failure.remedy
            if refused.code in DENIED:
                remedy = f"allow it on {request['Target']} and on the document {request['DocumentName']}: {POLICY}"
            elif refused.code in GONE:
                remedy = AGENT
            raise ForwardingForbidden(str(failure), remedy) from refused
        told = self._client.meta
        return Session(
            answer={name: str(answer[name]) for name in ("SessionId", "TokenValue", "StreamUrl")},
            request=request,
            region=str(told.region_name),
            profile=self._profile or "",
            endpoint=str(told.endpoint_url),
        )

    def _terminate(self, session: str) -> None:
        with suppress(_Refused, ConnectionFailed):  # it ends with the plugin too
            self._call("terminate_session", SessionId=session)

    # -- AWS ---------------------------------------------------------------------------------------------------------

    @property
    def _client(self) -> Any:
        if self._made is None:
            # Half a second of import, for runs that need it.
            import boto3
            from botocore.config import Config
            from botocore.exceptions import BotoCoreError

            config = Config(
                connect_timeout=self._timeout,
                read_timeout=max(self._timeout, 10.0),
                # Few enough that a way to AWS which is cut off is told before the survey gives the node up.
                retries={"mode": "adaptive", "max_attempts": 5},
                max_pool_connections=20,
            )
            try:
                session = boto3.Session(profile_name=self._profile, region_name=self._region)
                self._made = session.client("ssm", config=config)
            except BotoCoreError as error:
                raise ConnectionFailed(f"AWS was not asked: {error}", self._check()) from error
        return self._made

    def _check(self) -> str:
        profile = f" --profile {self._profile}" if self._profile else ""
        return f"name the region as ?region=REGION, and check the credentials: aws sts get-caller-identity{profile}"

    def _call(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """One request. Raises _Refused for what AWS answered, ConnectionFailed where it did not."""
        from botocore.exceptions import BotoCoreError, ClientError

        client = self._client
        name = client.meta.method_to_api_mapping[operation]
        with self._counting:
            self.calls[name] += 1
        try:
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        except ClientError as error:
            code = str(error.response["Error"]["Code"])
            raise _Refused(code, self._failure(code, str(error.response["Error"].get("Message", "")), name)) from error
        except BotoCoreError as error:
            raise ConnectionFailed(f"AWS was not asked: {error}", self._check()) from error
        return answer

    def _failure(self, code: str, message: str, name: str) -> ConnectionFailed:
        if code in DENIED:
            return AuthenticationFailed(f"AWS does not allow ssm:{name} to these credentials", f"allow it: {POLICY}")
        if code in BAD_KEY:
            return AuthenticationFailed(f"AWS refuses the credentials of this machine: {code}", self._check())
        words = " ".join(message.split())[:200]
        return ConnectionFailed(f"AWS answered ssm:{name} with {code}" + (f": {words}" if words else ""))


_AGENTS_OWN = re.compile(r"\n?failed to run commands: exit status \d+\s*\Z")
"""What the agent adds to the standard error of a command that failed."""

_ENDINGS = {
    "DeliveryTimedOut": ("AWS could not deliver the command", AGENT),
    "Undeliverable": ("AWS could not deliver the command", AGENT),
    "ExecutionTimedOut": ("the command outlived its time", "a longer --command-timeout"),
    "TimedOut": ("the command outlived its time", "a longer --command-timeout"),
    "Terminated": ("the command was given up before it ran", "run again"),
    "Cancelled": ("somebody cancelled the command", "run again"),
    "Cancelling": ("somebody cancelled the command", "run again"),
    "AccessDenied": ("AWS did not let the command run", f"allow it: {POLICY}"),
    "InvalidPlatform": (f"{DOCUMENT} does not run", "ssm:// reaches Linux nodes"),
}
"""What ends a command without a result of its own, by the status details that AWS documents (spaces left out)."""


class _Agent(NamedTuple):
    """What AWS tells of an instance's agent. ping: "Online" or another word; version: "" where it is not told"""

    ping: str
    version: str


class _Refused(Exception):
    """AWS answered with an error. failure: what it means to whoever waits"""

    def __init__(self, code: str, failure: ConnectionFailed) -> None:
        super().__init__(code)
        self.code, self.failure = code, failure


def _chunks(items: Sequence[T], size: int) -> list[list[T]]:
    rest = iter(items)
    return [*iter(lambda: list(itertools.islice(rest, size)), [])]
