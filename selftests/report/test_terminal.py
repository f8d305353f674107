"""What an operator reads at the end of a run, piped or on 80 columns."""

from __future__ import annotations

import re

import msgspec
import pytest
import report_scenes as scenes

from preflight.judgement import Command, Remedy
from preflight.outcomes import Outcome
from preflight.report import terminal

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def lines_of(scene, **more):
    return terminal.lines(scene.survey, scene.outcomes, scene.diagnosis, **{"width": 80, "color": False, **more})


def test_a_healthy_run_is_a_verdict_a_line_a_node_and_the_counts(tmp_path):
    assert lines_of(scenes.healthy(), page=tmp_path / "report.html") == [
        "Snapshots to S3 work on all 3 nodes.",
        "",
        "Nodes",
        "  - es-1: no static keys; role es-node proven; routes alike",
        "  - es-2: no static keys; role es-node proven; routes alike",
        "  - es-3: no static keys; role es-node proven; routes alike",
        "",
        "Checks: 3 not applicable, 45 pass",
        f"Report: {tmp_path / 'report.html'}",
    ]


def test_the_incident_is_told_in_the_order_an_operator_acts():
    text = "\n".join(lines_of(scenes.incident()))
    parts = [
        "Snapshots to S3 fail on es-2 and es-3, for two separate reasons.",
        "1. Stale static keys",
        "- keystore of es-2",
        "on es-2:",
        scenes.REMOVE,
        scenes.RELOAD,
        "on this machine:",
        scenes.VERIFY,
        "2. Traffic of es-3 to S3 is lost outside the node. (likely)",
        "! do not change es-3 itself",
        "ip route get 198.18.1.10",
        "Failures and warnings without a known cause",
        "ROUTE-2 on es-3, warning: 1 route differs",
        "- es-2: static keys in use, refused by S3",
        "Notes",
        "Could not check",
        "REPO-1 on es-3: Elasticsearch stops at the master",
        "Waived",
        "REGION-2 on es-1: waived until 2027-01-31 by storage team",
        "Checks: 3 fail, 1 warning, 1 could not check, 1 waived, 3 not applicable, 39",
    ]
    positions = [text.find(part) for part in parts]
    assert -1 not in positions, parts[positions.index(-1)]
    assert positions == sorted(positions)


def test_commands_stand_alone_and_whole_and_all_else_fits_80_columns():
    scene = scenes.incident()
    commands = {command.text for cause in scene.diagnosis.causes for command in cause.remedy.commands}
    lines = lines_of(scene)
    assert commands <= {line.strip() for line in lines}
    details = {line for outcome in scene.outcomes for line in outcome.details}
    long = [line for line in lines if len(line) > 80]
    assert '     records."' in lines, "a wrapped sentence hangs under its first line"
    assert [line for line in long if line.strip() not in commands and line[3:] not in details] == []
    assert long, "the scene is to hold a command wider than the terminal"


def test_nothing_is_printed_twice():
    lines = [line.strip() for line in lines_of(scenes.incident()) if line.strip()]
    assert sorted(lines) == sorted(set(lines))


def test_a_failure_that_a_cause_explains_is_not_told_again():
    text = "\n".join(lines_of(scenes.incident()))
    assert "KEY-1 on es-2, fail" not in text
    assert text.count(scenes.STALE.split(" in our")[0]) == 1


def test_a_remedy_shared_by_two_causes_is_printed_once():
    scene = scenes.incident()
    first, second = scene.diagnosis.causes
    both = (first, msgspec.structs.replace(second, remedy=first.remedy))
    scene.diagnosis = msgspec.structs.replace(scene.diagnosis, causes=both)
    lines = lines_of(scene)
    assert sum(scenes.REMOVE in line for line in lines) == 1
    assert "   do as under 1" in lines


def test_color_adds_nothing_but_color():
    scene = scenes.incident()
    colored = lines_of(scene, color=True)
    assert any(ESCAPE.search(line) for line in colored)
    assert [ESCAPE.sub("", line) for line in colored] == lines_of(scene)


def test_what_a_node_sends_cannot_steer_the_terminal():
    scene = scenes.healthy()
    scene.set("KEY-1", "es-1", "fail", "", observed="\x1b[2Jall is well\x07", details=("\x9b31m red",))
    text = "\n".join(lines_of(scene))
    assert "\\x1b[2Jall is well\\x07" in text
    assert "\\x9b31m red" in text
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)


def test_a_command_of_several_lines_keeps_its_left_edge():
    scene = scenes.healthy()
    text = "cat <<EOF\nx\nEOF"
    scene.set(
        "KEY-1", "es-1", "fail", "", observed="o", remedy=Remedy(commands=(Command(where="es-1", text=text),))
    )  # fmt: skip
    assert text in "\n".join(lines_of(scene))


def test_a_dead_node_is_one_reason_and_one_line_for_all_it_blocks():
    lines = lines_of(scenes.host_down())
    start = lines.index("Could not check")
    assert lines[start : start + 3] == [
        "Could not check",
        "  - NODE-1 on es-3: connection to 198.18.0.13:22 timed out after 5.0 s",
        "  - 15 checks on es-3: NODE-1 of es-3 could not be checked",
    ]


def test_could_not_check_says_what_would_open_it():
    scene = scenes.healthy()
    remedy = Remedy(advice=("add admin to group elasticsearch",))
    for node in ("es-1", "es-2"):
        scene.set("KEY-1", node, "could not check", "keystore: permission denied", remedy=remedy)
    lines = lines_of(scene)
    at = lines.index("  - KEY-1 on es-1, es-2: keystore: permission denied")
    assert lines[at + 1].strip() == "add admin to group elasticsearch"


def test_fifty_nodes_alike_take_one_line():
    names = [f"es-{number}" for number in range(1, 51)]
    lines = lines_of(scenes.healthy(names))
    assert len(lines) < 10
    assert any("50 nodes (es-1, es-2, es-3, es-4, es-5, es-6 and 44 more): no static keys" in line for line in lines)


@pytest.mark.parametrize("count, printed", [(20, 20), (45, 20)])
def test_failures_without_a_cause_are_capped_and_counted(count, printed):
    scene = scenes.healthy([f"es-{number}" for number in range(1, count + 1)])
    for node in scene.survey.nodes:
        scene.set("PATH-1", node.name, "fail", "", observed=f"S3 not reached from {node.name}")
    lines = lines_of(scene)
    assert sum(line.startswith("- PATH-1 on") for line in lines) == printed
    assert (f"- and {count - 20} more: see the report" in lines) == (count > 20)


def test_unverified_host_keys_are_said_loudly():
    assert any("HOST KEYS WERE NOT VERIFIED" in line for line in lines_of(scenes.healthy(insecure_host_keys=True)))
    assert not any("NOT VERIFIED" in line for line in lines_of(scenes.healthy()))


def test_an_interrupted_run_says_so_first_even_before_any_survey():
    done = [Outcome(check="X-1", node="es-1", severity="high", outcome="pass", title="t")]
    assert terminal.lines(None, done, None, width=80, color=False, interrupted=True)[0].startswith("Interrupted.")
    assert lines_of(scenes.healthy(), interrupted=True)[0] == (
        "Interrupted. So far: Snapshots to S3 work on all 3 nodes."
    )
    assert lines_of(scenes.healthy(), interrupted=True, color=True)[0].startswith("\x1b[33;1m"), "not green"
