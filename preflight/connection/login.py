"""One SSH login over a ready stream: key exchange, host key check, authentication, each once."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import paramiko

from . import host_keys
from .channels import Transport
from .errors import (
    AuthenticationFailed,
    ConnectionDropped,
    ConnectionFailed,
    ConnectionLost,
    ConnectTimeout,
    HostKeyRefused,
    HostKeyUnknown,
)
from .identities import Identities
from .known_hosts import KnownKey, fingerprint, known_keys
from .ssh_config import CARRIER, Settings

KEEPALIVE = 15
"""Seconds between keepalives: a firewall must not forget a connection that waits for a slow `_verify`."""

LEAST_AUTH_TIMEOUT = 10.0
"""Seconds sshd has for one answer to an identity: LDAP and PAM take their time where the network doesn't."""


def log_in(
    stream: socket.socket,
    settings: Settings,
    *,
    ssh: str,
    password: str | None,
    timeout: float,
    deadline: float,
    verify_host_key: bool,
) -> Transport:
    """A verified, authenticated transport; closed again where that fails.

    ssh: the `ssh` command line that reaches the host, for messages
    timeout: --connect-timeout, for messages and as the least time to authenticate; deadline: time.monotonic() by which
    sshd must have agreed on keys. Raises ConnectionFailed and its kinds.
    """
    transport = Transport(stream)
    try:
        known = _known(settings) if verify_host_key else []
        _negotiate(transport, settings, known, timeout, deadline)
        if verify_host_key:
            _check_host_key(transport.get_remote_server_key(), settings, known, ssh)
        transport.auth_timeout = max(timeout, LEAST_AUTH_TIMEOUT)
        _authenticate(transport, settings, password)
    except BaseException:
        end(transport, stream)
        raise
    transport.set_keepalive(KEEPALIVE)
    return transport


def end(transport: paramiko.Transport, stream: socket.socket) -> None:
    """Close both now: shutting the stream down wakes paramiko's reader, which else sleeps 0.1 s between looks."""
    with suppress(OSError):  # the peer may have been first
        stream.shutdown(socket.SHUT_RDWR)
    transport.close()
    if transport.is_alive():
        transport.join(1.0)
    stream.close()


def _negotiate(
    transport: paramiko.Transport, settings: Settings, known: list[KnownKey], timeout: float, deadline: float
) -> None:
    where = f"{settings.hostname} port {settings.port}"
    options = transport.get_security_options()
    options.key_types = _preferred(tuple(options.key_types), known)
    left = max(deadline - time.monotonic(), 0.001)
    transport.banner_timeout = transport.handshake_timeout = left
    try:
        transport.start_client(timeout=left)
        transport.get_remote_server_key()  # raises where start_client only ran out of time
    except (paramiko.SSHException, EOFError, OSError) as error:
        if time.monotonic() >= deadline - 0.05:
            raise ConnectTimeout(
                f"{where} accepts the connection but sshd does not answer within {timeout:g} s",
                "look at sshd and at the load of that host; --connect-timeout gives it longer",
            ) from error
        if isinstance(error, paramiko.ssh_exception.IncompatiblePeer):
            raise ConnectionFailed(f"{where} and paramiko share no algorithm ({error}); {CARRIER}") from error
        if "banner" in str(error) or "protocol version" in str(error):
            raise ConnectionDropped.without_banner(where) from error
        raise ConnectionDropped(f"{where} closed the connection during the key exchange") from error


def _known(settings: Settings) -> list[KnownKey]:
    names = [settings.host_key_name]
    if settings.host_key_name.startswith("["):  # as ssh does: a key of the host on port 22 is as good
        names.append(settings.host_key_name[1:].partition("]")[0])
    keys: list[KnownKey] = []
    for name in names:
        keys += known_keys([name], settings.known_hosts)
        if any(not key.marker for key in keys):
            break
    return keys


def _preferred(types: tuple[str, ...], known: list[KnownKey]) -> tuple[str, ...]:
    """Host key algorithms, those of the known keys first: else a host known by another type looks unknown."""
    wanted = {key.type for key in known if not key.marker}
    return tuple(sorted(types, key=lambda name: ("ssh-rsa" if name.startswith("rsa-sha2") else name) not in wanted))


def _check_host_key(offered: paramiko.PKey, settings: Settings, known: list[KnownKey], ssh: str) -> None:
    blob, name = offered.asbytes(), settings.host_key_name
    print_ = fingerprint(blob)
    for key in known:
        if key.marker == "@revoked" and key.blob == blob:
            raise HostKeyRefused(f"the host key of {name} ({print_}) is marked @revoked at {key.where}")
    plain = [key for key in known if not key.marker]
    if any(key.blob == blob for key in plain):
        return
    offers = f"{offered.get_name()} {print_}"
    if plain:
        same_type = next((key for key in plain if key.type == offered.get_name()), plain[0])
        raise host_keys.changed(name, same_type.where, offers, ssh)
    authority = next((key for key in known if key.marker == "@cert-authority"), None)
    if authority:
        raise HostKeyUnknown(
            f"{name} is vouched for only by the certificate authority at {authority.where}; {CARRIER}",
            f"ssh:// in --hosts, or put its own key ({offers}) into known_hosts as well",
        )
    raise host_keys.unknown(name, offers, ssh, accepts_new_keys=settings.accepts_new_keys)


def _authenticate(transport: paramiko.Transport, settings: Settings, password: str | None) -> None:
    identities = Identities(settings, named_only=password is not None)
    offered: list[str] = []
    allowed: list[str] = []
    try:
        for identity in identities:
            if allowed and "publickey" not in allowed:
                break
            offered.append(identity.label)
            try:
                rest = transport.auth_publickey(settings.user, identity.key)
            except paramiko.BadAuthenticationType as error:
                allowed = error.allowed_types
                continue
            except paramiko.AuthenticationException:
                if not transport.is_active():
                    raise
                continue
            if not rest:
                return
            allowed = rest  # one of several steps is done
            if password is None:
                break
        if password is not None:
            offered.append("a password")
            if not (allowed := transport.auth_password(settings.user, password)):
                return
        elif not offered:
            offered.append("nothing")
            if not (allowed := transport.auth_none(settings.user)):
                return
    except paramiko.BadAuthenticationType as error:
        allowed = error.allowed_types
    except paramiko.AuthenticationException as error:
        if not transport.is_active():
            raise _refused(settings, offered, identities.skipped, ["an end after too many tries"]) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise ConnectionLost(f"{settings.hostname} ended the connection during authentication ({error})") from error
    finally:
        identities.close()
    raise _refused(settings, offered, identities.skipped, allowed)


def _refused(settings: Settings, offered: list[str], skipped: list[str], allowed: list[str]) -> AuthenticationFailed:
    """One sentence: who, what was offered, what could not be, what sshd wants."""
    sentence = f"{settings.user}@{settings.hostname} may not log in: sshd refused {', '.join(offered)}"
    if skipped:
        sentence += f"; not offered: {', '.join(skipped)}"
    if allowed:
        sentence += f"; it answers with {', '.join(allowed)}"
    if settings.beyond:
        sentence += f" (ssh_config also asks for {', '.join(settings.beyond)}; {CARRIER})"
    remedy = "name the right user and key: --hosts=USER@HOST with --ssh-identity-file=FILE, ssh_config, or ssh-add FILE"
    if len(offered) > 3:
        remedy += "; IdentitiesOnly yes in ssh_config keeps the agent's other keys back"
    return AuthenticationFailed(sentence, remedy)
