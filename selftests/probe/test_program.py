"""The joined program: what it may be made of, and that every Python runs it."""

from __future__ import annotations

import ast
import importlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest

from preflight import facts as records
from preflight.probe.program import LATER, ORDER, SECTIONS, command, part, program

program_module = importlib.import_module("preflight.probe.program")  # the package itself calls the function so


def test_every_section_is_joined():
    assert sorted((*ORDER, *LATER)) == sorted(path.stem for path in SECTIONS.glob("*.py") if path.stem != "__init__")


def test_it_is_small_ascii_and_of_python_3_6():
    text = program().decode("ascii")
    assert len(text) < 116_000
    for each in (text, *map(part, LATER)):
        ast.parse(each, feature_version=(3, 6))
        assert each.isascii()


def test_no_two_sections_mean_two_things_by_one_name():
    defined: dict[str, str] = {}
    for name in (*ORDER, *LATER):
        for node in ast.parse((SECTIONS / f"{name}.py").read_text()).body:
            targets = [node] if isinstance(node, ast.FunctionDef | ast.ClassDef) else getattr(node, "targets", [])
            for target in targets:
                own = getattr(target, "name", getattr(target, "id", None))
                assert own not in defined, f"{own} is in {defined.get(own)} and in {name}"
                defined[own] = name


def test_it_imports_the_standard_library_only_and_nothing_slow_at_the_start():
    tree = ast.parse(program() + b"\n" + "\n".join(map(part, LATER)).encode())
    imported = {
        alias.name if isinstance(node, ast.Import) else node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert {name.split(".")[0] for name in imported} <= set(sys.stdlib_module_names)
    at_the_start = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    assert at_the_start.isdisjoint({"subprocess", "ssl", "http.client", "hashlib", "urllib.request", "selectors"})


def test_comments_and_docstrings_stay_at_home():
    assert b"#" not in b"".join(line.lstrip()[:1] for line in program().splitlines())
    functions = [node for node in ast.walk(ast.parse(program())) if isinstance(node, ast.FunctionDef)]
    assert len(functions) > 80 and not [node.name for node in functions if ast.get_docstring(node)]


@pytest.mark.parametrize(("sudo", "user"), [(False, None), (True, None), (True, "elasticsearch")])
def test_the_command_is_one_line_that_shows_none_of_the_program(sudo, user):
    line = command(sudo, user)
    assert "\n" not in line and len(line) < 900 and "keystore" not in line
    assert line.endswith({None: "sudo -n --" if sudo else "'", "elasticsearch": "sudo -n -u elasticsearch --"}[user])


def test_it_answers_on_every_python(start, python):
    session = start(python=python)
    sections = ["system", "install", "process", "keystore", "config", "sources", "routing"]
    answer = session.ask({"ask": "facts", "sections": sections, "deadline": 20}, 20)["sections"]
    system = msgspec.convert(answer["system"]["value"], records.System)
    assert session.python == system.python and abs(session.clock_offset()) < 5
    msgspec.convert(answer["routing"]["value"], records.Routing)
    assert set(answer) == set(sections) and all(set(a) & {"value", "unknown"} for a in answer.values())
    assert not [a for a in answer.values() if "the probe failed" in a.get("unknown", "")]


def test_many_threads_that_want_it_at_once_join_it_once(monkeypatch):
    joined: list[str] = []
    bare = program_module._bare

    def slow(path):
        joined.append(path.stem)
        time.sleep(0.001)
        return bare(path)

    monkeypatch.setattr(program_module, "_bare", slow)
    program_module._joined.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        texts = {future.result() for future in [pool.submit(program) for _ in range(8)]}
    assert len(texts) == 1 and joined == list(ORDER)
