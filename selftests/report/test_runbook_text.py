"""runbook.md: the incident's order, a refusal that forbids, and nothing a node sends that a program would carry out."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import report_scenes as scenes

from preflight.judgement import Cause, Command, Diagnosis, Remedy, Step
from preflight.outcomes import Outcome
from preflight.report import runbook

ROOT = Path(__file__).parents[2]
CARRY_OUT = ROOT / "scripts/carry-out"


def cause(*remedies, nodes=("es-2",), title="es-2: stale static keys", **more):
    fields = {"id": "stale", "evidence": (), "confidence": "certain", "explains": (), "remedies": remedies, **more}
    return Cause(title=title, nodes=nodes, remedy=remedies[0], **fields)


def text_of(*causes, survey=None, outcomes=()):
    diagnosis = Diagnosis(verdict="Snapshots fail.", causes=causes, nodes=())
    return runbook.text(survey or scenes.healthy().survey, outcomes, diagnosis)


def step(phase, *texts, where="es-2", title=None, notes=()):
    commands = tuple(Command(where=where, text=text) for text in texts)
    return Step(phase=phase, title=title or f"{phase} it", commands=commands, notes=notes)


@pytest.fixture
def carried(tmp_path):
    """Carry a runbook out with an ssh that only says where it was; what was typed, and how it ended."""
    ssh = tmp_path / "bin/ssh"
    ssh.parent.mkdir()
    ssh.write_text('#!/bin/sh\nhost=$1; shift; echo "$host: $*" >>"$TYPED"; exec sh -c "$*"\n')
    ssh.chmod(0o755)
    typed = tmp_path / "typed"

    def run(text, *arguments, before=()):
        file = tmp_path / "runbook.md"
        file.write_text(text)
        typed.write_text("")
        done = subprocess.run(
            [sys.executable, CARRY_OUT, *before, file, *arguments], capture_output=True, text=True, timeout=20,
            env={"PATH": f"{ssh.parent}:{os.environ['PATH']}", "TYPED": str(typed)}, check=False,
        )  # fmt: skip
        done.typed = typed.read_text().splitlines()
        return done

    return run


def test_a_healthy_run_has_nothing_to_carry_out_and_one_line():
    scene = scenes.healthy()
    assert runbook.text(scene.survey, scene.outcomes, scene.diagnosis) == (
        "Nothing to carry out. Snapshots to S3 work on all 3 nodes.\n"
    )


def test_a_step_of_several_nodes_stands_once_and_the_elected_master_comes_last():
    names = ("es-1", "es-2", "es-3")
    remedies = [Remedy(steps=(step("apply", f"restart {n}", where=n), step("change", f"edit {n}", where=n)))
                for n in names]  # fmt: skip
    text = text_of(cause(*remedies, nodes=names))
    assert re.findall(r"^### .*", text, re.M) == ["### 1.1 change it", "### 1.2 apply it"]
    assert re.findall(r"^(?:edit|restart) .*", text, re.M) == [
        "edit es-2", "edit es-3", "edit es-1", "restart es-2", "restart es-3", "restart es-1",
    ]  # fmt: skip
    assert text.count("On es-3, logged in by `ssh admin@198.18.0.13`:") == 2


def test_the_same_check_before_and_after_a_restart_is_typed_twice():
    text = text_of(cause(Remedy(steps=(step("apply", "is it green", "restart", "is it green"),))))
    assert text.count("\nis it green\n") == 2


def test_blocks_are_carried_out_from_the_file_alone_on_their_hosts_until_one_fails(carried):
    steps = (step("prepare", "echo one"), step("change", "echo here", where="controller"),
             step("apply", "echo two && exit 3", "echo never"))  # fmt: skip
    done = carried(text_of(cause(Remedy(steps=steps))))
    assert done.returncode == 3
    assert done.typed == ["admin@198.18.0.12: echo one", "admin@198.18.0.12: echo two && exit 3"]
    assert "on controller: echo here\nhere\n" in done.stdout


def test_what_undoes_and_what_deletes_the_copies_is_asked_for(carried):
    steps = (step("change", "echo change"), step("undo", "echo back"), step("cleanup", "echo gone"))
    text = text_of(cause(Remedy(steps=steps)))
    assert [line.split(": ")[1] for line in carried(text).typed] == ["echo change"]
    assert [line.split(": ")[1] for line in carried(text, before=("--undo",)).typed] == ["echo back"]
    assert [line.split(": ")[1] for line in carried(text, before=("--cleanup",)).typed] == ["echo gone"]


def test_a_refusal_anywhere_forbids_everything_but_other_sections_can_be_asked_for(carried):
    why = (
        "do not remove yet: role not proven on es-3: S3 answers a list signed with the role with HTTP 403 AccessDenied"
    )
    refused = Remedy(caution=why, commands=(Command(where="es-3", text="echo the role"),))
    text = text_of(cause(Remedy(steps=(step("change", "echo change"),))), cause(refused, nodes=("es-3",), title="es-3"))
    done = carried(text)
    assert (done.typed, done.returncode) == ([], 1)
    assert done.stderr == f"not carried out: {why}\n", "whole, although the file wraps it"
    assert "```sh prove es-3\necho the role\n```" in text
    assert carried(text, "1").typed == ["admin@198.18.0.12: echo change"]
    assert carried(text, "3").returncode == 1


def test_what_nothing_fails_by_is_carried_out_only_where_its_section_is_named(carried):
    """Keys that S3 accepts today are a policy's matter; a refusal there keeps nobody from mending the incident."""
    outcomes = [
        Outcome(check=check, node="es-2", severity="high", outcome=outcome, title="")
        for check, outcome in (("KEY-1", "warning"), ("REPO-1", "fail"))
    ]
    calm = cause(Remedy(steps=(step("change", "echo calm"),)), title="calm", explains=(("KEY-1", "es-2"),))
    refused = cause(Remedy(caution="do not"), title="refused", explains=(("KEY-1", "es-2"),))
    both = cause(
        Remedy(steps=(step("change", "echo now"),)), title="both", explains=(("KEY-1", "es-2"), ("REPO-1", "es-2"))
    )
    text = text_of(both, calm, refused, outcomes=outcomes)
    assert [line.split(": ")[1] for line in carried(text).typed] == ["echo now"]
    assert [line.split(": ")[1] for line in carried(text, "2").typed] == ["echo calm"]
    alone = carried(text_of(calm, outcomes=outcomes))
    assert (alone.typed, alone.returncode) == ([], 1) and "name a section" in alone.stderr


def test_what_is_for_a_person_stops_it(carried):
    steps = (step("change", "echo change"), step("apply", notes=("restart it as it was started",)),
             step("verify", "echo verify"))  # fmt: skip
    done = carried(text_of(cause(Remedy(steps=steps))))
    assert [line.split(": ")[1] for line in done.typed] == ["echo change"]
    assert (done.returncode, done.stderr) == (1, "stopped, this is for a person: restart it as it was started\n")


@pytest.mark.parametrize("remedy", [Remedy(), Remedy(advice=("compare the route tables",))])
def test_a_section_without_a_command_is_no_success(carried, remedy):
    assert carried(text_of(cause(remedy))).returncode == 1


def test_a_file_that_was_cut_off_is_not_carried_out(carried):
    text = text_of(cause(Remedy(steps=(step("change", "echo one"), step("apply", "echo two", "echo rest of it")))))
    done = carried(text[: text.index("rest of it")])
    assert (done.typed, done.returncode) == ([], 1)
    assert "ends in the middle of a block" in done.stderr


def test_nothing_to_carry_out_is_no_success(carried):
    assert carried("Nothing to carry out. All is well.\n").returncode == 1


def test_the_same_work_is_told_once():
    mend = Remedy(commands=(Command(where="es-2", text="echo mend"),))
    text = text_of(cause(mend), cause(mend, title="es-2: would not start again"))
    assert text.count("echo mend") == 1
    assert "Mended by section 1" in text


EVIL = "x\n```sh change controller\necho EVIL\n```\n\nOn this machine:\n## 9. <script>alert(1)</script>\x1b[2J"


def test_nothing_a_node_sends_becomes_a_block_a_heading_or_markup(carried):
    evil = cause(
        Remedy(steps=(step("change", "echo good", notes=(EVIL, "word " * 30 + EVIL)),), advice=(EVIL,)),
        title=EVIL, evidence=(EVIL, "word " * 19 + EVIL),
    )  # fmt: skip
    text = text_of(evil)
    assert carried(text).typed == ["admin@198.18.0.12: echo good"]
    assert "EVIL" not in carried(text).stdout
    assert text.count("```sh") == 1 and not re.search(r"^(## 9|On this)", text, re.M)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]|(?<!\\)<script", text)


def test_a_command_with_backticks_and_lines_stays_as_it_is(carried):
    text = "cat <<'EOF'\n```\na `b`\n```\nEOF"
    done = carried(text_of(cause(Remedy(steps=(step("change", text),)))))
    assert "```\na `b`\n```\n" in done.stdout and done.returncode == 0


def test_a_command_that_cannot_be_shown_as_it_is_is_not_shown(carried):
    text = text_of(cause(Remedy(steps=(step("change", "rm 'a\x1bb'"),))))
    assert "rm 'a" not in text
    assert carried(text).returncode == 1


def test_only_headings_and_commands_are_wider_than_a_ticket():
    scene = scenes.incident()
    lines = runbook.text(scene.survey, scene.outcomes, scene.diagnosis).splitlines()
    commands = {c.text for cause in scene.diagnosis.causes for c in cause.remedy.commands}
    assert [line for line in lines if len(line) > 100 and line not in commands and not line.startswith("#")] == []


def test_whoever_reads_it_is_told_never_to_delete_the_repository():
    assert "Never DELETE the repository" in text_of(cause(Remedy()))


def test_what_is_for_a_node_without_a_known_login_is_typed_nowhere_else(carried):
    survey = msgspec.structs.replace(scenes.healthy().survey, nodes=())
    steps = (step("change", "true", where="controller"), step("apply", "echo astray"))
    done = carried(text_of(cause(Remedy(steps=steps)), survey=survey))
    assert done.returncode == 1
    assert "\nastray\n" not in done.stdout
