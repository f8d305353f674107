"""ssh:// on a real sshd: what only OpenSSH can do, what of ssh_config it leaves out, and that nothing is left of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from loopback_sshd import ONLY_SSH, keygen, public

from preflight.connection import errors, openssh_master
from preflight.connection.connections import Connections
from preflight.connection.openssh_master import LONGEST_PATH, Directory
from preflight.inventory import Defaults, node_from_hostspec

pytestmark = pytest.mark.usefixtures("carrier")


def masters(path: Path) -> list[str]:
    """The ssh processes whose control socket is in that directory."""
    found = []
    for command in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = command.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"ssh") and any(word.startswith(os.fsencode(path)) for word in words):
            found.append(b" ".join(words).decode())
    return found


# What paramiko cannot do


def certify(sshd, authority: Path, *options: str) -> Path:
    """A certificate of the sshd's host key."""
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "host", "-h", *options]
    subprocess.run([*sign, f"{sshd.host_keys[0]}.pub"], check=True)
    return sshd.host_keys[0].with_name(sshd.host_keys[0].name + "-cert.pub")


@pytest.fixture
def certified(start_sshd, tmp_path):
    """An sshd that known_hosts vouches for by a certificate authority alone."""
    authority = keygen(tmp_path / "authority", "ed25519")
    folder = tmp_path / "sshd0"
    sshd = start_sshd(f"HostCertificate {folder}/host_ed25519-cert.pub")
    certify(sshd, authority, "-n", "127.0.0.1")
    os.kill(sshd.process.pid, signal.SIGHUP)
    until = time.monotonic() + 5
    while sshd.log.count("Server listening") < 2 and time.monotonic() < until:
        time.sleep(0.01)
    sshd.known_hosts.write_text(f"@cert-authority * {public(authority)}")
    return sshd


def test_a_host_certificate_logs_in_over_ssh_and_paramiko_says_so(certified, login, carrier):
    if carrier == "ssh":
        assert login(certified.node()).host_key == "verified"
        return
    with pytest.raises(errors.HostKeyUnknown, match=r"certificate authority at .*:1; paramiko cannot .* use ssh://"):
        login(certified.node())


@ONLY_SSH
def test_a_host_certificate_of_another_authority_is_refused(certified, login, tmp_path):
    certified.known_hosts.write_text(f"@cert-authority * {public(keygen(tmp_path / 'other', 'ed25519'))}")
    with pytest.raises(errors.HostKeyUnknown, match=r"SHA256:"):
        login(certified.node())
    assert "Accepted" not in certified.log


@ONLY_SSH
def test_match_exec_is_honoured(sshd, login):
    node = sshd.node(port=None)
    sshd.configure(f'Match exec "test -e {sshd.key}"\n  Port {sshd.port}\nMatch all')
    assert login(node).run("echo on").stdout == b"on\n"


@ONLY_SSH
def test_a_revoked_host_key_is_said(sshd, login):
    line = sshd.known_hosts.read_text()
    sshd.known_hosts.write_text(f"{line}@revoked {line}")
    with pytest.raises(errors.HostKeyRefused, match=r"SHA256:\S+\) is marked @revoked"):
        login(sshd.node())


@ONLY_SSH
def test_a_key_with_a_passphrase_is_said_and_nobody_is_asked(sshd, login):
    key = keygen(sshd.folder / "locked", "ed25519", passphrase="passphrase")
    sshd.authorized.write_text(public(key))
    started = time.monotonic()
    with pytest.raises(errors.AuthenticationFailed, match=f"ssh cannot sign with {key}, which sshd would take"):
        login(sshd.node(identity_file=str(key)))
    assert time.monotonic() - started < 5


@ONLY_SSH
def test_an_ssh_config_that_ssh_refuses_names_its_line(sshd, login):
    sshd.configure("NoSuchKeyword yes")
    with pytest.raises(errors.SshConfigRefused, match=f"{sshd.ssh_config}: line 1: Bad configuration option"):
        login(sshd.node())


@ONLY_SSH
def test_no_shared_algorithm_is_named(start_sshd, login):
    sshd = start_sshd("Ciphers aes256-ctr")
    sshd.configure("Ciphers aes128-ctr")
    with pytest.raises(errors.ConnectionFailed, match=r"share no algorithm \(no matching cipher found"):
        login(sshd.node())


# What a user's ssh_config asks for a login of his own


@ONLY_SSH
def test_forwardings_commands_and_sharing_of_ssh_config_are_left_out(sshd, login, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        sshd.configure(
            f"ControlMaster auto\nControlPath {tmp_path}/theirs-%C\nControlPersist yes\nRemoteCommand touch "
            f"{tmp_path}/ran\nRequestTTY force\nPermitLocalCommand yes\nLocalCommand touch {tmp_path}/local\n"
            f"LocalForward 127.0.0.1:{taken.getsockname()[1]} 127.0.0.1:1\nExitOnForwardFailure yes\nForwardAgent yes\n"
            "LogLevel QUIET\nUpdateHostKeys yes\nStrictHostKeyChecking accept-new"
        )
        known = sshd.known_hosts.read_text()
        assert login(sshd.node()).run("echo on").stdout == b"on\n"
    assert list(tmp_path.glob("theirs-*")) == []
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "local").exists()
    assert sshd.known_hosts.read_text() == known


@ONLY_SSH
def test_what_a_command_holds_is_not_kept(sshd, login):
    connection = login(sshd.node())
    connection.run("true canary\ntrue canary")
    with pytest.raises(errors.TargetRefused):
        connection.tunnel("127.0.0.1", 9, 5)  # what the log is read for
    said = connection._master.said_since(0, lambda lines: len(lines) > 2)
    assert [line for line in said if "canary" in line] == []
    assert any("open failed" in line for line in said)


# What is left


@ONLY_SSH
def test_masters_and_sockets_are_gone_after_close(start_sshd, tmp_path):
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    servers = [start_sshd(), start_sshd()]
    for server in servers:
        connections.get(server.node())
    path = connections._control_sockets().path
    assert (path.stat().st_mode & 0o777, len(masters(path)), len(list(path.iterdir()))) == (0o700, 2, 2)
    connections.close()
    assert (masters(path), path.exists()) == ([], False)


SUITE = """
import sys, time
from preflight.connection.connections import Connections
from preflight.inventory import Node
connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
node = Node(name="n", host="127.0.0.1", carrier="ssh", port=int(sys.argv[1]), identity_file=sys.argv[2],
            ssh_config=sys.argv[3])
connections.get(node)
print(connections._control_sockets().path, flush=True)
time.sleep(60)
"""


@ONLY_SSH
def test_not_even_sigkill_leaves_a_master(sshd):
    words = [sys.executable, "-c", SUITE, str(sshd.port), sshd.key, sshd.ssh_config]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as suite:
        assert suite.stdout is not None
        path = Path(suite.stdout.readline().strip())
        assert len(masters(path)) == 1
        suite.kill()
    until = time.monotonic() + 5
    while (path.exists() or masters(path)) and time.monotonic() < until:
        time.sleep(0.05)
    assert (masters(path), path.exists()) == ([], False)


@ONLY_SSH
def test_a_login_under_way_is_ended_with_the_run(sshd):
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    with socket.create_server(("127.0.0.1", 0)) as mute, ThreadPoolExecutor(1) as pool:
        login = pool.submit(connections.get, sshd.node(port=mute.getsockname()[1]))
        peer, _ = mute.accept()
        path = connections._control_sockets().path
        assert len(masters(path)) == 1
        connections.close()
        assert (masters(path), path.exists()) == ([], False)
        assert isinstance(login.exception(5), errors.ConnectionFailed)
        peer.close()


@ONLY_SSH
def test_a_failed_login_leaves_no_ssh(sshd, login, directory):
    with pytest.raises(errors.AuthenticationFailed):
        login(sshd.node(identity_file=None))
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(errors.ConnectTimeout):
        login(sshd.node(port=mute.getsockname()[1]), connect_timeout=0.3)
    assert masters(directory.path) == []


@ONLY_SSH
def test_the_path_of_a_socket_fits_into_that_of_macos(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 80)
    long.mkdir()
    monkeypatch.setattr(openssh_master.tempfile, "tempdir", str(long))
    directory = Directory()
    longest = len(str(directory.path / "9999"))
    directory.close()
    assert longest <= LONGEST_PATH
    assert longest + len(".0123456789abcdef") < 104


@ONLY_SSH
def test_without_an_ssh_the_way_out_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    connections = Connections(connect_timeout=5.0, insecure_host_keys=False)
    with pytest.raises(errors.ConnectionFailed, match="there is no ssh in PATH") as caught:
        connections.get(node_from_hostspec("ssh://es-1", Defaults()))
    assert "paramiko://" in caught.value.remedy
    connections.close()
