"""How each call is made: counted, and Unknown by itself where it is denied."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ..facts import Unknown

T = TypeVar("T")

DENIED = frozenset({"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"})

POLICY = "docs/aws-policy.json is the policy that is enough"


class Calls:
    """One run's calls. caller: ARN that asks; count: requests made, pages included."""

    def __init__(self, caller: str) -> None:
        self.caller, self.count = caller, 1

    def known(self, service: str, read: Callable[[], T]) -> T | Unknown:
        """What `read` gives; Unknown naming the missing action where it is denied, else what went wrong.

        service: as actions are prefixed ("ec2")
        """
        try:
            return read()
        except ClientError as error:
            code, action = error.response["Error"]["Code"], f"{service}:{error.operation_name}"
            if code in DENIED:
                return Unknown(reason=f"{self.caller} may not {action}", remedy=f"allow {action}: {POLICY}")
            return Unknown(reason=f"AWS answered {action} with {code}")
        except BotoCoreError as error:
            return Unknown(reason=f"AWS was not asked: {error}")
