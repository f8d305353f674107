"""ssh_config is read as ssh reads it: every case is put to `ssh -G` too."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import socket
import subprocess
from pathlib import Path

import pytest

from preflight.connection.errors import SshConfigRefused
from preflight.connection.ssh_config import settings_for

USER = getpass.getuser()


def asked(config: Path, alias: str, *options: str) -> dict[str, list[str]]:
    """What `ssh -G` prints: keyword to its values."""
    command = ["ssh", "-G", "-F", str(config), *options, alias]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    values: dict[str, list[str]] = {}
    for line in printed.splitlines():
        keyword, _, value = line.partition(" ")
        values.setdefault(keyword, []).append(value)
    return values


CASES = {
    "first value wins": "Port 2201\nHost es-*\n  Port 2202\n  User admin\nHost *\n  User other\n",
    "patterns and negation": "Host !es-1 es-*\n  Port 1\nHost es-? !es-2\n  Port 2\nHost ES-1\n  Port 3\n",
    "equals, quotes, comments": 'Host "es-1" # mine\n  Port=2203\n  User = "admin" # his\n\tHostName\t"10.0.0.1"\n',
    "host name token": "Host es-1\n  HostName %h.example.com\n  HostKeyAlias alias-of-es\n",
    "match": "Match host es-1 user admin\n  Port 5\nMatch originalhost es-1 !user admin\n  Port 6\n",
    "match sees the host name": (
        "HostName db.example.com\nMatch host *.example.com,!x*\n  Port 7\nMatch host es-1\n  Port 8\n"
    ),
    "match local user": f"Match localuser {USER}\n  Port 9\nMatch localuser=nobody\n  User nobody\n",
    "match final": "Match final host *.internal\n  Port 10\nHost es-1\n  HostName es-1.internal\n",
    "identity files add up": (
        "IdentityFile ~/.ssh/%r_%h\nHost es-1\n  IdentityFile /k/%n\n  IdentityFile /k/%n\nIdentitiesOnly yes\n"
    ),
    "known hosts files": "UserKnownHostsFile /a ~/b %d/c\nGlobalKnownHostsFile /g /h\n",
    "no known hosts": "UserKnownHostsFile none\nUserKnownHostsFile /late\n",
    "jump before command": "ProxyJump hop%p\nProxyCommand nc %h %p\nPort 2204\n",
    "command before jump": "Host es-1\n  ProxyCommand nc -X 5 %h %p # %r\n  ProxyJump hop\n",
    "proxy none": "Host es-1\n  ProxyJump none\nHost *\n  ProxyJump hop\n",
    "family and bind": "AddressFamily inet6\nBindAddress ::1\nStrictHostKeyChecking accept-new\n",
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("typed", [{}, {"user": "typed", "port": 2299}], ids=["file", "typed"])
def test_settings_are_those_of_ssh(tmp_path, case, typed):
    config = tmp_path / "config"
    config.write_text(CASES[case])
    ours = settings_for("es-1", config=str(config), **typed)
    options = [f"-p{typed['port']}", f"-l{typed['user']}"] if typed else []
    theirs = asked(config, "es-1", *options)

    def expanded(paths: list[str]) -> list[str]:
        """ssh -G leaves ~ and some tokens as they are, and takes the home directory from passwd, not from $HOME."""
        home = str(Path.home())
        tokens = {"%r": ours.user, "%h": ours.hostname, "%n": "es-1", "%d": home}
        for token, value in tokens.items():
            paths = [path.replace(token, value) for path in paths]
        passwd = pwd.getpwuid(os.getuid()).pw_dir
        return [re.sub(f"^(~|{passwd})/", f"{home}/", path) for path in paths]

    assert (ours.hostname, ours.port, ours.user) == (theirs["hostname"][0], int(theirs["port"][0]), theirs["user"][0])
    if ours.identities_named:
        assert list(ours.identity_files) == expanded(theirs["identityfile"])
    else:
        assert set(ours.identity_files) < set(expanded(theirs["identityfile"]))
    assert ours.identities_only == (theirs["identitiesonly"] == ["yes"])
    known = [theirs["userknownhostsfile"][0], theirs["globalknownhostsfile"][0]]
    assert list(ours.known_hosts) == expanded([file for files in known for file in files.split() if file != "none"])
    for keyword, value in (("proxyjump", ours.proxy_jump), ("proxycommand", ours.proxy_command)):
        text = theirs.get(keyword, [None])[0]  # ssh expands it when it starts the command
        for token, meaning in {"%h": ours.hostname, "%p": str(ours.port), "%r": ours.user}.items():
            text = text and text.replace(token, meaning)
        assert value == text
    assert ours.bind_address == theirs.get("bindaddress", [None])[0]
    assert {socket.AF_INET6: "inet6", socket.AF_UNSPEC: "any"}[ours.family] == theirs["addressfamily"][0]
    alias = theirs.get("hostkeyalias", [None])[0]
    port = "" if ours.port == 22 else f":{ours.port}"
    assert ours.host_key_name == (alias or (f"[{ours.hostname}]{port}" if port else ours.hostname))


def test_included_files_are_read_where_they_stand(tmp_path):
    (tmp_path / "one.conf").write_text("User first\nHost other\n  Port 1\nHost es-1\n  Port 11\n")
    (tmp_path / "two.conf").write_text("User second\nPort 12\n")
    config = tmp_path / "config"
    config.write_text(
        f"Host other\n  Include {tmp_path}/two.conf\nHost *\n  Include {tmp_path}/*.conf {tmp_path}/none\n"
    )
    ours, theirs = settings_for("es-1", config=str(config)), asked(config, "es-1")
    assert (ours.user, str(ours.port)) == (theirs["user"][0], theirs["port"][0]) == ("first", "11")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Include {file}", "is included by itself"),
        ('User "admin', "config:1: a quote is not closed"),
        ("Port", "config:1: expected a keyword and its value"),
        ("Port ssh", "Port ssh of es-1 in the ssh_config is not a port number"),
        ("\nMatch exec true\n  Port 1", "config:2: whether es-1 matches depends on `Match exec`"),
        ("IdentityFile ${NO_SUCH_VARIABLE}/key", "names ${NO_SUCH_VARIABLE}, which is not set"),
        ("ProxyCommand nc %Z", "uses the token %Z"),
        ("CanonicalizeHostname yes", "config:1: CanonicalizeHostname applies to es-1"),
        ("RevokedHostKeys /etc/revoked", "config:1: RevokedHostKeys applies to es-1"),
    ],
)
def test_what_cannot_be_honoured_is_refused(tmp_path, text, said):
    config = tmp_path / "config"
    config.write_text(text.replace("{file}", str(config)))
    with pytest.raises(SshConfigRefused) as caught:
        settings_for("es-1", config=str(config))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["Match host other exec false\n  Port 1", "Host other\n  CanonicalizeHostname yes", "CanonicalizeHostname no"],
)
def test_what_does_not_concern_the_host_is_not_refused(tmp_path, text):
    config = tmp_path / "config"
    config.write_text(text)
    assert settings_for("es-1", config=str(config)).port == 22


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SshConfigRefused, match=f"cannot read the ssh_config {tmp_path}/none: No such file"):
        settings_for("es-1", config=f"{tmp_path}/none")


def test_a_changed_file_is_read_again(tmp_path):
    config = tmp_path / "config"
    config.write_text("Port 1\n")
    assert settings_for("es-1", config=str(config)).port == 1
    config.write_text("Port 22001\n")
    assert settings_for("es-1", config=str(config)).port == 22001
