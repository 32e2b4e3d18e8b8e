"""What is tried: one mistake with the value that fits, pairs in a good order, what comes after."""

import numpy as np
import pytest

from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.compare import leaves
from npgpt.doctor.values.forward import diagnose_value
from npgpt.doctor.values.guesses import PAIRS, Point, fitted, pairs
from npgpt.doctor.values.program import Program, Variant

rng = np.random.default_rng(0)


def drawn(name, mistakes, n=0):
    program = PROGRAMS[name]
    inputs, settings = program.draw(np.random.default_rng(n), {}, n)
    wanted = [v for kind in mistakes for v in program.mistakes() if v.kind == kind]
    return Point(inputs, settings, leaves(program.value(inputs, settings)),
                 leaves(program.value(inputs, settings, wanted)))


@pytest.mark.parametrize("name, kind, value, says", [
    ("layernorm", "wrong-eps", 0.07, "eps is 0.07 in"),
    ("gelu", "gelu-constant", 0.045, "is 0.045; it"),
    ("gelu", "gelu-root", 0.8, "is 0.8; it"),
    ("cross_entropy", "eps-in-log", 3e-3, "0.003 is added"),
])
def test_a_value_that_was_not_foreseen_is_found(name, kind, value, says):
    def mine(*inputs):
        return PROGRAMS[name].function(*inputs, wrong={kind: value})

    report = diagnose_value(name, mine)
    assert report.kinds == [kind] and says in report.findings[0].sentence


def test_one_number_is_fitted_by_anything_and_so_by_nothing():
    point = drawn("cross_entropy", ["eps-in-log"])
    assert [*fitted(PROGRAMS["cross_entropy"], [point])] == []


@pytest.mark.smoke
@pytest.mark.parametrize("two", [
    ("one-norm-twice", "mask-missing"), ("second-residual-missing", "scale-forgotten"),
    ("gelu-is-relu", "heads-merged-bare")])
def test_the_pair_that_was_made_is_among_the_first(two):
    tried = [[guess.fault.kind for guess in group] for group in pairs(
        PROGRAMS["block"], drawn("block", two))]
    assert len([group for group in tried if group[1] != "factor"]) >= PAIRS
    assert min(n for n, group in enumerate(tried) if sorted(group) == sorted(two)) < 200


def test_a_factor_a_sign_or_a_transpose_may_come_after_a_mistake():
    program = Program("sum", lambda x, *, wrong=(): x + 1 if "one" in wrong else x, [
        Variant("one", "one is added")])
    x = rng.standard_normal((3, 5))
    for got, kind in ((-x - 1, "wrong-sign"), (3 * x + 3, "factor"), (x.T + 1, "transposed")):
        assert diagnose_value(program, got, x).kinds == ["one", kind]
    assert diagnose_value(program, -x, x).kinds == ["wrong-sign"]
    assert diagnose_value(program, -x, x).others == ()
