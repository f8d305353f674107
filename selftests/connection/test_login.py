"""Logging in to a real sshd: every way it can fail, and what the operator is told."""

from __future__ import annotations

import errno
import getpass
import logging
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from loopback_sshd import ONLY_PARAMIKO, free_port, keygen, public

from preflight.connection import carrier, errors
from preflight.connection.known_hosts import fingerprint, known_keys
from preflight.connection.way import ssh_command

USER = getpass.getuser()
pytestmark = pytest.mark.usefixtures("carrier")


def ssh_folder() -> Path:
    """The test's own ~/.ssh."""
    folder = Path(os.environ["HOME"]) / ".ssh"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """A real ssh-agent; call it to add a key."""
    path = tmp_path / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 3
    with socket.socket(socket.AF_UNIX) as probe:
        while probe.connect_ex(str(path)) and time.monotonic() < deadline:
            time.sleep(0.01)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
    yield lambda key: subprocess.run(["ssh-add", "-q", key], check=True)
    process.terminate()
    process.wait(5)


def test_a_login_says_who_and_how(sshd, login, carrier):
    connection = login(sshd.node())
    assert (connection.user, connection.host_key, connection.carrier) == (USER, "verified", carrier)
    assert 0 < connection.milliseconds < 5000


# Nobody answers there


def test_a_closed_port_is_refused(sshd, login):
    with pytest.raises(errors.ConnectRefused, match=r"127.0.0.1 port 9 refuses the connection"):
        login(sshd.node(port=9))


def test_a_name_without_address_is_named(sshd, login):
    with pytest.raises(errors.NameNotResolved, match=r"no-such-host.invalid has no address"):
        login(sshd.node(host="no-such-host.invalid"))


@ONLY_PARAMIKO
def test_where_the_kernel_has_no_ipv6_a_name_with_both_families_is_reached(sshd, login, monkeypatch):
    real, tried = carrier._PromptSocket, []

    def without_ipv6(family, *more):
        tried.append(family)
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *more)

    both = [(f, socket.SOCK_STREAM, 6, "", ("127.0.0.1", sshd.port)) for f in (socket.AF_INET6, socket.AF_INET)]
    monkeypatch.setattr(carrier, "_PromptSocket", without_ipv6)
    monkeypatch.setattr(carrier.socket, "getaddrinfo", lambda *_: both)
    login(sshd.node())
    assert tried == [socket.AF_INET6, socket.AF_INET]


def test_a_listener_that_never_accepts_costs_the_timeout_once(sshd, login):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        fill = [socket.socket() for _ in range(3)]
        for one in fill:  # its queue is full now, so that a further SYN goes unanswered
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        started = time.monotonic()
        with pytest.raises(errors.ConnectTimeout, match=r"does not answer"):
            login(sshd.node(port=port), connect_timeout=0.5)
        assert 0.4 < time.monotonic() - started < 0.9
        for one in fill:
            one.close()


def test_a_listener_that_never_speaks_costs_the_timeout_once(sshd, login):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        started = time.monotonic()
        with pytest.raises(errors.ConnectTimeout, match=r"sshd does not answer within 0.5 s"):
            login(sshd.node(port=mute.getsockname()[1]), connect_timeout=0.5)
        assert 0.4 < time.monotonic() - started < 0.9


def test_an_sshd_that_stops_after_its_banner_costs_the_timeout_once(sshd, login):
    with socket.create_server(("127.0.0.1", 0)) as half:

        def greet() -> None:
            peer, _ = half.accept()
            peer.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            time.sleep(1)
            peer.close()

        greeting = threading.Thread(target=greet)
        greeting.start()
        started = time.monotonic()
        with pytest.raises(errors.ConnectTimeout):
            login(sshd.node(port=half.getsockname()[1]), connect_timeout=0.5)
        assert time.monotonic() - started < 0.9
        greeting.join()


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_something_that_is_no_sshd_is_named(sshd, login, words):
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer() -> None:
            peer, _ = other.accept()
            with peer:
                peer.recv(100)
                peer.sendall(words)

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(errors.ConnectionLost, match=r"without an SSH banner"):
            login(sshd.node(port=other.getsockname()[1]))


def test_failures_leave_no_thread_and_no_word_on_stderr(sshd, login, capfd):
    before = threading.active_count()
    logging.getLogger().handlers, kept = [], logging.getLogger().handlers
    try:
        with socket.create_server(("127.0.0.1", 0)) as mute:
            for node in (sshd.node(port=mute.getsockname()[1]), sshd.node(identity_file=None), sshd.node(port=9)):
                with pytest.raises(errors.ConnectionFailed):
                    login(node, connect_timeout=0.3)
    finally:
        logging.getLogger().handlers = kept
    assert threading.active_count() == before
    assert capfd.readouterr().err == ""


# Host keys


def test_an_unknown_host_key_is_refused_and_the_command_accepts_it(sshd, login):
    sshd.known_hosts.write_text("")
    with pytest.raises(errors.HostKeyUnknown) as caught:
        login(sshd.node())
    shown = subprocess.run(["ssh-keygen", "-lf", sshd.host_keys[0]], capture_output=True, text=True, check=True).stdout
    assert f"[127.0.0.1]:{sshd.port}" in str(caught.value)
    assert shown.split()[1] in str(caught.value)
    assert "Accepted" not in sshd.log, "no identity may be offered to a host that is not verified"

    command = caught.value.remedy.partition("accept it: ")[2].partition(" (or")[0]
    subprocess.run(command, shell=True, check=True, stderr=subprocess.DEVNULL)
    assert login(sshd.node()).host_key == "verified"


def test_a_changed_host_key_is_refused_and_the_commands_name_the_line(sshd, login):
    other = keygen(sshd.folder / "other", "ed25519")
    sshd.known_hosts.write_text(f"# mine\n[127.0.0.1]:{sshd.port} {public(other)}")
    with pytest.raises(errors.HostKeyChanged) as caught:
        login(sshd.node())
    assert f"{sshd.known_hosts}:2" in str(caught.value)
    command = caught.value.remedy.partition("fingerprint: ")[2]
    subprocess.run(command, shell=True, check=True, capture_output=True)
    assert login(sshd.node()).host_key == "verified"


@pytest.mark.parametrize("content", ["", "changed"])
def test_insecure_host_keys_turns_the_check_off_and_says_so(sshd, login, content):
    key = f"[127.0.0.1]:{sshd.port} {public(sshd.key)}" if content else ""
    sshd.known_hosts.write_text(key)
    assert login(sshd.node(), insecure_host_keys=True).host_key == "not verified"


def test_strict_host_key_checking_off_in_ssh_config_is_no_reason_to_trust(sshd, login):
    sshd.known_hosts.write_text("")
    sshd.configure("StrictHostKeyChecking no")
    with pytest.raises(errors.HostKeyUnknown, match=r"StrictHostKeyChecking of ssh_config is not taken as a reason"):
        login(sshd.node())


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_a_host_known_by_one_type_of_key_is_known(start_sshd, login, kind):
    sshd = start_sshd(host_keys=("ed25519", "ecdsa", "rsa"))
    key = next(key for key in sshd.host_keys if key.name == f"host_{kind}")
    sshd.known_hosts.write_text(f"[127.0.0.1]:{sshd.port} {public(key)}")
    login(sshd.node())


def test_hashed_names_further_files_and_the_bare_name_are_known(sshd, login):
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", sshd.known_hosts], check=True, capture_output=True)
    hashed = sshd.known_hosts.read_text()
    assert "127.0.0.1" not in hashed
    assert known_keys(["other", f"[127.0.0.1]:{sshd.port + 1}"], [str(sshd.known_hosts)]) == []
    sshd.known_hosts.write_text(f"no key at all\n|1|x|y ssh-rsa ????\n{hashed}")
    login(sshd.node())

    second = sshd.folder / "second"
    sshd.known_hosts.rename(second)
    sshd.configure(f"UserKnownHostsFile {sshd.folder}/none {second}")
    login(sshd.node())

    second.write_text(f"127.0.0.* {public(sshd.host_keys[0])}")
    login(sshd.node())
    second.write_text(f"127.0.0.*,!127.0.0.1 {public(sshd.host_keys[0])}")
    with pytest.raises(errors.HostKeyUnknown):
        login(sshd.node())

    sshd.configure(f"GlobalKnownHostsFile {sshd.folder}/global\nHostKeyAlias es-1")
    (sshd.folder / "global").write_text(f"es-1 {public(sshd.host_keys[0])}")
    login(sshd.node())


@ONLY_PARAMIKO
def test_revoked_keys_and_certificate_authorities_are_said(sshd, login):
    line = sshd.known_hosts.read_text()
    sshd.known_hosts.write_text(f"{line}@revoked {line}")
    with pytest.raises(errors.HostKeyRefused, match=f"@revoked at {sshd.known_hosts}:2"):
        login(sshd.node())
    sshd.known_hosts.write_text(f"@cert-authority * {public(sshd.host_keys[0])}")
    with pytest.raises(errors.HostKeyUnknown, match=r"certificate authority .* use ssh://"):
        login(sshd.node())


def test_fingerprints_are_those_of_ssh_keygen(sshd):
    import base64

    shown = subprocess.run(["ssh-keygen", "-lf", sshd.key], capture_output=True, text=True, check=True).stdout.split()
    assert fingerprint(base64.b64decode(public(sshd.key).split()[1])) == shown[1]


# Authentication


def test_a_refused_key_is_one_attempt(sshd, login):
    wrong = keygen(sshd.folder / "wrong", "ed25519")
    with pytest.raises(errors.AuthenticationFailed, match=f"{USER}@127.0.0.1 may not log in: sshd refused {wrong}"):
        login(sshd.node(identity_file=str(wrong)))
    assert sshd.log.count("Connection from") == 1
    assert sshd.log.count("Failed publickey") == 1


def test_nothing_to_offer_is_said(sshd, login):
    with pytest.raises(errors.AuthenticationFailed, match=r"sshd refused nothing; it answers with publickey"):
        login(sshd.node(identity_file=None))


@ONLY_PARAMIKO
def test_a_password_from_the_hostspec_is_tried_once_and_never_shown(start_sshd, login):
    sshd = start_sshd("PasswordAuthentication yes")
    keygen(ssh_folder() / "id_ed25519", "ed25519")
    node = sshd.node(identity_file=None, password="hunter2hunter2")
    with pytest.raises(errors.AuthenticationFailed, match=r"sshd refused a password") as caught:
        login(node)
    assert sshd.log.count("Failed password") == 1
    assert "publickey" not in sshd.log, "a key nobody named may use up the tries sshd allows"
    assert "hunter2" not in f"{caught.value!r} {caught.value.remedy} {node!r} {node}"


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
def test_every_type_of_key_logs_in(sshd, login, kind):
    key = keygen(sshd.folder / f"id_{kind}", kind)
    sshd.authorized.write_text(public(key))
    login(sshd.node(identity_file=str(key)))


@ONLY_PARAMIKO
def test_a_key_with_a_passphrase_needs_an_agent(sshd, login):
    key = keygen(sshd.folder / "locked", "ed25519", passphrase="passphrase")
    sshd.authorized.write_text(public(key))
    with pytest.raises(errors.AuthenticationFailed, match=f"{key} has a passphrase and no ssh-agent holds it"):
        login(sshd.node(identity_file=str(key)))


@ONLY_PARAMIKO
def test_a_missing_or_garbled_key_file_is_named(sshd, login):
    (sshd.folder / "garbled").write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    sshd.configure(f"IdentityFile {sshd.folder}/missing\nIdentityFile {sshd.folder}/garbled")
    with pytest.raises(errors.AuthenticationFailed) as caught:
        login(sshd.node(identity_file=None))
    assert f"{sshd.folder}/missing cannot be read (No such file or directory)" in str(caught.value)
    assert f"{sshd.folder}/garbled is no private key" in str(caught.value)


def test_a_certificate_logs_in_and_an_expired_one_leaves_the_key(start_sshd, login, tmp_path):
    authority = keygen(tmp_path / "ca", "ed25519")
    sshd = start_sshd(f"TrustedUserCAKeys {authority}.pub")
    keys = sshd.authorized.read_text()
    sign = ["ssh-keygen", "-q", "-s", authority, "-I", "me", "-n", USER]
    sshd.authorized.write_text("")
    subprocess.run([*sign, f"{sshd.key}.pub"], check=True)
    login(sshd.node())
    assert "Accepted publickey for root from 127.0.0.1" in sshd.log.replace(USER, "root")
    assert "ED25519-CERT" in sshd.log

    old = sshd.folder / "old"
    shutil.copy(sshd.key, old)
    shutil.copy(f"{sshd.key}.pub", f"{old}.pub")
    subprocess.run([*sign, "-V", "20200101:20200102", f"{old}.pub"], check=True)
    with pytest.raises(errors.AuthenticationFailed, match=r"refused .*old(-cert.pub)?, .*old(;|$)"):
        login(sshd.node(identity_file=str(old)))
    sshd.authorized.write_text(keys)
    login(sshd.node(identity_file=str(old)))


def test_the_agents_keys_log_in(sshd, login, agent):
    sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace("IdentityAgent none\n", ""))
    agent(sshd.key)
    login(sshd.node(identity_file=None))


def test_a_named_key_the_agent_holds_comes_first(sshd, login, agent):
    """With six other keys in the agent sshd's MaxAuthTries would be used up before it."""
    sshd.ssh_config.write_text(sshd.ssh_config.read_text().replace("IdentityAgent none\n", ""))
    for number in range(6):
        agent(keygen(sshd.folder / f"other{number}", "ed25519"))
    with pytest.raises(errors.AuthenticationFailed) as caught:
        login(sshd.node(identity_file=None))
    assert "IdentitiesOnly" in caught.value.remedy

    agent(sshd.key)
    sshd.key.write_text("only the agent has it")
    login(sshd.node())


def test_identities_only_and_identity_agent_are_honoured(sshd, login, agent, monkeypatch):
    agent(sshd.key)
    with pytest.raises(errors.AuthenticationFailed, match=r"refused nothing"):
        login(sshd.node(identity_file=None))  # IdentityAgent none
    socket_path = os.environ["SSH_AUTH_SOCK"]
    monkeypatch.delenv("SSH_AUTH_SOCK")
    sshd.configure(f"IdentityAgent {socket_path}")
    login(sshd.node(identity_file=None))
    sshd.configure("IdentitiesOnly yes")
    with pytest.raises(errors.AuthenticationFailed, match=r"refused nothing"):
        login(sshd.node(identity_file=None))


@ONLY_PARAMIKO
def test_an_agent_that_is_gone_is_said(sshd, login):
    sshd.configure(f"IdentityAgent {sshd.folder}/gone")
    with pytest.raises(errors.AuthenticationFailed, match=f"the ssh-agent at {sshd.folder}/gone does not answer"):
        login(sshd.node(identity_file=None))


def test_a_second_factor_is_named(start_sshd, login):
    sshd = start_sshd("AuthenticationMethods publickey,password", "PasswordAuthentication yes")
    with pytest.raises(errors.AuthenticationFailed, match=r"it answers with password"):
        login(sshd.node())


@ONLY_PARAMIKO
def test_default_key_files_are_offered(sshd, login):
    sshd.key.rename(ssh_folder() / "id_ed25519")
    login(sshd.node(identity_file=None))


@ONLY_PARAMIKO
def test_gssapi_in_ssh_config_is_no_type_error(sshd, login):
    sshd.configure("GSSAPIAuthentication yes\nGSSAPIKeyExchange yes\nGSSAPIDelegateCredentials no")
    login(sshd.node())
    with pytest.raises(
        errors.AuthenticationFailed, match=r"ssh_config also asks for GSSAPIAuthentication.* use ssh://"
    ):
        login(sshd.node(identity_file=None))


# Ways there


def test_what_was_typed_beats_the_file(sshd, login):
    sshd.configure("Port 9\nUser nobody\nIdentityFile /nonexistent")
    assert login(sshd.node()).user == USER
    with pytest.raises(errors.ConnectRefused):
        login(sshd.node(port=None))


@ONLY_PARAMIKO
def test_the_home_directorys_file_is_read_where_none_is_named(sshd, login):
    home = ssh_folder()
    (home / "config").write_text(
        f"Host es-1\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {USER}\n  IdentityFile {sshd.key}\n"
    )
    (home / "known_hosts").write_text(sshd.known_hosts.read_text())
    login(sshd.node(host="es-1", port=None, user=None, identity_file=None, ssh_config=None))


def jump_config(target, bastion, line: str) -> str:
    config = target.folder / "jump_config"
    config.write_text(
        f"Host bastion second\n  HostName 127.0.0.1\n  Port {bastion.port}\n  User {USER}\n"
        f"  IdentityFile {bastion.key}\n  UserKnownHostsFile {bastion.known_hosts}\n  IdentityAgent none\n"
        f"Host 127.0.0.1\n  IdentityAgent none\n  UserKnownHostsFile {target.known_hosts}\n  {line}\n"
    )
    return str(config)


@pytest.mark.parametrize("line", ["ProxyJump bastion", f"ProxyJump {USER}@bastion"])
def test_proxy_jump_goes_through_the_bastion(start_sshd, login, line):
    target, bastion = start_sshd(), start_sshd()
    connection = login(target.node(ssh_config=jump_config(target, bastion, line)))
    assert connection.run("echo there").stdout == b"there\n"
    assert "Accepted publickey" in bastion.log
    connection.close()
    deadline = time.monotonic() + 3
    while bastion.children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert bastion.children() == []


def test_two_jumps_follow_each_other(start_sshd, login):
    target, bastion = start_sshd(), start_sshd()
    login(target.node(ssh_config=jump_config(target, bastion, "ProxyJump bastion,second")))
    assert bastion.log.count("Accepted publickey") == 2


def test_the_bastions_host_key_is_verified_too(start_sshd, login):
    target, bastion = start_sshd(), start_sshd()
    bastion.known_hosts.write_text("")
    with pytest.raises(errors.HostKeyUnknown, match=str(bastion.port)):
        login(target.node(ssh_config=jump_config(target, bastion, "ProxyJump bastion")))
    assert "Connection from" not in target.log


def test_a_target_the_bastion_cannot_reach_is_named(start_sshd, login):
    target, bastion = start_sshd(), start_sshd()
    node = target.node(ssh_config=jump_config(target, bastion, "ProxyJump bastion"), port=free_port())
    with pytest.raises(errors.ConnectRefused, match=r"cannot be reached from bastion"):
        login(node)


def test_a_bastion_that_forbids_forwarding_is_named(start_sshd, login):
    target, bastion = start_sshd(), start_sshd("AllowTcpForwarding no")
    with pytest.raises(errors.ForwardingForbidden, match=r"sshd on bastion forbids"):
        login(target.node(ssh_config=jump_config(target, bastion, "ProxyJump bastion")))


def test_jumps_in_a_circle_are_refused(sshd, login):
    sshd.configure("Host a\n  ProxyJump b\nHost b\n  ProxyJump c\nHost c\n  ProxyJump b\nHost *")
    with pytest.raises(errors.SshConfigRefused, match=r"ProxyJump leads in a circle: .*a -> b -> c -> b"):
        login(sshd.node(host="a"))


def test_proxy_command_carries_the_login(sshd, login):
    script = "import socket,sys,threading,os; s=socket.create_connection((sys.argv[1],int(sys.argv[2]))); "
    script += "t=threading.Thread(target=lambda:[os.write(1,d) for d in iter(lambda:s.recv(9999),b'')],daemon=True); "
    script += "t.start(); [s.sendall(d) for d in iter(lambda:os.read(0,9999),b'')]"
    program = sshd.folder / "proxy.py"
    program.write_text(script.replace("; ", "\n"))
    sshd.configure(f"ProxyCommand /usr/bin/env python3 {program} %h %p")
    started = time.monotonic()
    connection = login(sshd.node())
    assert connection.run("echo there").stdout == b"there\n"
    connection.close()
    assert time.monotonic() - started < 2


def test_a_proxy_command_that_fails_says_why(sshd, login):
    sshd.configure("ProxyCommand sh -c 'echo hop: Permission denied >&2'")
    with pytest.raises(errors.ConnectionLost, match=r"the ProxyCommand for 127.0.0.1 ended: hop: Permission denied"):
        login(sshd.node())


@ONLY_PARAMIKO
def test_match_exec_is_refused_with_the_way_out(sshd, login):
    sshd.configure('Match exec "test -e /etc/corp"\n  Port 9\nMatch all')
    with pytest.raises(errors.SshConfigRefused, match=r"ssh_config:1: .*Match exec.*use ssh://"):
        login(sshd.node())


def test_the_ssh_command_line_reaches_the_node(sshd):
    command = f"{ssh_command(sshd.node())} echo there"
    done = subprocess.run(command, shell=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=10)
    assert done.stdout == b"there\n"


def test_a_login_over_a_frozen_sshd_ends(sshd, login):
    os.kill(sshd.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(errors.ConnectTimeout):
            login(sshd.node(), connect_timeout=0.3)
    finally:
        os.kill(sshd.process.pid, signal.SIGCONT)
