"""Every Python on this machine that the program must run on, and sessions over local subprocesses."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from subprocess_connection import SubprocessConnection  # noqa: E402

from preflight.probe import Session, program, session  # noqa: E402
from preflight.probe.program import PYTHONS  # noqa: E402


@functools.cache
def pythons() -> dict[str, str]:
    """Version ("3.6") -> interpreter, for every python3.X in PATH and beside a version manager's."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    folders += [Path("/usr/bin"), Path("/usr/local/bin"), Path("/usr/libexec")]
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=True).stdout.strip()
        folders += sorted(Path(root).glob("versions/*/bin"))
    found: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir() or folder.name == "shims":
            continue
        for path in sorted(folder.iterdir()):
            if re.fullmatch(r"python3\.\d+|platform-python", path.name) and os.access(path, os.X_OK):
                said = subprocess.run([path, "-V"], capture_output=True, text=True).stdout
                version = re.match(r"Python (3\.\d+)\.", said)
                if version and int(version[1][2:]) >= 6:
                    found.setdefault(version[1], str(path))
    return found


def pytest_generate_tests(metafunc):
    if "python" in metafunc.fixturenames:
        metafunc.parametrize("python", [pytest.param(path, id=version) for version, path in sorted(pythons().items())])


@pytest.fixture
def start(monkeypatch):
    """Start a session: start(python=PATH, replace={text: other}, shell=…); its programs end with the test.

    replace: changes the program's own constants (where /proc and the metadata service are); no option does.
    """
    opened: list[tuple[SubprocessConnection, list[Session]]] = []

    def begin(
        python=sys.executable, replace=None, start_timeout=20.0, shell=("/bin/sh", "-c"), es_port=None, **keywords
    ):
        text = program()
        for old, new in (replace or {}).items():
            assert text.count(old.encode()) == 1, f"{old!r} stands {text.count(old.encode())} times in the program"
            text = text.replace(old.encode(), new.encode())
        monkeypatch.setattr(session, "program", lambda: text)
        connection = SubprocessConnection(shell, **keywords)
        connection.rewrite = lambda command: command.replace(" ".join(PYTHONS), python)
        sessions: list[Session] = []
        opened.append((connection, sessions))
        sessions.append(Session(connection, es_port=es_port, start_timeout=start_timeout))
        sessions[0].connection = connection
        return sessions[0]

    yield begin
    for connection, sessions in opened:
        for one in sessions:
            one.close()
        connection.close()


@pytest.fixture
def open_folder():
    """A folder that any user may enter; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def facts(start):
    """facts(SECTION, …, replace=…) -> the answer's sections."""

    def ask(*sections, deadline=20.0, **keywords):
        answer = start(**keywords).ask({"ask": "facts", "sections": list(sections), "deadline": deadline}, deadline)
        return answer["sections"]

    return ask
