"""waivers.yml: what it may say, and what it does to outcomes and exit status."""

from __future__ import annotations

import datetime

import pytest

from preflight.waivers import WaiverError, load

TODAY = datetime.date(2026, 11, 24)
GOOD = "- {check: KEY-1, node: es-*, reason: rotating, owner: storage, expires: 2026-11-24}\n"


def written(tmp_path, text):
    path = tmp_path / "waivers.yml"
    path.write_text(text)
    return path


def test_a_waiver_holds_to_the_end_of_its_last_day(tmp_path):
    waivers = load(written(tmp_path, GOOD), TODAY)
    waiver = waivers.find(("KEY-1",), "es-2")
    assert waiver is not None and not waiver.expired(TODAY) and waiver.expired(TODAY + datetime.timedelta(1))
    assert waiver.text() == "until 2026-11-24: rotating (owner: storage)"
    assert waivers.find(("KEY-1",), "other") is None
    assert waivers.find(("KEY-2",), "es-2") is None
    assert waivers.find(("KEY-1",), "es-2", unreachable=True) is None


def test_a_live_waiver_stands_before_an_expired_one(tmp_path):
    waivers = load(written(tmp_path, GOOD.replace("2026-11-24", "2026-01-01") + GOOD), TODAY)
    found = waivers.find(("KEY-1",), "es-1")
    assert found is not None and found.line == 2


@pytest.mark.parametrize("text", ["", "# nothing waived\n", "[]\n"])
def test_no_waiver(tmp_path, text):
    assert load(written(tmp_path, text), TODAY).waivers == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("check: KEY-1\n", "1: expected a list of waivers, each beginning with '- check: ID'"),
        ("- just words\n", "1: a waiver has the keys check, node, reason, owner, expires, unreachable"),
        (GOOD + "- check: KEY-1\n  nodes: x\n", "3: unknown key 'nodes'; a waiver has the keys *"),
        ("- check: KEY-1\n  check: KEY-2\n", "2: check is given twice in one waiver"),
        ("- check: KEY-1\n", "1: this waiver lacks node, reason, owner, expires"),
        ("- check: KEY-1\n  reason:\n", "2: reason needs one value"),
        ("- check: [KEY-1]\n", "1: check needs one value"),
        (GOOD.replace("2026-11-24", "soon"), "1: expires must be a day such as 2027-03-15, not 'soon'"),
        (GOOD.replace("2026-11-24", "2026-11-31"), "1: expires must be a day such as 2027-03-15, not '2026-11-31'"),
        (GOOD.replace("}", ", unreachable: yes}"), "1: unreachable must be true or false, not 'yes'"),
        ("- check: 'KEY-1\n", "2: not YAML: *"),
        ("- {check: \x00}\n", "1: not YAML: *"),
        ("--- []\n--- []\n", "2: not YAML: *"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(WaiverError) as caught:
        load(path, TODAY)
    pytest.LineMatcher([str(caught.value)]).fnmatch_lines([f"{path}:{message}"])


def waive(project, *waivers: str) -> None:
    common = "reason: planned, owner: storage"
    (project.path / "waivers.yml").write_text("".join(f"- {{{waiver}, {common}}}\n" for waiver in waivers))


LIVE, PAST = "expires: 2999-01-01", "expires: 2020-01-01"


def test_a_waived_failure_is_expected(project):
    waive(project, f"check: FAIL-1, node: es-2, {LIVE}")
    result = project.run("-k", "(fails_on_es_2 or passes) and not es-3")
    assert result.ret == 0
    assert project.results()["FAIL-1", "es-2"] == "waived"
    assert project.junit()["FAIL-1", "es-2"] == "skipped"
    assert project.rows()["tests/test_checks.py::test_fails_on_es_2[es-2]"] == ["XFailed"]
    assert result.parseoutcomes() == {"passed": 3, "xfailed": 1, "deselected": 20}
    assert "until 2999-01-01: planned (owner: storage)" in result.stdout.str()


def test_an_expired_waiver_waives_nothing_and_says_so(project):
    waive(project, f"check: FAIL-1, node: es-2, {PAST}")
    result = project.run("-v", "-k", "fails_on_es_2 and es-2")
    assert result.ret == 1
    assert project.results() == {("FAIL-1", "es-2"): "fail"}
    assert "the waiver expired 2020-01-01: planned (owner: storage)" in result.stdout.str()
    assert "the waiver expired 2020-01-01" in (project.report / "junit.xml").read_text()


def test_could_not_check_needs_unreachable(project):
    waive(project, f"check: NODE-1, node: es-3, {LIVE}", f"check: PASS-1, node: es-3, {LIVE}")
    assert project.run("-k", "login or passes").ret == 10
    waive(project, f"check: NODE-1, node: es-3, {LIVE}, unreachable: true")
    assert project.run("-k", "login or passes").ret == 0
    results = project.results()
    assert results["NODE-1", "es-3"] == results["PASS-1", "es-3"] == "waived"


def test_unused_waivers_are_said_only_where_they_were_judged(project):
    waive(
        project,
        f"check: PASS-1, node: es-1, {LIVE}",
        f"check: PASS-1, node: es-9, {LIVE}",
        f"check: FAIL-1, node: es-2, {LIVE}",
        f"check: TYPO-1, node: es-2, {LIVE}",
    )
    result = project.run("-k", "passes")
    lines = [line for line in result.stdout.lines if line.startswith("preflight: waivers.yml")]
    assert lines == [
        "preflight: waivers.yml:1: PASS-1 on es-1 is fine now: take the waiver out",
        "preflight: waivers.yml:4: no check has the id TYPO-1: --list-checks shows them",
    ]
