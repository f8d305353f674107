"""Section `imds`: the instance metadata service, as the user Elasticsearch runs as and never through a proxy."""

import json
import time

from .base import REGION, Unseen
from .network import outcome_of
from .owner import Owner

METADATA = ("169.254.169.254", 80)
PATIENCE = 2.0
# An answer that comes later than AWS's SDKs wait for it (1 s) is still told from none at all.
SILENCE = 4.0
SLOW = 1000.0
ROLES = "meta-data/iam/security-credentials/"


class Metadata(object):
    """What the instance metadata service said; asked once, kept for signing.

    value: the section; key: (access key id, secret key, session token) of the role, None without one. It never leaves
    this process.
    owner: whose connections they are; tokenless: ask without a token too, as this Elasticsearch does
    """

    def __init__(self, deadline, owner, tokenless):
        self.deadline, self.owner = deadline, owner
        self.key = None
        self.slowest = 0.0
        self.value = {
            "asked_as": owner.user,
            "as_service": owner.service,
            "in_namespace": owner.namespace.apart,
        }
        self.ask(tokenless)
        self.value["slowest"] = self.again() if self.slowest > SLOW else self.slowest

    def ask(self, tokenless):
        import http.client

        token = self.token()
        value = self.value
        if value["outcome"] != "answered" and (self.owner.switched or value["in_namespace"]):
            value["own_outcome"] = self.outcome_as(Owner())
        if tokenless or (token is None and value["outcome"] in ("answered", "timeout")):
            value["tokenless_status"] = self.tokenless()
        if token is None and value.get("tokenless_status") != 200:
            return
        wire = self.wire(self.owner)
        try:
            self.describe(wire, {} if token is None else {"X-aws-ec2-metadata-token": token}, value)
        except (OSError, http.client.HTTPException) as error:
            # What it did not say is unknown: without its instance id this would read as no EC2 instance.
            raise Unseen(
                "the metadata service handed out a token and then stopped answering (%s)" % outcome_of(error),
                "run again",
            )
        finally:
            wire.close()

    def token(self):
        """The session token of IMDSv2, None without one. Fills in how the request ended."""
        import http.client

        value, wire = self.value, self.wire(self.owner)
        value["outcome"] = "answered"
        began = time.monotonic()
        try:
            value["token_status"], text = self.call(wire, "PUT", "api/token", {TOKEN_SECONDS: "300"})
            return text if value["token_status"] == 200 else None
        except (OSError, http.client.HTTPException) as error:
            value["outcome"] = outcome_of(error)
            return None
        finally:
            value["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
            wire.close()

    def outcome_as(self, owner):
        """How the token request ends for another user."""
        import http.client

        wire = self.wire(owner)
        try:
            self.call(wire, "PUT", "api/token", {TOKEN_SECONDS: "60"})
            return "answered"
        except (OSError, http.client.HTTPException) as error:
            return outcome_of(error)
        finally:
            wire.close()

    def again(self):
        """Milliseconds of the faster of two: one late answer of a host that was busy is no slow service."""
        first, self.slowest = self.slowest, 0.0
        self.outcome_as(self.owner)
        return min(first, self.slowest) or first

    def tokenless(self):
        """HTTP status to a request without a token (IMDSv1), None where none came."""
        import http.client

        wire = self.wire(self.owner)
        try:
            return self.call(wire, "GET", ROLES, {})[0]
        except (OSError, http.client.HTTPException):
            return None
        finally:
            wire.close()

    def describe(self, wire, token, value):
        value["role_status"], text = self.call(wire, "GET", ROLES, token)
        roles = text.split()
        if value["role_status"] == 200 and roles:
            value["role"] = roles[0]
            status, text = self.call(wire, "GET", ROLES + roles[0], token)
            value["credentials"], self.key = handed_out(status, object_in(text))
        if self.slowest > SLOW:
            return  # each further question would cost as long, and none decides anything
        status, text = self.call(wire, "GET", "dynamic/instance-identity/document", token)
        document = object_in(text) if status == 200 else {}
        for field, key, path in (
            ("instance_id", "instanceId", "instance-id"),
            ("region", "region", "placement/region"),
            ("availability_zone", "availabilityZone", "placement/availability-zone"),
        ):
            answer = document.get(key)
            if not answer:
                status, text = self.call(wire, "GET", "meta-data/" + path, token)
                answer = text.strip() if status == 200 else None
            value[field] = answer if answer and REGION.fullmatch(answer) else None

    def wire(self, owner):
        """A connection that is opened as that user, again wherever the service has closed it."""
        import http.client

        wire = http.client.HTTPConnection(*METADATA)

        def connect():
            wire.sock = owner.connect(METADATA, self.deadline.left(PATIENCE))

        wire.connect = connect
        return wire

    def call(self, wire, method, path, headers):
        """(status, text) of one request on the kept-alive connection."""
        began = time.monotonic()
        if wire.sock is None:
            wire.connect()
        wire.sock.settimeout(self.deadline.left(SILENCE))
        wire.request(method, "/latest/" + path, headers=headers)
        answer = wire.getresponse()
        text = answer.read(1 << 16).decode("utf-8", "replace")
        self.slowest = max(self.slowest, round((time.monotonic() - began) * 1000, 1))
        return answer.status, text


TOKEN_SECONDS = "X-aws-ec2-metadata-token-ttl-seconds"


def imds(look):
    return look.metadata().value


def handed_out(status, answer):
    """(RoleCredentials, key) of an answer that hands out credentials; key: None where it has none."""
    code = str(answer.get("Code", "no code")) if status == 200 else "HTTP %d" % status
    parts = tuple(answer.get(name) or "" for name in ("AccessKeyId", "SecretAccessKey", "Token"))
    key = parts if code == "Success" and all(parts) else None
    return {"code": code[:64], "key_prefix": parts[0][:4], "expires": moment(answer.get("Expiration"))}, key


def object_in(text):
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def moment(text):
    """Seconds since the epoch of "2026-01-31T12:00:00Z", None where it is not written so."""
    import calendar

    try:
        return float(calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ")))
    except (TypeError, ValueError):
        return None
