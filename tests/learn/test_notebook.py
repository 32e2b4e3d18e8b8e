"""A notebook is made from the file, and grades what its cells say."""

import json

import pytest

from npgpt.learn import check
from npgpt.learn.exercise import read_course
from npgpt.learn.notebook import notebook_of
from npgpt.learn.workspace import start

SOFTMAX = next(e for e in read_course() if e.name == "softmax")


def cells(source, exercise=SOFTMAX):
    return json.loads(notebook_of(exercise, source))["cells"]


def run(source):
    """What the check's cell shows, with the cells before it run as a notebook runs them."""
    space = {"__name__": "__main__"}
    for cell in cells(source):
        text = "".join(cell["source"])
        if "npgpt.learn.check" in text:
            return eval(text.splitlines()[-1], space, None) if exec(
                text.splitlines()[0], space) is None else None
        if cell["cell_type"] == "code":
            exec(text, space)
    raise AssertionError("no cell checks")


@pytest.mark.smoke
def test_the_call_grades_the_cells_functions():
    assert run(SOFTMAX.solution).ok
    assert run(SOFTMAX.stub).result.status == "not begun"
    answer = run(SOFTMAX.changed(SOFTMAX.about["wrong"][1]))
    assert not answer.ok and "missing-term" in repr(answer)
    assert answer._repr_html_().startswith("<pre>softmax: wrong")


@pytest.mark.parametrize("exercise", read_course(), ids=lambda exercise: exercise.name)
def test_the_check_stands_above_what_runs_alone_and_no_mark_leaves_its_function(exercise):
    for source in (exercise.solution, exercise.stub):
        texts = ["".join(cell["source"]) for cell in cells(source, exercise)]
        (check_at,) = (n for n, text in enumerate(texts) if "npgpt.learn.check" in text)
        assert texts[check_at + 1].startswith("if __name__")
        assert all(text.count("begins here") == text.count("ends here") for text in texts)


@pytest.mark.parametrize("exercise", read_course(), ids=lambda exercise: exercise.name)
def test_every_exercise_is_a_notebook_whose_outputs_are_empty(exercise):
    found = cells(exercise.stub, exercise)
    assert all(c["outputs"] == [] and c["execution_count"] is None
               for c in found if c["cell_type"] == "code")
    code = ["".join(c["source"]) for c in found if c["cell_type"] == "code"]
    for text in code:
        compile(text, "cell", "exec")
    assert sum("npgpt.learn.check(" in text for text in code) == 1
    kept = "\n".join(code)
    for line in exercise.stub.split('"""', 2)[2].splitlines():
        assert line in kept


def test_a_file_that_differs_from_the_cells_is_named(tmp_path, monkeypatch, course):
    space, _ = start(tmp_path / "mine")
    monkeypatch.chdir(space.folder)
    assert "05_softmax.py differs from them in softmax_forward, softmax_backward" in " ".join(
        repr(run_in_file(tmp_path, SOFTMAX.solution)).split())


def run_in_file(folder, source):
    """The functions read from a file, so that their source is known, as a notebook's is."""
    path = folder / "cells.py"
    path.write_text(source + "\n\nimport npgpt.learn\nanswer = npgpt.learn.check('softmax')\n",
                    encoding="utf-8")
    space = {"__name__": "cells"}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    return space["answer"]


def test_functions_may_be_given_and_an_unknown_name_is_a_mistake():
    space = {}
    exec(SOFTMAX.solution, space)
    assert check("softmax", space).ok
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        check("softmx", space)


def test_a_file_that_is_no_python_is_a_mistake_of_one_line():
    with pytest.raises(ValueError, match="line 1"):
        notebook_of(SOFTMAX, "def f(:\n")


def test_a_story_has_headings_and_a_blank_line_before_what_is_indented():
    softmax = next(e for e in read_course() if e.name == "softmax")
    first = json.loads(notebook_of(softmax, softmax.stub))["cells"][0]
    lines = "".join(first["source"]).splitlines()
    assert lines[0].startswith("# Softmax") and "## Mathematics" in lines
    for before, line in zip(lines, lines[1:]):
        assert not (line.startswith("    ") and before and not before.startswith("    "))


def test_in_cells_too_npgpts_own_function_is_not_graded():
    from npgpt.layers.softmax import softmax_backward, softmax_forward

    functions = {"softmax_forward": softmax_forward, "softmax_backward": softmax_backward}
    assert "borrowed" in repr(check("softmax", functions))
