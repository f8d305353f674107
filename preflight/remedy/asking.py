"""How a command reaches a node or its Elasticsearch, a login never in a command line."""

from __future__ import annotations

import re
import shlex
import time
from pathlib import PurePosixPath
from urllib.parse import quote, urlsplit

from ..addresses import stays_home
from ..facts import Config, Imds, Install, Keystore, NodeFacts, Process, Survey, View
from ..judgement import Command
from ..rules import region

CONTROLLER = "controller"
AFTERWARDS = "then run the suite again: it proves the mend, or says what is left"


KEYSTORE_PASSWORD = "ES_PREFLIGHT_KEYSTORE_PASSWORD_FILE"  # noqa: S105 - a variable's name
"""What a printed reload takes a protected keystore's password from."""


def ask(survey: Survey, node: NodeFacts, path: str, method: str = "POST", body: str = "") -> Command:
    """One request to the node's own HTTP address, typed on the controller; the login goes through standard input.

    Of a node over ssm:// from the controller itself: through a session that `beforehand` says how to start, or at the
    address that the run was given.

    body: a shell command that prints what else curl is to read there
    """
    view = node.view
    url = f"{view.url if isinstance(view, View) else 'https://localhost:9200'}/{path}"
    # A proxy of the node's environment is no way to the node itself.
    curl = ["curl", "-sS", "-K", "-", "--noproxy", urlsplit(url).hostname or "*"]
    authority = _authority(node)
    if url.startswith("https:") and authority and not over_ssm(node):
        curl += ["--cacert", authority]
    if by_session(node):
        curl += ["--connect-to", f"::127.0.0.1:{SESSION_PORT}"]
    curl += ["-X", method, url]
    remote = "sudo " + " ".join(shlex.quote(word) for word in curl)
    if survey.options.elasticsearch_login == "api-key":
        login = """printf 'header = "Authorization: ApiKey %s"\\n' "$ES_PREFLIGHT_API_KEY\""""
    else:
        # curl takes \\ between quotes for an escape, and a password may hold both.
        login = (
            """printf '%s:%s\\n' "$ES_PREFLIGHT_USER" "$(cat "$ES_PREFLIGHT_PASSWORD_FILE")\""""
            """ | sed 's/[\\\\"]/\\\\&/g; s/^/user = "/; s/$/"/'"""
        )
    if body:
        login = f"{{ {login}; {body}; }}"
    if over_ssm(node):
        # A shell there is a terminal's, whose every word AWS may log: Elasticsearch is asked from here, as the run did.
        return Command(where=CONTROLLER, text=f"{login} | {shlex.join(curl)}")
    return Command(where=CONTROLLER, text=f"{login} | {node.ssh} {shlex.quote(remote)}")


def over_ssm(node: NodeFacts) -> bool:
    """What logs in to the node takes no command after it."""
    return str(node.ssh).startswith("aws ssm ")


SESSION_PORT = 19200
"""Where a session that the operator starts listens on the controller."""


def by_session(node: NodeFacts) -> bool:
    """The run asked its Elasticsearch through a session of Session Manager's, and so must the operator."""
    return isinstance(node.view, View) and node.view.carrier == "session"


def _session(node: NodeFacts, view: View) -> str:
    """The command line that forwards SESSION_PORT to the node's HTTP address, and stays."""
    split = urlsplit(view.url)
    host, port = split.hostname or "", split.port or 443
    document, parameters = "AWS-StartPortForwardingSession", f"portNumber={port},localPortNumber={SESSION_PORT}"
    if not stays_home(f"[{host}]:{port}" if ":" in host else f"{host}:{port}"):
        document, parameters = f"{document}ToRemoteHost", f"host={host},{parameters}"
    return f"{node.ssh} {shlex.join(['--document-name', document, '--parameters', parameters])}"


def reload(survey: Survey, node: NodeFacts) -> Command:
    """Have one node, by its id, read its keystore again; a protected one with its password in the body."""
    id = node.view.node_id if isinstance(node.view, View) else "_local"
    body = ""
    if isinstance(node.keystore, Keystore) and node.keystore.protected:
        # Escaped for JSON, then for curl's file of options.
        quoted = r"""s/[\\"]/\\&/g; s/[\\"]/\\&/g; s/.*/data = "{\\"secure_settings_password\\":\\"&\\"}"/"""
        body = (
            f"""sed -n '1{{ {quoted}; p; }}' "${KEYSTORE_PASSWORD}"; """
            """echo 'header = "Content-Type: application/json"'"""
        )
    return ask(survey, node, f"_nodes/{quote(id)}/reload_secure_settings", body=body)


def unlocking(node: NodeFacts) -> tuple[str, ...]:
    """What the commands of a node with a protected keystore need besides."""
    if not isinstance(node.keystore, Keystore) or not node.keystore.protected:
        return ()
    return (
        f"the keystore has a password: elasticsearch-keystore asks for it, and the reload takes it from the file that "
        f"{KEYSTORE_PASSWORD} names (export it as you gave --keystore-password-file); without it reload_exception says "
        "that the provided password was incorrect",
    )


def verify_on(survey: Survey, node: NodeFacts, repository: str) -> Command:
    """`_verify` of one repository, asked of this node."""
    return ask(survey, node, f"_snapshot/{quote(repository, safe='')}/_verify")


def beforehand(node: NodeFacts) -> tuple[str, ...]:
    """What must run while the commands of `ask` are typed: over ssm:// a session."""
    if not isinstance(node.view, View) or not by_session(node):
        return ()
    return (f"first, in a terminal of its own, and left running meanwhile: {_session(node, node.view)}",)


def about_curl(node: NodeFacts) -> tuple[str, ...]:
    """What the commands of `ask` need: `beforehand`, and a certificate that curl accepts.

    curl, unlike this suite, holds it against a certificate that it lacks the address asked.
    """
    first, view = beforehand(node), node.view
    if not isinstance(view, View) or not view.url.startswith("https:"):
        return first
    advice = (
        "curl error 60: the certificate lacks this address, or another authority signed it: name that with --cacert"
    )
    authority = _authority(node)
    if by_session(node) and authority:
        advice += f" (on the node it is {authority})"
    if view.carrier in ("direct-tcpip", "probe"):
        advice += ", or add -k, since the request does not leave the node"
    return (*first, advice)


def _authority(node: NodeFacts) -> str | None:
    """CA file of the node's HTTP certificate, on the node: as its configuration names it, else where 8.x writes it."""
    if not isinstance(node.config, Config):
        return None
    conf = PurePosixPath(node.config.path).parent
    written = node.config.settings.get("xpack.security.http.ssl.certificate_authorities", "")
    first = re.sub(r"[\[\]\"']", "", written).split(",")[0].strip()
    if first:
        return str(conf / first)
    return str(conf / "certs/http_ca.crt") if "xpack.security.http.ssl.keystore.path" in node.config.names else None


def restart(node: NodeFacts) -> str:
    """How Elasticsearch is restarted on this node."""
    unit = unit_of(node)
    if unit is not None:
        return f"sudo systemctl restart {shlex.quote(unit)}"
    if isinstance(node.install, Install) and node.install.layout == "docker":
        return "docker restart of its container"
    process = node.process
    if isinstance(process, Process) and process.others:
        return (
            f"stop process {process.pid} and start it as it was started (other Elasticsearch processes run beside it)"
        )
    return "stop and start Elasticsearch as it was started"


def tool_variables(install: Install | None, conf: str) -> str:
    """What a tool of Elasticsearch needs in its environment for this node. conf: its configuration folder"""
    # Only the packages' scripts read a file that says where Java is; sudo leaves the variables behind.
    java = install.java_home if install and install.layout == "tar" else None
    return f"ES_PATH_CONF={shlex.quote(conf)}" + (f" ES_JAVA_HOME={shlex.quote(java)}" if java else "")


def unit_of(node: NodeFacts) -> str | None:
    """The systemd unit that starts this node; None where there is none, or where it may be another process's."""
    if isinstance(node.process, Process) and (node.process.unit or node.process.others):
        return node.process.unit.removesuffix(".service") if node.process.unit else None
    if isinstance(node.install, Install) and node.install.layout in ("tar", "docker"):
        return None
    return "elasticsearch"


def restarting(node: NodeFacts) -> tuple[tuple[Command, ...], tuple[str, ...]]:
    """The restart as a command where there is one to type, else as advice."""
    if unit_of(node) is None:
        return (), (f"then restart this node: {restart(node)}",)
    return (Command(where=node.name, text=restart(node)),), ()


def waits(node: NodeFacts) -> str | None:
    """Why this node must not be restarted yet; None where its configuration is not known to refuse a start."""
    if isinstance(node.config, Config) and any(region.REMOVED.fullmatch(name) for name in node.config.names):
        return "it will not start again while elasticsearch.yml holds a removed setting (REGION-3): mend that first"
    return None


def restart_does_too(node: NodeFacts) -> str:
    """The sentence that offers a restart instead of a reload, or warns of it."""
    why = waits(node)
    return f"Do not restart it instead: {why}" if why else f"Restarting does the same: {restart(node)}"


def stamp(survey: Survey) -> str:
    """The survey's beginning in UTC, for the name of a copy: "20251124T104000Z"."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(survey.started))


def instance(node: NodeFacts) -> str:
    """The node's instance id for a command line; looked up by the address it was dialled at where IMDS gave none."""
    if isinstance(node.imds, Imds) and node.imds.instance_id:
        return shlex.quote(node.imds.instance_id)
    name = "network-interface.ipv6-addresses.ipv6-address" if ":" in node.host else "private-ip-address"
    query = f"--filters Name={name},Values={shlex.quote(node.host)}"
    return f'"$(aws ec2 describe-instances {query} --query "Reservations[0].Instances[0].InstanceId" --output text)"'
