"""A sample of the proof: the whole catalogue is `python -m benchmarks.mutants`."""

import hashlib

import pytest

from benchmarks.mutant_cases import CASES
from benchmarks.mutants import generate, judge, matters
from npgpt.doctor import examine
from npgpt.doctor.evidence.subject import Subject
from npgpt.learn.mutants import ACCEPTED


def sampled(mutant):
    return hashlib.sha256(("sample " + mutant.id).encode()).digest()[0] < 18


def test_every_sampled_mutant_is_detected_and_nine_of_ten_are_named(tmp_path):
    mutants = [m for m in generate() if sampled(m)]
    pairs = [(m, m.pair(tmp_path)) for m in mutants]
    live = [(m, p) for m, p in pairs if matters(m, p)]
    assert len(live) >= 40
    answers = [(m.id, *judge(m, p)[:2]) for m, p in live]
    assert [name for name, detected, _ in answers if not detected] == []
    missed = [name for name, _, named in answers if not named]
    assert len(missed) <= 0.1 * len(live), missed


def test_the_catalogue_is_large_and_its_two_halves_are_alike():
    mutants = list(generate())
    assert len({m.id for m in mutants}) >= 300
    held_out = sum(m.held_out for m in mutants) / len(mutants)
    assert 0.4 < held_out < 0.6
    assert {m.kind for m in mutants} == set(ACCEPTED)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_layers_of_the_package_are_never_accused(case):
    for seed in range(12):
        arrays, settings = case.random_inputs(seed)
        report = examine(Subject(*case.functions(), arrays, settings), seed=seed)
        assert report.ok, f"seed {seed}: {report}"
