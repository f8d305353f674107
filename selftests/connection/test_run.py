"""Commands on a real sshd: what comes back, and what must never be read as an answer."""

from __future__ import annotations


def test_a_command_gives_its_output_and_status(sshd, login):
    done = login(sshd.node()).run("echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.exit_status) == (b"out\n", b"err\n", 7)
