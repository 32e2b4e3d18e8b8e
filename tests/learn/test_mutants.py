"""The rules that break a backward: each edits one function, and knows the name."""

import ast

from npgpt.doctor import KINDS
from npgpt.learn.mutants import ACCEPTED, edits

SOURCE = """\
def f_backward(dout, cache):
    x, n = cache
    dx = -dout * x / n
    db = dout.sum(axis=0)
    return dx, db
"""


def test_each_edit_is_another_function_under_a_known_name():
    function = ast.parse(SOURCE).body[0]
    before = ast.unparse(function)
    made = [(kind, ast.unparse(ast.fix_missing_locations(edited)))
            for kind, _, edited in edits(function)]
    assert len({text for _, text in made}) > 20
    assert before not in {text for _, text in made} and ast.unparse(function) == before
    assert {kind for kind, _ in made} <= {*ACCEPTED}


def test_every_accepted_name_is_one_of_the_doctors():
    assert {name for names in ACCEPTED.values() for name in names} <= {*KINDS}
