"""The log: whole lines, and cut where the newest checkpoint knows no more."""

import json
import math

import numpy as np
import pytest

from npgpt.training.log import FILE, RunLog, cut_log, plain, read_log


def test_records_come_back_in_order(tmp_path):
    with RunLog(tmp_path) as log:
        log.write({"step": 1, "loss": 2.5})
        log.write({"step": 2, "loss": 0.1 + 0.2})
        log.flush_to_disk()
    assert read_log(tmp_path) == [{"step": 1, "loss": 2.5}, {"step": 2, "loss": 0.1 + 0.2}]


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
