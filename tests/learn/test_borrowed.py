"""npgpt's own functions are not graded in place of the learner's."""

import pytest

from npgpt.learn.borrowed import borrowed
from npgpt.learn.examine import PASSED, examine, loaded
from npgpt.learn.exercise import read_course

FORWARD = "npgpt.layers.softmax"
COURSE = read_course()
SOFTMAX = next(e for e in COURSE if e.name == "softmax")


@pytest.mark.parametrize("top, first", [
    (f"from {FORWARD} import softmax_forward as sf", "return sf(x)"),
    (f"import {FORWARD} as layer", "return layer.softmax_forward(x)"),
    (f"import {FORWARD}", f"return {FORWARD}.softmax_forward(x)"),
    ("", f"from {FORWARD} import softmax_forward as sf; return sf(x)"),
    ("", f"import {FORWARD} as layer; return layer.softmax_forward(x)"),
])
def test_npgpts_own_function_is_not_graded_in_place_of_the_learners(top, first):
    source = SOFTMAX.solution.replace("import numpy as np\n", f"import numpy as np\n{top}\n", 1)
    source = source.replace("    shifted = x", f"    {first}\n    shifted = x")
    (finding,) = examine(SOFTMAX, source).findings
    assert (finding.kind, finding.step) == ("borrowed", "imports")
    assert "softmax" in finding.message and finding.message.count("\n") == 0


def test_a_name_of_the_exercise_that_is_imported_is_borrowed_too():
    finding = examine(SOFTMAX, SOFTMAX.solution + f"from {FORWARD} import *\n").findings[0]
    assert finding.kind == "borrowed"


def test_what_the_exercise_gives_and_what_only_runs_the_file_alone_is_not_borrowed():
    for exercise in COURSE:
        mine = loaded(exercise.solution, exercise.file)
        assert borrowed(mine, exercise.solution, exercise.solution) == []
    source = SOFTMAX.solution.replace(
        "import numpy as np\n", f"import numpy as np\nfrom {FORWARD} import softmax_forward as s\n",
        1).replace('"__main__":\n', '"__main__":\n    print(s(np.ones((1, 2))))\n')
    assert examine(SOFTMAX, source).status == PASSED
