"""Section `container`: the endpoint that the process's environment names for credentials, asked as it is asked there.

The address's path and the authorization token stay on the node: both are as good as a key.
"""

import time

from .base import Unseen, read_text
from .bucket import trusting_as_host, words_of
from .imds import PATIENCE, SILENCE, handed_out, object_in
from .network import Unresolved, addresses_of, outcome_of

RELATIVE, FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TASK_ENDPOINT = "http://169.254.170.2"


class Container(object):
    """What the endpoint said; asked once, kept for signing. value: the section, None where nothing names one; key: as
    of the metadata service."""

    def __init__(self, server, owner, deadline):
        self.value = self.key = None
        environment = {} if server is None else server.environment()
        for variable, before in ((RELATIVE, TASK_ENDPOINT), (FULL, "")):
            address = environment.get(variable)
            if address and self.value is None:
                self.value = {"variable": variable, "outcome": "answered", "milliseconds": 0.0, "status": None}
                self.ask(before + address, environment, server, owner, deadline)

    def ask(self, address, environment, server, owner, deadline):
        import http.client
        from urllib.parse import urlsplit

        try:
            split = urlsplit(address)
            host, port = split.hostname, split.port
        except ValueError:
            host = None
        if not host or split.scheme not in ("http", "https"):
            raise Unseen("%s of the Elasticsearch process is no http address" % self.value["variable"])
        tls = split.scheme == "https"
        port = port or (443 if tls else 80)
        self.value["host"] = "%s:%d" % (host, port)
        path = (split.path or "/") + ("?" + split.query if split.query else "")
        headers = {"Accept": "application/json"}
        token = authorization(environment, server)
        if token:
            headers["Authorization"] = token
        began = time.monotonic()
        wire = http.client.HTTPConnection(host, port)
        try:
            sock = owner.connect((addresses_of(host, deadline.left(PATIENCE))[0], port), deadline.left(PATIENCE))
            sock.settimeout(deadline.left(SILENCE))
            wire.sock = trusting_as_host().wrap_socket(sock, server_hostname=host) if tls else sock
            wire.request("GET", path, headers=headers)
            answer = wire.getresponse()
            body = answer.read(1 << 16).decode("utf-8", "replace")
        except Unresolved:
            self.value["outcome"] = "dns"
            return
        except (OSError, ValueError, http.client.HTTPException) as error:
            self.value["outcome"] = "tls" if tls and "certificate" in words_of(error) else outcome_of(error)
            return
        finally:
            self.value["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
            wire.close()
        self.value["status"] = answer.status
        found = object_in(body)
        # No "Code" here: an answer of 200 is the success.
        found.setdefault(
            "Code", "Success" if all(found.get(n) for n in ("AccessKeyId", "SecretAccessKey")) else "no key"
        )
        self.value["credentials"], self.key = handed_out(answer.status, found)


def authorization(environment, server):
    """The token for the endpoint, None without one."""
    path = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    if not path:
        return environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
    try:
        return read_text(server.root() + path).strip()
    except (OSError, IOError):
        raise Unseen("the file that AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE names is not there")


def container(look):
    return look.container().value
