"""What Elasticsearch's answers say, read to facts: members, repositories, and every shape of a `_verify` answer."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from typing import Any

from .facts import LoadedCertificate, Member, Remote, Repository, S3Client, Unknown, VerifyFailure


def members(info: dict[str, Any], settings: dict[str, Any] | Unknown | None = None) -> tuple[Member, ...]:
    """Members from a GET _nodes body with flat settings, sorted by name. settings: a GET _cluster/settings body."""
    wide = settings or {}
    found = []
    for node_id, node in info.get("nodes", {}).items():
        transport = node.get("transport", {}).get("publish_address") or node.get("transport_address", "")
        http = node.get("http", {}).get("publish_address")
        found.append(
            Member(
                id=node_id,
                name=node["name"],
                version=node["version"],
                roles=tuple(node.get("roles", ())),
                transport=_address(transport),
                http=_address(http) if http else None,
                clients=_clients(node.get("settings", {})),
                jvm=_jvm(node.get("jvm", {})),
                plugins=_plugins(node.get("plugins", [])) if "jvm" in node else None,
                http_tls=_http_tls(node.get("settings", {})),
                remotes=wide if isinstance(wide, Unknown) else remotes(node.get("settings", {}), wide),
            )
        )
    return tuple(sorted(found, key=lambda member: member.name))


def remotes(file: dict[str, Any], settings: dict[str, Any]) -> tuple[Remote, ...]:
    """The remote clusters of one node's flat settings and its cluster's; one without an address is none."""
    by_name: dict[str, dict[str, Any]] = {}
    for source in (file, settings.get("persistent", {}), settings.get("transient", {})):
        for setting, value in source.items():
            match = re.fullmatch(
                r"cluster\.remote\.([^.]+)\.(mode|seeds|proxy_address|proxy|skip_unavailable)", setting
            )
            if match:
                by_name.setdefault(match[1], {})[match[2]] = value
    found = []
    for name, told in sorted(by_name.items()):
        proxied = told.get("mode") == "proxy"
        # 7.x's `proxy` stands for the nodes that a seed names; a connection is opened to it alone.
        written = told.get("proxy_address") if proxied else told.get("proxy") or told.get("seeds")
        listed = written.split(",") if isinstance(written, str) else written or ()
        addresses = tuple(word for each in listed if re.fullmatch(r"\S+:\d{1,5}", word := str(each).strip()))
        skip = told.get("skip_unavailable")
        if addresses:
            found.append(
                Remote(
                    name=name,
                    mode="proxy" if proxied else "sniff",
                    addresses=addresses,
                    skip_unavailable=None if skip is None else _truth(skip),
                )
            )
    return tuple(found)


def _address(published: str) -> str:
    """The "host:port" of a publish address; a configured host name stands in front of it ("es-1/10.0.0.1:9300")."""
    return published.rpartition("/")[2]


def _jvm(jvm: dict[str, Any]) -> str | None:
    """ "21.0.4 (Eclipse Adoptium)"."""
    version, vendor = jvm.get("version"), jvm.get("vm_vendor")
    return f"{version} ({vendor})" if version and vendor else version


def _plugins(plugins: list[dict[str, Any]]) -> tuple[str, ...]:
    named = (f"{plugin.get('name', '')} {plugin.get('version', '')}".strip() for plugin in plugins)
    return tuple(sorted(name for name in named if "repository-" in name))


def loaded_certificates(body: object) -> tuple[LoadedCertificate, ...]:
    """Certificates with a key from a GET _ssl/certificates body; those of authorities are not the node's to show."""
    found = []
    for entry in body if isinstance(body, list) else ():
        if entry.get("has_private_key"):
            expiry = datetime.datetime.fromisoformat(str(entry["expiry"]).replace("Z", "+00:00"))
            found.append(
                LoadedCertificate(
                    path=str(entry.get("path", "")),
                    subject=str(entry.get("subject_dn", "")),
                    not_after=expiry.timestamp(),
                )
            )
    return tuple(found)


def _http_tls(settings: dict[str, Any]) -> bool:
    security = "xpack.security"
    enabled = all(
        _truth(settings.get(f"{security}.{name}", default))
        for name, default in (("enabled", True), ("http.ssl.enabled", False))
    )
    return enabled and settings.get(f"{security}.http.ssl.client_authentication") != "required"


def _clients(settings: dict[str, Any]) -> tuple[S3Client, ...]:
    by_name: dict[str, dict[str, Any]] = {}
    for setting, value in settings.items():
        match = re.fullmatch(r"s3\.client\.([^.]+)\.(region|endpoint|protocol|path_style_access)", setting)
        if match:
            by_name.setdefault(match[1], {})[match[2]] = (
                _truth(value) if match[2] == "path_style_access" else str(value)
            )
        elif setting.startswith("s3.client."):
            by_name.setdefault(setting.split(".")[2], {})
    return tuple(S3Client(name=name, **values) for name, values in sorted(by_name.items()))


def _truth(value: object) -> bool:
    return str(value).lower() == "true"


def repositories(body: dict[str, Any]) -> tuple[Repository, ...]:
    """Repositories from a GET _snapshot body, sorted by name."""
    found = []
    for name, repository in sorted(body.items()):
        settings = repository.get("settings", {})
        style = settings.get("path_style_access")
        found.append(
            Repository(
                name=name,
                type=repository["type"],
                bucket=settings.get("bucket"),
                client=settings.get("client", "default"),
                base_path=settings.get("base_path", ""),
                region=settings.get("region"),
                endpoint=settings.get("endpoint"),
                protocol=settings.get("protocol"),
                path_style_access=None if style is None else _truth(style),
                readonly=_truth(settings.get("readonly", "false")),
                server_side_encryption=_truth(settings.get("server_side_encryption", "false")),
                canned_acl=settings.get("canned_acl"),
                storage_class=settings.get("storage_class"),
            )
        )
    return tuple(found)


_NAMED = re.compile(r"\[([A-Za-z0-9_-]{20,24}), '(.*?)'\](?=, \[|\]|$)", re.DOTALL)
"""One VerificationFailure as Java's List.toString prints it: [NODE_ID, 'exception chain']."""


def verification(status: int, body: object) -> tuple[tuple[str, ...], tuple[VerifyFailure, ...]]:
    """Ids verified and failures from a `_verify` answer of any version from 7.17 to 9.x.

    Where the causes stand differs by version: 8.x and 9.x carry them in error.suppressed[], 7.17 flattens the whole
    chain into the reason's text, and where the elected master failed first every version carries them in caused_by and
    names no node at all.
    """
    if not isinstance(body, dict):
        return (), (VerifyFailure(node_id=None, sentence=f"HTTP {status} without a JSON body", chain=()),)
    if status == 200 and "error" not in body:
        nodes = body.get("nodes")
        return (tuple(sorted(map(str, nodes))) if isinstance(nodes, dict) else ()), ()
    error = body.get("error")
    if not isinstance(error, dict):
        return (), (VerifyFailure(node_id=None, sentence=f"HTTP {status}: {error}", chain=()),)
    reason = str(error.get("reason", ""))
    named = _NAMED.findall(reason)
    if not named:
        chain = tuple(causes(error))
        return (), (VerifyFailure(node_id=None, sentence=sentence(chain[-1]), chain=chain),)
    suppressed = error.get("suppressed")
    chains = [list(causes(cause)) for cause in suppressed or () if cause] if isinstance(suppressed, list) else []
    failures = []
    for node_id, text in named:
        carried = next((chain for chain in chains if chain and f"{{{node_id}}}" in chain[0]), None)
        chain = tuple(carried or flattened(text))
        failures.append(VerifyFailure(node_id=node_id, sentence=sentence(chain[-1]), chain=chain))
    return (), tuple(failures)


def causes(error: dict[str, Any]) -> Iterator[str]:
    """Reasons from the outermost to the innermost cause; where a cause has only suppressed ones, the first of them."""
    current: object = error
    for _ in range(50):  # a chain of causes is a handful deep; a body from the network gets a bound
        if not isinstance(current, dict):
            return
        yield str(current.get("reason") or current.get("type") or "")
        suppressed = current.get("suppressed")
        current = current.get("caused_by") or (suppressed[0] if isinstance(suppressed, list) and suppressed else None)


def flattened(text: str) -> list[str]:
    """7.17's one-line chain: `Outer[reason]; nested: Inner[reason]; nested: ...;`."""
    parts = []
    for part in text.split("; nested: "):
        inner = re.fullmatch(r"[\w.$]+\[(.*)\];*", part.strip(), re.DOTALL)
        parts.append(inner[1] if inner else part.strip().rstrip(";"))
    return parts


def sentence(reason: str) -> str:
    """AWS's own sentence out of an innermost reason: without the exception's name, request ids and attempt counts."""
    text = re.sub(r"^[a-z0-9_]*exception: ", "", reason)
    text = re.split(r" \(Service: ", text, maxsplit=1)[0]
    text = re.sub(r"AwsCredentialsProviderChain\(.*", "AwsCredentialsProviderChain", text, flags=re.DOTALL)
    return " ".join(text.split())[:500]
