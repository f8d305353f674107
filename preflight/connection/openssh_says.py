"""Why a login with OpenSSH failed, from what `ssh -v` wrote: the same kinds, sentences and remedies as with paramiko.

The words are OpenSSH's own, some of them unchanged since 5.x; what is not known here is told as it was said.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from . import host_keys
from .errors import (
    AuthenticationFailed,
    ConnectionDropped,
    ConnectionFailed,
    ConnectionLost,
    ConnectRefused,
    ConnectTimeout,
    HostKeyRefused,
    NameNotResolved,
    NoRoute,
    SshConfigRefused,
)

_DEBUG = "debug1: "


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What `ssh -G` says OpenSSH would do for one host; None where it says none."""

    alias: str
    hostname: str
    port: int
    user: str
    proxy_jump: str | None = None
    proxy_command: str | None = None
    accepts_new_keys: bool = False


def resolved(alias: str, printed: str) -> Resolved:
    """printed: by `ssh -G`."""
    values: dict[str, str] = {}
    for line in printed.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword.lower(), value)
    given = {name: value for name in ("proxyjump", "proxycommand") if (value := values.get(name, "none")) != "none"}
    return Resolved(
        alias=alias,
        hostname=values["hostname"],
        port=int(values["port"]),
        user=values["user"],
        proxy_jump=given.get("proxyjump"),
        proxy_command=given.get("proxycommand"),
        accepts_new_keys=values.get("stricthostkeychecking", "ask") in ("false", "no", "off", "accept-new"),
    )


def config_refused(alias: str, stderr: str) -> SshConfigRefused:
    """`ssh -G` ended without an answer."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return SshConfigRefused(
        f"ssh reads no configuration for {alias}: {lines[0] if lines else 'it printed nothing'}",
        "correct that line of ssh_config, or name another file with --ssh-config=FILE",
    )


def has_host_key(lines: Sequence[str]) -> bool:
    """Keys are agreed on: what follows is authentication."""
    return any(line.startswith(f"{_DEBUG}SSH2_MSG_NEWKEYS received") for line in lines)


def silent(host: Resolved, lines: Sequence[str], seconds: float) -> ConnectionFailed:
    """The login took too long."""
    where = f"{host.hostname} port {host.port}"
    if has_host_key(lines):
        return ConnectionLost(
            f"{where} did not decide about the login in time", "look at PAM, LDAP, or a key that waits for a touch"
        )
    if any(line.startswith((f"{_DEBUG}Connection established", f"{_DEBUG}Local version")) for line in lines):
        return ConnectTimeout(
            f"{where} accepts the connection but sshd does not answer within {seconds:g} s",
            "look at sshd and at the load of that host; --connect-timeout gives it longer",
        )
    return ConnectTimeout(
        f"{where} does not answer", "check that the host is up and that its firewall or security group lets you in"
    )


def failure(host: Resolved, lines: Sequence[str], ssh: str, seconds: float) -> ConnectionFailed:
    """ssh ended before it was logged in. lines: all it wrote; ssh: the command line that reaches the host."""
    said = [line for line in lines if not line.startswith("debug") and not line.startswith("OpenSSH_")]
    for reading in (_host_key, _unreached, _refused):
        if error := reading(host, said, lines, ssh, seconds):
            return error
    last = said[-1] if said else "it wrote nothing"
    return ConnectionFailed(f"ssh does not log in to {host.alias}: {last}", f"see what `{ssh} -v true` says")


def _found(pattern: str, lines: Sequence[str]) -> re.Match[str] | None:
    return next((match for line in lines if (match := re.search(pattern, line))), None)


def _unreached(
    host: Resolved, said: Sequence[str], lines: Sequence[str], ssh: str, seconds: float
) -> ConnectionFailed | None:
    where = f"{host.hostname} port {host.port}"
    if match := _found(r"Could not resolve hostname (\S+): (.*)", said):
        return NameNotResolved(
            f"{match[1]} has no address ({match[2]})", "correct the name in --hosts, the inventory or ssh_config"
        )
    if match := _found(r"connect to host \S+ port \d+: (.*)", said):
        if "timed out" in match[1]:
            return silent(host, (), seconds)
        if "refused" in match[1]:
            return ConnectRefused(f"{where} refuses the connection", "start sshd there, or correct the port")
        if re.search("[Nn]o route|unreachable|[Cc]annot assign|not supported", match[1]):
            return NoRoute(f"there is no route to {where} ({match[1]})")
        return ConnectionLost(f"connecting to {where} failed ({match[1]})")
    if _found(r"timed out during banner exchange|banner exchange:.*timed out|Timeout, server", said):
        return silent(host, lines, seconds)
    if match := _found(r"Unable to negotiate with .*?: (.*)", said):
        return ConnectionFailed(
            f"{where} and this machine's OpenSSH share no algorithm ({match[1]})",
            "ssh_config's KexAlgorithms, HostKeyAlgorithms or Ciphers can allow it for this host",
        )
    if not has_host_key(lines):
        complaint = next((line for line in reversed(said) if not _OWN_WORDS.match(line)), "")
        if host.proxy_command and complaint:
            return ConnectionLost(f"the ProxyCommand for {host.alias} ended: {complaint}")
        if not any(line.startswith(f"{_DEBUG}Remote protocol version") for line in lines) and _closed(said):
            return ConnectionDropped.without_banner(where)
        if _closed(said):
            return ConnectionDropped(f"{where} closed the connection during the key exchange")
    return None


_OWN_WORDS = re.compile(r"kex_exchange_identification:|ssh_exchange_identification:|Connection |banner exchange:|\*\*")


def _closed(said: Sequence[str]) -> bool:
    words = r"exchange_identification: |^Connection (closed|reset) by |banner exchange: "
    return _found(words, said) is not None


def _host_key(
    host: Resolved, said: Sequence[str], lines: Sequence[str], ssh: str, seconds: float
) -> ConnectionFailed | None:
    if not _found(r"Host key verification failed", said):
        return None
    key = _found(r"^debug1: Server host (?:key|certificate): (\S+ [^ ,]+)", lines)
    offered = key[1] if key else "a key it did not name"
    name = host.hostname if host.port == 22 else f"[{host.hostname}]:{host.port}"
    if match := _found(r"The \S+ host key for (\S+) is marked as revoked", said):
        return HostKeyRefused(f"the host key of {match[1]} ({offered.split()[-1]}) is marked @revoked in known_hosts")
    if _found("REMOTE HOST IDENTIFICATION HAS CHANGED", said):
        if match := _found(r"^Host key for (\S+) has changed", said):
            name = match[1]
        where = _found(r"^Offending (?:\S+ )?key in (.+:\d+)$", said)
        return host_keys.changed(name, where[1] if where else "known_hosts", offered, ssh)
    if match := _found(r"No \S+ host key is known for (\S+) and you have requested strict checking", said):
        return host_keys.unknown(match[1], offered, ssh, accepts_new_keys=host.accepts_new_keys)
    before = next((line for line in reversed(said) if "Host key verification failed" not in line), "")
    return HostKeyRefused(f"the host key of {name} ({offered}) is refused: {before or 'ssh does not say why'}")


def _refused(
    host: Resolved, said: Sequence[str], lines: Sequence[str], ssh: str, seconds: float
) -> ConnectionFailed | None:
    """sshd has taken none of the identities, or hung up while it was asked."""
    offered = [match[1] for line in lines if (match := re.match(r"debug1: Offering public key: (\S+)", line))]
    many = _found("Too many authentication failures", said)
    denied = _found(r"Permission denied \((.*)\)", said)
    if not denied and not many:
        if has_host_key(lines) and _closed(said):
            return ConnectionLost(f"{host.hostname} ended the connection during authentication")
        return None
    skipped = [match[1] for line in said if (match := re.match(r"(?:Load key|no such identity:) (.*)", line))]
    if agent := _found(r"^debug1: .*ssh_get_authentication_socket: (.*)", lines):
        skipped.append(f"the ssh-agent's, which does not answer ({agent[1]})")
    accepted = [match[1] for line in lines if (match := re.match(r"debug1: Server accepts key: (\S+)", line))]
    sentence = f"{host.user}@{host.hostname} may not log in: sshd refused {', '.join(offered) or 'nothing'}"
    if skipped:
        sentence += f"; not offered: {', '.join(skipped)}"
    if accepted:
        sentence += (
            f"; ssh cannot sign with {accepted[-1]}, which sshd would take (a passphrase that no ssh-agent knows?)"
        )
    sentence += f"; it answers with {', '.join(denied[1].split(',')) if denied else 'an end after too many tries'}"
    remedy = (
        "name the right user and key: --hosts=ssh://USER@HOST with --ssh-identity-file=FILE, ssh_config, or ssh-add "
        "FILE; nothing is ever asked for here, so a key with a passphrase needs the ssh-agent"
    )
    if len(offered) > 3:
        remedy += "; IdentitiesOnly yes in ssh_config keeps the agent's other keys back"
    return AuthenticationFailed(sentence, remedy)
