"""How a connection can fail.

ConnectionFailed
├── HostUnreachable         nobody answers there
│   ├── NameNotResolved
│   ├── ConnectRefused
│   ├── ConnectTimeout      includes an sshd that accepts and never speaks
│   └── NoRoute
├── HostKeyRefused
│   ├── HostKeyUnknown      the message names the command that accepts it
│   └── HostKeyChanged
├── AuthenticationFailed    tried once, never twice
├── SshConfigRefused        ssh_config is unreadable, or asks for what only OpenSSH can do
├── ConnectionLost          ended while something ran: never to be read as an answer
│   └── ConnectionDropped   sshd hung up before anything was offered to it: tried once more
├── CommandTimeout          its own deadline passed
├── SessionRefused          sshd's MaxSessions, or no shell for that user
├── ForwardingForbidden     sshd's AllowTcpForwarding or PermitOpen; over ssm:// whatever it takes that is not there
└── TargetRefused           the forwarded target did not accept
"""

from __future__ import annotations


class ConnectionFailed(Exception):
    """str() is one sentence for the operator, without a secret. remedy: what to type or change, "" where unknown."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class HostUnreachable(ConnectionFailed):
    """Nobody answers there."""


class NameNotResolved(HostUnreachable):
    """The host name has no address."""


class ConnectRefused(HostUnreachable):
    """The host answered that nothing listens on that port."""


class ConnectTimeout(HostUnreachable):
    """No answer, or no SSH banner, within --connect-timeout."""


class NoRoute(HostUnreachable):
    """The controller's network has no way there."""


class HostKeyRefused(ConnectionFailed):
    """The host key is not the one that known_hosts vouches for."""


class HostKeyUnknown(HostKeyRefused):
    """known_hosts has no key of this host."""


class HostKeyChanged(HostKeyRefused):
    """known_hosts has another key of this host."""


class AuthenticationFailed(ConnectionFailed):
    """sshd accepted none of the offered identities."""


class SshConfigRefused(ConnectionFailed):
    """ssh_config cannot be read, or asks for what only OpenSSH can do and what must not be ignored."""


class ConnectionLost(ConnectionFailed):
    """The connection ended while something ran."""


class ConnectionDropped(ConnectionLost):
    """sshd, or whatever listens there, hung up before any identity was offered: its MaxStartups does that."""

    @classmethod
    def without_banner(cls, where: str) -> ConnectionDropped:
        """Before it had even said that it is an sshd."""
        return cls(
            f"{where} closes the connection without an SSH banner",
            "sshd's MaxStartups, a full host, or another service on that port does this",
        )


class CommandTimeout(ConnectionFailed):
    """A command outlived its deadline; its channel is closed."""


class SessionRefused(ConnectionFailed):
    """sshd opens no further session on this login, or runs no command for this user."""


class ForwardingForbidden(ConnectionFailed):
    """sshd forbids forwarding to that target; over ssm:// this machine, the agent or AWS has no session for it."""


class TargetRefused(ConnectionFailed):
    """The target of a forwarded connection did not accept it."""
