"""Right answers of another form than the solution: each of them passes.

Another cache, another order of operations, loops for axes, einsum, the Jacobian written out: a file
of right/ has those of one exercise, and the code between its marks by their number. To call a right
answer wrong is the worst that a course can do.
"""

import os
import sys
import tomllib
from pathlib import Path

import pytest

from npgpt.learn.examine import PASSED, examine
from npgpt.learn.exercise import read_course
from npgpt.learn.marks import BEGIN, END

# some are tried here, all where it may take longer
SOME = 1 if os.environ.get("NPGPT_WHOLE_COURSE") else 4
COURSE = {exercise.name: exercise for exercise in read_course()}
FORMS = [(file.stem, form["how"], form["code"])
         for file in sorted((Path(__file__).parent / "right").glob("*.toml"))
         for form in tomllib.loads(file.read_text(encoding="utf-8"))["form"]]


def with_codes(solution, codes):
    """The solution with other code between those of its marks that `codes` has a number for."""
    out, n, within = [], -1, False
    for line in solution.splitlines():
        mark = line.strip()
        if mark == BEGIN:
            n += 1
            within = str(n) in codes
            indent = line[:len(line) - len(line.lstrip())]
            out += [line, *(indent + code for code in codes.get(str(n), "").splitlines())]
        elif mark == END or not within:
            within = False
            out.append(line)
    return "\n".join(out) + "\n"


@pytest.fixture(autouse=True)
def limit_of_recursion():
    """A form may raise it; a check runs in a process of its own, these do not."""
    limit = sys.getrecursionlimit()
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.parametrize("name, how, codes", FORMS[::SOME], ids=[
    f"{name}: {how}" for name, how, _ in FORMS[::SOME]])
def test_a_right_answer_of_another_form_passes(name, how, codes):
    result = examine(COURSE[name], with_codes(COURSE[name].solution, codes))
    assert (result.status, result.findings) == (PASSED, ())
