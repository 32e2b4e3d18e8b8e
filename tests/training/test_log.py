"""The log: whole lines, and cut where the newest checkpoint knows no more."""

import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from npgpt.training.log import FILE, RunLog, cut_log, plain, read_log


def test_records_come_back_in_order(tmp_path):
    with RunLog(tmp_path) as log:
        log.write({"step": 1, "loss": 2.5})
        log.write({"step": 2, "loss": 0.1 + 0.2})
        log.flush_to_disk()
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.1 + 0.2}]


def test_an_open_log_is_read_even_when_its_file_is_gone(tmp_path):
    written(tmp_path, [1])
    with RunLog(tmp_path) as log:
        log.write({"step": 2})
        whole = (tmp_path / FILE).read_text()
        (tmp_path / FILE).unlink()
        assert log.text() == whole and whole.count("\n") == 2


def test_a_loss_that_is_not_finite_is_still_valid_json(tmp_path):
    with RunLog(tmp_path) as log:
        log.write({"step": 1, "loss": math.nan, "grad_norm": math.inf})
    line = (tmp_path / FILE).read_text()
    assert json.loads(line, parse_constant=lambda name: 1 / 0) == {
        "step": 1, "loss": "nan", "grad_norm": "inf"}


def test_cutting_drops_later_steps_and_a_torn_line(tmp_path):
    with RunLog(tmp_path) as log:
        for step in range(5):
            log.write({"step": step, "loss": 1.0 / (step + 3)})
    with (tmp_path / FILE).open("a") as file:
        file.write('{"step": 5, "lo')
    before = (tmp_path / FILE).read_text().splitlines()
    cut_log(tmp_path, 3)
    assert (tmp_path / FILE).read_text().splitlines() == before[:4]


DAMAGE = [b"nonsense", b"5", b"[]", b'{"a": 1}', b'{"step": true}', b'{"step": 1.0}', b"",
          b"\0" * 9, b"\xff\xfe", b"[" * 100_000,
          b'{"step": ' + b"9" * 5000 + b"}", b'{"step": 3, "lo']


def written(folder, steps=range(6)):
    with RunLog(folder) as log:
        for step in steps:
            log.write({"step": step, "loss": 1 / (step + 3)})
    return (folder / FILE).read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("line", DAMAGE)
@pytest.mark.parametrize("place", [0, 3, 6])
def test_a_damaged_line_costs_no_other_and_the_log_as_it_was_is_set_aside(tmp_path, line, place):
    lines = written(tmp_path)
    damaged = b"".join([*lines[:place], line + b"\n", *lines[place:]])
    for copy in ("aside-log.jsonl", "aside-2-log.jsonl"):
        (tmp_path / FILE).write_bytes(damaged)
        assert [record["step"] for record in read_log(tmp_path)] == [0, 1, 2, 3, 4, 5]
        assert cut_log(tmp_path, 4) == (f"{tmp_path / FILE}: 1 damaged line left out; the file as "
                                        f"it was is {tmp_path / copy}")
        assert (tmp_path / FILE).read_bytes() == b"".join(lines[:5])
        assert (tmp_path / copy).read_bytes() == damaged


@pytest.mark.parametrize("torn", [line for line in DAMAGE if line])
def test_a_torn_last_line_is_dropped_and_nothing_set_aside(tmp_path, torn):
    lines = written(tmp_path)
    with (tmp_path / FILE).open("ab") as file:
        file.write(torn)
    assert len(read_log(tmp_path)) == 6
    assert cut_log(tmp_path, 9) == ""
    assert (tmp_path / FILE).read_bytes() == b"".join(lines)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_record_that_lost_its_line_break_alone_is_kept(tmp_path):
    lines = written(tmp_path)
    (tmp_path / FILE).write_bytes(b"".join(lines)[:-1])
    assert cut_log(tmp_path, 9) == "" and (tmp_path / FILE).read_bytes() == b"".join(lines)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 7)), min_size=1, max_size=4))
def test_whatever_happens_to_some_lines_the_others_stay(tmp_path, flips):
    (tmp_path / FILE).unlink(missing_ok=True)
    whole = bytearray(b"".join(written(tmp_path)))
    lines = bytes(whole).splitlines()
    for position, bit in flips:
        whole[position % len(whole)] ^= 1 << bit
    (tmp_path / FILE).write_bytes(whole)
    copies = len(list(tmp_path.glob("aside*")))
    untouched = [line for line in bytes(whole).split(b"\n") if line in lines]
    said = cut_log(tmp_path, 9)
    kept = (tmp_path / FILE).read_bytes().split(b"\n")
    assert [line for line in kept if line in lines] == untouched
    if said:
        assert len(list(tmp_path.glob("aside*"))) == copies + 1


def test_a_log_of_later_steps_is_set_aside_where_the_caller_says_so(tmp_path):
    lines = written(tmp_path)
    assert cut_log(tmp_path, 2, keep=True) == ""
    assert (tmp_path / FILE).read_bytes() == b"".join(lines[:3])
    assert (tmp_path / "aside-log.jsonl").read_bytes() == b"".join(lines)


def test_a_folder_without_a_log_gives_an_empty_one(tmp_path):
    cut_log(tmp_path, 0)
    assert read_log(tmp_path) == []


def test_numbers_that_are_not_finite_are_text_at_any_depth(tmp_path):
    with RunLog(tmp_path) as log:
        log.write({"step": 1, "watch": {"nats": [[0.5, math.nan], (math.inf, 2)], "first": None}})
    cut_log(tmp_path, 1)
    assert read_log(tmp_path) == [
        {"step": 1, "watch": {"nats": [[0.5, "nan"], ["inf", 2]], "first": None}}]


def test_arrays_become_lists_and_floats_are_rounded_to_the_digits_asked_for():
    record = {"a": np.array([[1 / 3, math.nan]]), "n": 3, "t": (2 / 3e9, None)}
    assert plain(record) == {"a": [[1 / 3, "nan"]], "n": 3, "t": [2 / 3e9, None]}
    assert plain(record, digits=6) == {"a": [[0.333333, "nan"]], "n": 3, "t": [6.66667e-10, None]}


def test_a_record_can_be_read_as_soon_as_it_is_written(tmp_path):
    with RunLog(tmp_path) as log:
        log.write({"step": 1})
        assert read_log(tmp_path) == [{"step": 1}]


@pytest.mark.parametrize("line", [
    b"[1]", b"3", b"null", b"{}", b'{"loss": 1.5}', b'{"step": true}', b'{"step": "2"}', b"\xff",
])
def test_a_line_that_is_not_a_record_of_a_step_is_not_read(line, tmp_path):
    (tmp_path / FILE).write_bytes(b'{"step": 1}\n' + line + b"\n")
    assert read_log(tmp_path) == [{"step": 1}]
    cut_log(tmp_path, 9)
    assert (tmp_path / FILE).read_bytes() == b'{"step": 1}\n'
