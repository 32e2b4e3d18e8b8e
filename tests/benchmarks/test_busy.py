"""Beside other programs: they compute, they end, and the table marks what falls behind."""

import os
import subprocess
import sys

import pytest

from benchmarks import __main__ as program
from benchmarks import busy, sizes
from benchmarks.report import busy_section, read_busy
from benchmarks.sides import npgpt_busy
from npgpt.generation import LanguageModel
from npgpt.machine import threads

SMALL = {"vocab_size": 11, "n_positions": 6, "n_embd": 8, "n_layer": 2, "n_head": 2}


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setitem(sizes.SIZES, "recipe", (SMALL, 4, 6))
    monkeypatch.setattr(npgpt_busy, "WRITTEN", 9)
    monkeypatch.setattr(npgpt_busy, "BATCHES", 3)


def children():
    found = subprocess.run(["ps", "--ppid", str(os.getpid()), "-o", "args="], text=True,
                           capture_output=True).stdout
    return found.count("getppid")


def test_so_many_programs_run_and_none_remains():
    with pytest.raises(KeyError), busy.loops(2):
        assert children() == 2
        raise KeyError
    assert children() == 0


def test_a_program_ends_with_whoever_started_it():
    code = f"{busy.LOOP.format(0)}\nprint('ended')"     # its parent is another
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "ended\n"


def test_every_row_has_npgpt_one_thread_of_it_and_its_rival():
    rows = {row.name: row for row in busy.busy_rows()}
    assert set(busy.SHARED) < set(rows)
    for row in rows.values():
        names = list(row.contestants)
        assert names[:2] == ["npgpt", busy.ONE] and row.rival == names[-1]
        alone, one = (row.contestants[name][1] for name in names[:2])
        assert one == {**alone, "threads": 1}


@pytest.mark.usefixtures("few")
def test_the_paths_beside_training_do_what_their_rows_say(monkeypatch):
    written, generate = [], LanguageModel.generate
    monkeypatch.setattr(LanguageModel, "generate", lambda self, ids, n, **settings: (
        written.append((n, len(ids) + n > self.config.n_positions)),
        generate(self, ids, n, **settings))[1])
    assert npgpt_busy.prepare("generate", size="recipe")() == {"per": 9}
    assert written == [(9, True)]                       # past the context
    assert npgpt_busy.prepare("evaluate", size="recipe")() == {"per": 3}
    npgpt_busy.prepare("gradcheck")()
    before = threads.get_threads()
    try:
        npgpt_busy.prepare("evaluate", size="recipe", threads=1)
        assert threads.get_threads() == 1
    finally:
        threads.set_default(before)


@pytest.mark.usefixtures("few")
def test_pytorch_writes_and_evaluates_as_much(monkeypatch):
    torch_busy = pytest.importorskip("benchmarks.sides.torch_busy")
    monkeypatch.setattr(torch_busy, "WRITTEN", 9)
    monkeypatch.setattr(torch_busy, "BATCHES", 3)
    assert torch_busy.prepare("generate", "recipe")() == {"per": 9}
    assert torch_busy.prepare("evaluate", "recipe")() == {"per": 3}


def measured(rival, **ratios):
    """One row, from the ratios to rival and one thread at each load."""
    return {"name": "x", "label": "work", "rival": rival, "beside": {
        load[1:]: {"pairs": 5, "columns": {rival: {"npgpt_ratio": theirs},
                                           busy.ONE: {"npgpt_ratio": one}}}
        for load, (theirs, one) in ratios.items()}}


def test_the_table_marks_what_falls_behind():
    text = busy.table([
        measured("eager", n0=(0.9, 0.6), n2=(0.98, 1.49), n4=(1.2, 1.51)),
        measured(busy.ONE, n0=(1.0, 1.0), n2=(1.1, 1.1), n4=(1.2, 1.2))])
    head, _, first, alone = text.splitlines()
    assert head == ("| work | over its rival, quiet | over its rival, beside 2 | over its rival, "
                    "beside 4 | over one thread, quiet | over one thread, beside 2 | over one "
                    "thread, beside 4 |")
    assert first == "| work | 0.90 (eager) | 0.98 | **1.20** | 0.60 | 1.49 | **1.51** |"
    assert alone == "| work |  |  |  | 1.00 | 1.10 | 1.20 |"


def test_a_rival_that_is_missing_leaves_its_cells_empty():
    row = measured("eager", n0=(1.0, 1.0))
    del row["beside"]["0"]["columns"]["eager"]
    assert busy.table([row]).splitlines()[-1] == "| work |  | 1.00 |"


@pytest.mark.parametrize(("arguments", "message"), [
    (["--busy", "2", "--only", "ops"], "--only ops: not a row with --busy"),
    (["--only", "generate"], "--only generate: not a row without --busy"),
    (["--busy", "-1"], "--busy -1: expected numbers from 0 to 64"),
])
def test_what_does_not_go_together_is_named(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["benchmarks", *arguments])
    with pytest.raises(SystemExit):
        program.main()
    assert message in capsys.readouterr().err


def test_one_command_measures_every_load_and_writes_one_file_a_row(
        monkeypatch, capsys, tmp_path):
    seen = []

    def hold(row, pairs, peers, without, beside):
        with beside:
            seen.append((row.name, pairs, children()))
        column = {"median": 1.0, "npgpt_ratio": 1.0, "peak_bytes": 1}
        return {"name": row.name, "label": row.label, "rival": row.rival, "pairs": pairs,
                "columns": {"npgpt": column, busy.ONE: column}, "left_out": {}}

    monkeypatch.setattr(program, "hold", hold)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--busy", "0", "2", "--only", "generate",
                                      "--out", str(tmp_path)])
    assert program.main() == 0
    assert seen == [("generate", 3, 0), ("generate", 3, 2)]
    [found] = read_busy(tmp_path)
    assert list(found["beside"]) == ["0", "2"]
    assert "context 64  (beside 2 busy programs, 3 rounds)" in capsys.readouterr().out
    assert "| 1.00 | 1.00 |" in busy_section([found])
