"""How a node behind AWS Systems Manager is written: ssm://i-0abc?region=REGION&profile=PROFILE. Imports no AWS."""

from __future__ import annotations

import re
import shlex
import urllib.parse

INSTANCE = re.compile(r"m?i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
"""An EC2 instance id (the older short form too), or a managed node's "mi-" one."""

NAME = re.compile(r"[\w.@+-]+", re.ASCII)
"""A region or a profile that may stand in a printed command as it is."""

QUERY_KEYS = ("region", "profile", "sudo", "sudo_user")


def spec(instance: str, region: str | None = None, profile: str | None = None) -> str:
    """The hostspec of an instance. region, profile: None for what AWS's own configuration says."""
    query = urllib.parse.urlencode({k: v for k, v in (("region", region), ("profile", profile)) if v})
    return f"ssm://{instance}?{query}" if query else f"ssm://{instance}"


def session_command(instance: str, region: str | None, profile: str | None) -> str:
    """The command line that opens a shell on the instance, for messages and printed commands."""
    words = ["aws", "ssm", "start-session", "--target", instance]
    words += ["--region", region] if region else []
    words += ["--profile", profile] if profile else []
    return shlex.join(words)
