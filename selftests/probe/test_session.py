"""Starting, answering, ending, and every way not to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from subprocess_connection import SubprocessConnection

from preflight.connection.errors import CommandTimeout, ConnectionFailed
from preflight.probe import ProbeFailed, Session, session
from preflight.probe.program import PYTHONS

HEAD = "def routing(look):"
"""Where a section's body begins: what is put in after it runs in its place."""


def test_two_questions_run_at_once(start):
    probe = start(replace={'ask == "clock"': 'ask == "clock" and not time.sleep(message["sleep"])'})
    began = time.monotonic()
    slow = threading.Thread(target=probe.ask, args=({"ask": "clock", "sleep": 1.0}, 5))
    slow.start()
    probe.ask({"ask": "clock", "sleep": 0}, 5)
    assert time.monotonic() - began < 0.8
    slow.join()


def test_an_answer_that_comes_too_late_is_a_timeout_and_the_session_lives_on(start):
    probe = start(replace={'ask == "clock"': 'ask == "clock" and not time.sleep(message["sleep"])'})
    with pytest.raises(CommandTimeout, match=r"within 0\.1 s"):
        probe.ask({"ask": "clock", "sleep": 0.5}, 0.1)
    assert probe.ask({"ask": "clock", "sleep": 0}, 5)["clock"] > 0


def test_a_section_that_raises_is_unknown_without_its_words_and_the_rest_answers(facts):
    answer = facts("system", "routing", replace={HEAD: HEAD + "\n    raise KeyError('canary')"})
    assert "value" in answer["system"]
    assert answer["routing"]["unknown"].startswith("the probe failed: KeyError in routing, line ")
    assert "canary" not in json.dumps(answer)


def test_a_section_that_outlives_the_deadline_is_unknown_and_the_rest_answers(facts):
    answer = facts("system", "routing", deadline=2, replace={HEAD: HEAD + "\n    time.sleep(30)"})
    assert "value" in answer["system"] and answer["routing"]["unknown"] == "no answer within the deadline"


def test_an_unknown_question_is_refused(start):
    with pytest.raises(ProbeFailed, match="knows no question weather"):
        start().ask({"ask": "weather", "deadline": 5}, 5)


def test_end_of_input_ends_the_program(start):
    probe = start()
    probe.close()
    assert probe.connection.ended_within(2)
    with pytest.raises(ProbeFailed, match="closed"):
        probe.ask({"ask": "clock"}, 1)


def test_end_of_input_ends_the_program_in_the_middle_of_an_answer_and_its_tools(start):
    probe = start(replace={HEAD: HEAD + "\n    finish(start(['/bin/sleep', '77.7']), 60)"})
    asker = threading.Thread(target=ask_for_nothing, args=(probe,))
    asker.start()
    pid = probe.connection.streams[0].child.pid
    ends = time.monotonic() + 5
    while not (tools := children(pid)) and time.monotonic() < ends:
        time.sleep(0.02)
    probe.close()
    asker.join(5)
    assert probe.connection.ended_within(2)
    ends = time.monotonic() + 3
    while any(Path(f"/proc/{tool}/exe").exists() for tool in tools) and time.monotonic() < ends:
        time.sleep(0.02)
    assert tools and not [tool for tool in tools if Path(f"/proc/{tool}/exe").exists()]


def ask_for_nothing(probe):
    with pytest.raises(ProbeFailed):
        probe.ask({"ask": "facts", "sections": ["routing"], "deadline": 60}, 60)


def children(pid: int) -> list[str]:
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return done.stdout.split()


def test_its_own_alarm_ends_it_where_the_end_of_input_never_comes(start, monkeypatch):
    monkeypatch.setattr(session, "LIFETIME", 1)
    probe = start()
    assert probe.connection.ended_within(4)


def test_a_killed_program_is_said_to_have_ended(start):
    probe = start(replace={'ask == "clock"': 'ask == "clock" and not time.sleep(30)'})
    failures: list[Exception] = []

    def ask():
        try:
            probe.ask({"ask": "clock"}, 20)
        except Exception as error:
            failures.append(error)

    asker = threading.Thread(target=ask)
    asker.start()
    time.sleep(0.2)
    os.kill(probe.connection.streams[0].child.pid, signal.SIGKILL)
    asker.join(5)
    assert [type(f) for f in failures] == [ProbeFailed] and "ended before it had answered" in str(failures[0])
    with pytest.raises(ProbeFailed, match="ended"):
        probe.ask({"ask": "clock"}, 1)


def test_what_a_login_shell_prints_first_is_no_answer(start, tmp_path):
    noise = "echo Welcome; echo 'es-preflight-0000 {}'; printf 'no newline at the end'; echo noise >&2; "
    shell = ("/bin/sh", "-c", noise + 'eval "$1"', "sh")
    assert start(shell=shell).ask({"ask": "clock"}, 5)["clock"] > 0


def test_a_login_shell_that_goes_on_talking_beside_the_program_is_ignored(start):
    shell = ("/bin/sh", "-c", '( for i in 1 2 3 4 5 6 7 8; do echo "tip $i"; sleep 0.05; done ) & eval "$1"', "sh")
    probe = start(shell=shell)
    for _ in range(20):
        assert probe.ask({"ask": "clock"}, 5)["clock"] > 0
        time.sleep(0.02)


def test_other_login_shells_start_it_too(start):
    tried = 0
    for name in ("bash", "dash", "zsh", "tcsh", "csh", "fish", "ksh"):
        if shutil.which(name):
            tried += 1
            assert start(shell=(shutil.which(name), "-c")).ask({"ask": "clock"}, 5)["clock"] > 0
    assert tried >= 1


def test_a_module_planted_in_the_current_folder_is_not_imported(start, tmp_path):
    for name in ("json", "queue", "subprocess", "binascii"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nraise SystemExit(9)\n")
    environment = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    probe = start(cwd=tmp_path, env=environment)
    assert probe.ask({"ask": "facts", "sections": ["system", "routing"], "deadline": 9}, 9)["sections"]
    assert not (tmp_path / "ran").exists()


def test_ps_shows_none_of_the_program(start):
    probe = start()
    shown = subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(probe.connection.streams[0].child.pid)], capture_output=True, text=True
    ).stdout
    assert "-I -S -u -c import sys" in shown and "keystore" not in shown


def refused(rewrite, **keywords) -> ConnectionFailed | ProbeFailed:
    connection = SubprocessConnection(**{k: v for k, v in keywords.items() if k == "env"})
    connection.rewrite = rewrite
    options = {k: v for k, v in keywords.items() if k != "env"}
    try:
        with pytest.raises((ProbeFailed, ConnectionFailed)) as caught:
            Session(connection, **options)
    finally:
        connection.close()
    return caught.value


def test_no_python_on_the_node_names_what_was_tried():
    error = refused(lambda c: c.replace(" ".join(PYTHONS), "/nonexistent/python3"))
    assert "/usr/libexec/platform-python" in str(error) and "install python3" in error.remedy


def test_a_python_that_is_too_old_says_so():
    error = refused(lambda c: c.replace("v<(3,6)", "v<(9,9)"))
    assert str(error) == "this python3 is {}.{}, 3.6 or newer is needed".format(*_system_python())


def _system_python() -> tuple[int, int]:
    said = subprocess.run(
        ["/bin/sh", "-c", f"command -v {' '.join(PYTHONS)}"],
        capture_output=True,
        text=True,
    ).stdout.split()[0]
    done = subprocess.run([said, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True)
    return tuple(map(int, done.stdout.split()))


def test_a_program_that_arrives_cut_short_does_not_run(monkeypatch):
    def cut(self, data):
        self.child.stdin.write(data[: len(data) // 2])
        self.child.stdin.close()

    monkeypatch.setattr("subprocess_connection.SubprocessStream.send", cut)
    assert str(refused(lambda c: c)) == "the program arrived cut short on the node"


def test_a_login_that_never_gets_to_the_program_is_a_timeout():
    began = time.monotonic()
    error = refused(lambda c: "exec sleep 20", start_timeout=0.5)
    assert isinstance(error, CommandTimeout) and time.monotonic() - began < 8
    assert "did not start within 0.5 s" in str(error)


def test_a_login_without_a_shell_repeats_what_it_said():
    error = refused(lambda c: "echo This account is currently not available.; exit 1")
    assert str(error) == "the probe did not start (exit status 1): This account is currently not available."


@pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("sudo"), reason="needs root to become a user whom sudo refuses"
)
def test_sudo_that_asks_for_a_password_names_the_line_that_mends_it():
    become = f"setpriv --reuid=65534 --regid=65534 --clear-groups env LOGNAME=nobody PATH={os.environ['PATH']} "
    error = refused(lambda c: c.replace("exec /bin/sh", "exec " + become + "/bin/sh"), sudo=True)
    assert str(error) == "sudo asks nobody for a password, which nobody can type here"
    assert "nobody ALL=(root) NOPASSWD: " in error.remedy and "--sudo" in error.remedy


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("sudo"), reason="needs root, whom sudo lets become anybody")
def test_sudo_really_starts_it_as_the_other_user():
    connection = SubprocessConnection()
    probe = Session(connection, sudo=True, sudo_user="nobody")
    try:
        assert probe.user == "nobody"
    finally:
        probe.close()
        connection.close()


@pytest.mark.parametrize(
    ("stderr", "message", "remedy"),
    [
        ("sudo: sorry, you must have a tty to run sudo", "sudo wants a terminal", "Defaults:admin !requiretty"),
        ("sudo: a terminal is required to read the password", "sudo asks admin for a password", "admin ALL=(root)"),
        (
            "admin is not in the sudoers file.",
            "sudo does not let admin run Python as root",
            "/usr/bin/python3; or",
        ),
        (
            "Sorry, user admin is not allowed to execute '/usr/bin/python3 -I' as root on es-1.",
            "sudo does not let admin run Python as root",
            "/usr/bin/python3; or",
        ),
        ("sudo: unknown user: elastik", "sudo knows no user root", "another --sudo-user"),
        ("sh: 1: exec: sudo: not found", "there is no sudo on the node", "leave --sudo away"),
    ],
)
def test_what_sudo_says_becomes_a_sentence_and_its_remedy(stderr, message, remedy):
    error = session.explain(f"preflight: admin starts /usr/bin/python3\n{stderr}\n", "", 1, "root")
    assert str(error).startswith(message) and remedy in error.remedy


def test_no_thread_is_left_after_close(start):
    before = threading.active_count()
    start().close()
    ends = time.monotonic() + 3
    while threading.active_count() > before and time.monotonic() < ends:
        time.sleep(0.01)
    assert threading.active_count() == before
