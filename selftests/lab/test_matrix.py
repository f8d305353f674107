"""What makes a cell of the matrix a miss, which cells there are, and what is kept and shown of them."""

from types import SimpleNamespace

import pytest

from lab import faults, matrix, state
from lab.errors import LabError
from lab.matrix import run
from lab.matrix.__main__ import main
from lab.matrix.cells import HEALTHY, TOGETHER, Placed
from lab.matrix.judgement import Declared, Named
from lab.matrix.record import Record, Result
from lab.matrix.run import Matrix
from lab.matrix.table import table
from lab.names import Node
from lab.state import Lab

STALE = Declared(
    {("KEY-1", "es-2"): "fail", ("REPO-1", "es-2"): "fail"},
    (Named("stale-static-keys", frozenset({"es-2"}), frozenset({"es-2"})),),
)


def ran(outcomes, *causes, status=1, text=None):
    """A run of the suite, as far as a judgement reads it. causes: (id, nodes)"""
    found = [SimpleNamespace(id=id, nodes=nodes, title=f"title of {id}") for id, nodes in causes]
    return SimpleNamespace(
        status=status,
        text=" ".join(cause.title for cause in found) if text is None else text,
        differing=lambda: outcomes,
        diagnosis=SimpleNamespace(causes=found),
    )


def stale(outcomes=None, nodes=("es-2",), **changed):
    return ran({**STALE.outcomes, **(outcomes or {})}, ("stale-static-keys", nodes), **changed)


def test_what_is_declared_and_nothing_else_is_no_miss():
    judged = matrix.judge(stale(), STALE)
    assert judged == ((), True, True, True, 0)


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (stale({("PATH-1", "es-3"): "fail"}), "PATH-1 on es-3: expected as on a healthy cluster, seen fail"),
        (stale({("KEY-1", "es-2"): "warning"}), "KEY-1 on es-2: expected fail, seen warning"),
        (
            ran({("KEY-1", "es-2"): "fail"}, ("stale-static-keys", ("es-2",))),
            "REPO-1 on es-2: expected fail, seen as on a healthy cluster",
        ),
        (ran(STALE.outcomes, ("route-own", ("es-2",))), "causes: expected stale-static-keys, seen route-own"),
        (ran(STALE.outcomes), "causes: expected stale-static-keys, seen none"),
        (stale(nodes=("es-1",)), "cause stale-static-keys: expected on es-2, seen on es-1"),
        (stale(nodes=("es-2", "es-3")), "cause stale-static-keys: expected on es-2, seen on es-2, es-3"),
        (stale(status=10), "exit status: expected 1, seen 10"),
        (stale(text="nothing"), "cause stale-static-keys: its title is not in what was printed"),
    ],
)
def test_anything_else_is_a_miss_that_says_what_was_expected_and_what_was_seen(run, words):
    assert words in matrix.judge(run, STALE).misses


def test_a_further_cause_is_a_false_alarm_and_so_is_an_outcome_that_is_not_declared():
    run = ran({**STALE.outcomes, ("PATH-1", "es-3"): "fail"}, ("stale-static-keys", ("es-2",)), ("odd", ("es-3",)))
    judged = matrix.judge(run, STALE)
    assert (judged.detected, judged.localised, judged.right_cause, judged.false_alarms) == (True, True, False, 2)


def test_a_harmless_cell_is_silence_and_counts_as_nothing_detected():
    silence = Declared({}, ())
    assert matrix.judge(ran({}, status=0), silence) == ((), None, None, None, 0)
    alarmed = matrix.judge(ran({("SRC-1", "es-2"): "fail"}, ("x", ("es-2",))), silence)
    assert alarmed.detected is None
    assert alarmed.false_alarms == 2
    assert len(alarmed.misses) == 3


def lab(version="8.19.21"):
    return Lab(3, version, "", complete=True)


def placed(row, position, by_who, is_master=False):
    return Placed(matrix.Cell(row, position), {who: Node(number) for who, number in by_who.items()}, is_master)


def test_a_fault_on_the_master_is_declared_with_what_verify_could_not_ask():
    found = matrix.declared(lab(), placed("stale-keystore", matrix.MASTER, {"victim": 2}, True), {"KEY-1", "REPO-1"})
    assert found.outcomes[("REPO-1", "es-1")] == "could not check"
    assert [(cause.id, set(cause.may)) for cause in found.causes] == [("stale-static-keys", {"es-2"})]
    assert found.status == 1


def test_a_cause_may_name_the_peers_whose_checks_it_fails():
    found = matrix.declared(lab(), placed("port-dropped", matrix.DATA, {"victim": 2}), {"PORT-1"})
    assert found.causes == (Named("port-blocked", frozenset({"es-2"}), frozenset({"es-2", "es-3"})),)


def test_what_is_harmless_on_a_version_is_declared_as_silence():
    cell = placed("region-missing", matrix.DATA, {"victim": 2})
    assert matrix.declared(lab("8.18.0"), cell, {"REGION-2"}) == ({}, ())
    assert matrix.declared(lab("8.19.21"), cell, {"REGION-2"}).outcomes == {("REGION-2", "es-2"): "warning"}
    assert matrix.declared(lab(), placed(HEALTHY, TOGETHER, {}), {"KEY-1"}) == ({}, ())


def test_a_combination_is_declared_by_who_is_who():
    found = matrix.declared(lab(), placed("stale-and-cut-off", TOGETHER, {"first": 3, "second": 1, "master": 2}), set())
    assert found.outcomes[("KEY-1", "es-3")] == found.outcomes[("PATH-1", "es-1")] == "fail"
    assert [(cause.id, set(cause.must)) for cause in found.causes] == [
        ("route-upstream", {"es-1"}),
        ("stale-static-keys", {"es-3"}),
    ]


@pytest.mark.parametrize("name", faults.COMBINATIONS)
def test_a_combination_is_made_of_faults_that_there_are_on_nodes_that_it_declares(name):
    combination = faults.COMBINATIONS[name]
    whose = {who for _, who in combination.parts}
    assert {fault for fault, _ in combination.parts} <= set(faults.FAULTS)
    assert whose == {who for _, named in combination.causes for who in named}
    assert whose <= {who for _, who in combination.outcomes} <= {"first", "second", "master"}


def test_every_fault_is_there_on_both_positions_beside_the_healthy_cluster_and_the_combinations():
    found = matrix.cells("8.19.21")
    once = sum(fault.everywhere for fault in faults.FAULTS.values())
    assert len(found) == len(set(found)) == 1 + 2 * len(faults.FAULTS) - once + len(faults.COMBINATIONS)
    assert found[0] == (HEALTHY, TOGETHER)


def test_faults_that_restart_for_both_ways_are_neighbours():
    found = [faults.FAULTS[cell.row] for cell in matrix.cells("8.19.21") if cell.row in faults.FAULTS]
    rows = [fault.restart_to_heal for fault in found if not fault.leaves]
    assert rows == sorted(rows, reverse=True)


def test_the_short_form_has_every_row_once_and_both_positions_in_turn():
    found = matrix.cells("8.19.21", short=True)
    assert {cell.row for cell in found} == {HEALTHY, *faults.FAULTS, *faults.COMBINATIONS}
    assert len(found) == len({cell.row for cell in found})
    rows = [cell for cell in found if cell.row in faults.FAULTS and not faults.FAULTS[cell.row].everywhere]
    positions = [cell.position for cell in rows]
    assert abs(positions.count(matrix.DATA) - positions.count(matrix.MASTER)) <= 1


def test_the_short_form_on_sdk_v1_has_what_differs_there():
    found = matrix.cells("7.17.29", short=True)
    assert found[0].row == HEALTHY
    assert {cell.row for cell in found[1:]} == {name for name, fault in faults.FAULTS.items() if fault.on_sdk_v1}


def test_a_fault_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(LabError, match=r"no fault nonsense: choose from healthy, stale-keystore"):
        matrix.cells("8.19.21", rows=["stale-keystore", "nonsense"])


@pytest.fixture
def arranged(monkeypatch):
    """What `arrange` is asked for, in order, on a lab whose elected master is es-1."""
    asked = []

    def arrange(lab, wanted, *, master=None):
        asked.append(list(wanted))
        lab.broken[:] = wanted

    monkeypatch.setattr("lab.faults.arrange", arrange)
    monkeypatch.setattr("lab.faults.acting.arrange", arrange)
    monkeypatch.setattr("lab.elasticsearch.master", lambda nodes: Node(1))
    return asked


@pytest.mark.parametrize(("position", "victim"), [(matrix.DATA, "es-3"), (matrix.MASTER, "es-1")])
def test_what_happens_once_is_mended_and_broken_anew_for_each_cell(arranged, position, victim):
    found, row = lab(), "node-restarts-during-the-run"
    found.broken = [(row, "es-3")]
    matrix.bring_about(found, matrix.Cell(row, position))
    assert arranged == [[], [(row, victim)]]


def test_what_lasts_stays_broken_for_the_next_cell(arranged):
    found = lab()
    found.broken = [("stale-keystore", "es-3")]
    matrix.bring_about(found, matrix.Cell("stale-keystore", matrix.MASTER))
    assert arranged == [[("stale-keystore", "es-3")]]


def result(row="stale-keystore", position=matrix.DATA, version="8.19.21", **changed):
    right = {"detected": True, "localised": True, "right_cause": True, "seconds": {"arrange": 12.0, "suite": 6.0}}
    return Result(version=version, row=row, position=position, **{**right, **changed})


def test_a_record_is_read_again_but_for_a_line_that_was_cut_short(tmp_path):
    file = tmp_path / "faults.jsonl"
    record = Record(file)
    record.add(result())
    record.add(result(position=matrix.MASTER, misses=("odd",)))
    file.write_bytes(file.read_bytes() + b'{"version": "8.1')
    again = Record(file, resume=True)
    assert again.results == record.results
    assert again.passed("8.19.21", "stale-keystore", matrix.DATA)
    assert not again.passed("8.19.21", "stale-keystore", matrix.MASTER)
    again.add(result(position=matrix.MASTER))
    assert [r.misses for r in Record(file, resume=True).results] == [(), ()]


def test_without_resume_a_record_begins_empty_and_another_file_is_refused(tmp_path):
    file = tmp_path / "faults.jsonl"
    file.write_text("no JSON\n")
    with pytest.raises(LabError, match="is not a record"):
        Record(file, resume=True)
    assert Record(file).results == ()
    assert file.read_bytes() == b""


def test_the_table_has_figures_a_version_a_row_a_fault_and_every_miss():
    shown = table(
        [
            result(),
            result(position=matrix.MASTER, misses=("KEY-1 on es-1: expected fail, seen pass",), localised=False),
            result("region-missing", version="7.17.29", detected=None, localised=None, right_cause=None),
        ]
    ).splitlines()
    assert [line.split()[:8] for line in shown[1:3]] == [
        ["7.17.29", "1", "0/0", "0/0", "0/0", "1", "0", "0"],
        ["8.19.21", "2", "2/2", "1/2", "2/2", "0", "0", "1"],
    ]
    assert shown[2].endswith("0.6 min, 18 s a cell")
    assert shown[4:7] == [
        "fault           7.17.29   8.19.21",
        "stale-keystore  - -       ok MISS",
        "region-missing  silent -  - -",
    ]
    assert shown[-2:] == [
        "stale-keystore, 8.19.21, elected master",
        "  KEY-1 on es-1: expected fail, seen pass",
    ]


def test_a_lab_that_is_up_is_not_taken_down_for_the_matrix(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "load", lab)
    with pytest.raises(LabError, match="a lab is up"):
        Matrix(["8.19.21"], rows=None, short=False, record=Record(tmp_path / "f.jsonl"), reports=tmp_path)


def test_a_lab_that_does_not_come_up_is_a_miss_of_each_of_its_cells_and_no_end(tmp_path, monkeypatch):
    said = []

    def command(*arguments):
        said.append(arguments[0])
        if arguments[0] == "up":
            raise LabError("no memory")

    monkeypatch.setattr(state, "load", lambda: None)
    monkeypatch.setattr(run, "_lab", command)
    record = Record(tmp_path / "f.jsonl")
    Matrix(["8.19.21", "9.5.2"], rows=["env-keys"], short=False, record=record, reports=tmp_path).run()
    assert [(r.version, r.misses) for r in record.results] == [
        (version, ("the lab: no memory",)) for version in ("8.19.21", "8.19.21", "9.5.2", "9.5.2")
    ]
    assert said == ["down", "up", "up", "down"] * 2
    assert not any(result.detected for result in record.results)


def test_an_interrupted_run_shows_what_it_has_and_how_to_go_on(tmp_path, monkeypatch, capsys):
    def interrupted(self):
        self.record.add(result())
        raise KeyboardInterrupt

    monkeypatch.setattr(state, "load", lambda: None)
    monkeypatch.setattr("lab.requirements.check", lambda **_: None)
    monkeypatch.setattr(Matrix, "run", interrupted)
    assert main([f"--out={tmp_path / 'f.jsonl'}"]) == 130
    shown = capsys.readouterr().out
    assert "1/1" in shown and "--resume" in shown


@pytest.mark.parametrize("arguments", [["--faults=nonsense"], ["--versions=6.8.0"], ["--versions=latest"]])
def test_what_cannot_be_run_is_said_with_status_2(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(state, "load", lambda: None)
    monkeypatch.setattr("lab.requirements.check", lambda **_: None)
    assert main([*arguments, f"--out={tmp_path / 'f.jsonl'}"]) == 2
    assert "choose" in capsys.readouterr().err or "latest" in arguments[0]
