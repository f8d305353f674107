"""SSM's Run Command for moto, which answers for commands and runs none: here they run, and agents are online or not.

As AWS has it: only the instances asked for, a shell as root, its own exit status, the first 24,000 characters of
standard output and 8,000 of standard error, no invocation for a moment after sending, no output before the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

OUTPUT, ERRORS = 24_000, 8_000
DOCUMENT = "AWS-RunShellScript"
AT_ONCE = 50
AGENT = "3.3.3598.0"
UNSEEN_SECONDS = 0.1
"""For which AWS does not know an invocation yet."""

Agents = Callable[[], Mapping[str, bool]]
"""Managed instance id -> whether its agent is online, now."""

Enter = Callable[[str, Sequence[str]], Sequence[str]]
"""The command line that runs a command line as root on an instance."""


def install(agents: Agents, enter: Enter, version: Callable[[str], str] = lambda instance: AGENT) -> None:
    """Have moto's SSM run commands, and tell of managed instances. Once a process. version: of an instance's agent"""
    from moto.core.responses import ActionResult
    from moto.ssm import models as motos_models
    from moto.ssm import responses as motos_responses
    from moto.ssm.exceptions import SSMException

    models: Any = motos_models
    responses: Any = motos_responses
    base: Any = models.Command

    class Command(base):  # type: ignore[misc]
        def __init__(self, **arguments: Any) -> None:
            wanted = arguments["instance_ids"]
            if arguments["document_name"] != DOCUMENT:
                raise SSMException("InvalidDocument", f"no document {arguments['document_name']}")
            if len(wanted) > AT_ONCE:
                raise SSMException("ValidationException", f"instanceIds: at most {AT_ONCE}")
            online = agents()
            if gone := [one for one in wanted if not online.get(one)]:
                words = f"Instances [{', '.join(gone)}] not in a valid state for account {arguments['account_id']}"
                raise SSMException("InvalidInstanceId", words)
            self.sent = time.monotonic()
            super().__init__(**arguments)

        def _get_instance_ids_from_targets(self) -> list[str]:
            return list(super()._get_instance_ids_from_targets()) if self.targets else []

        def invocation_response(self, instance_id: str, plugin_name: str) -> dict[str, Any]:
            invocation: dict[str, Any] = super().invocation_response(instance_id, plugin_name)
            invocation |= {"Status": "InProgress", "StatusDetails": "InProgress", "ResponseCode": -1}
            script = "\n".join(self.parameters["commands"]) + "\n"
            seconds = float(self.parameters.get("executionTimeout", ["3600"])[0])
            threading.Thread(target=_run, args=(invocation, instance_id, script, seconds, enter), daemon=True).start()
            return invocation

        def get_invocation(self, instance_id: str, plugin_name: str | None) -> dict[str, Any]:
            if time.monotonic() - self.sent < UNSEEN_SECONDS or instance_id not in self.instance_ids:
                raise SSMException("InvocationDoesNotExist", "")
            return dict(super().get_invocation(instance_id, plugin_name))

    def describe_instance_information(self: Any) -> Any:
        conditions = self._get_param("Filters", [])
        wanted = next((one["Values"] for one in conditions if one["Key"] == "InstanceIds"), None)
        return ActionResult(
            {
                "InstanceInformationList": [
                    {
                        "InstanceId": instance,
                        "PingStatus": "Online" if online else "ConnectionLost",
                        "AgentVersion": version(instance),
                        "PlatformType": "Linux",
                        "ResourceType": "EC2Instance",
                    }
                    for instance, online in agents().items()
                    if wanted is None or instance in wanted
                ]
            }
        )

    models.Command = Command
    responses.SimpleSystemManagerResponse.describe_instance_information = describe_instance_information


def _run(invocation: dict[str, Any], instance: str, script: str, seconds: float, enter: Enter) -> None:
    try:
        process = subprocess.Popen(
            enter(instance, ["env", f"AWS_SSM_INSTANCE_ID={instance}", "sh", "-c", script]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except Exception as error:  # the instance went off: its invocation is never heard of again, as at AWS
        invocation |= {"Status": "TimedOut", "StatusDetails": "Delivery Timed Out"}
        print(f"ssm: no command on {instance}: {error}", flush=True)
        return
    try:
        output, errors = process.communicate(timeout=seconds)
        status, details = ("Success", "Success") if process.returncode == 0 else ("Failed", "Failed")
        if process.returncode:
            errors += b"\nfailed to run commands: exit status %d" % process.returncode  # as the agent does
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        status, details = "TimedOut", "Execution Timed Out"
    # Whoever reads it in between must see all or nothing.
    invocation |= {
        "StandardOutputContent": output.decode("utf-8", "replace")[:OUTPUT],
        "StandardErrorContent": errors.decode("utf-8", "replace")[:ERRORS],
        "ResponseCode": process.returncode,
        "Status": status,
        "StatusDetails": details,
    }
