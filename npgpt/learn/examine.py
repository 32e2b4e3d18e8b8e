"""A check of one file, in this process: import, grade, and say what came of it."""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import linecache
import traceback
import types
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..documents import Json, read_text
from ..suggest import did_you_mean, one_line
from .borrowed import borrowed
from .exercise import CourseError, Exercise
from .grading import Finding, Grading, Stop
from .marks import NotBegun, not_begun

NOT_BEGUN, WRONG, PASSED = "not begun", "wrong", "passed"
PRINTED, PRINTED_LINE = 8, 200      # lines of what the code printed, and characters of each


@dataclass(frozen=True)
class Result:
    """What a check says: `status` is "not begun", "wrong" or "passed"; `right` are the steps that
    found nothing before it ended, `printed` the first of what the learner's code printed."""

    name: str
    status: str
    message: str = ""
    findings: tuple[Finding, ...] = ()
    right: tuple[str, ...] = ()
    printed: str = ""

    def to_dict(self) -> dict[str, object]:
        """As JSON holds it."""
        return {"name": self.name, "status": self.status, "message": self.message,
                "findings": [finding.to_dict() for finding in self.findings],
                "right": [*self.right], "printed": self.printed}

    @staticmethod
    def from_dict(value: Json) -> Result:
        """What to_dict gave."""
        findings = tuple(Finding(**{**f, "details": tuple(f["details"])})
                         for f in value["findings"])
        return Result(value["name"], value["status"], value["message"], findings,
                      tuple(value["right"]), value["printed"])


def examine(exercise: Exercise, source: str, file: str = "", every: bool = False) -> Result:
    """Check a learner's source, called `file`; `every` finding, or the first."""
    return _graded(exercise, lambda: loaded(source, file or exercise.file), source,
                   file or exercise.file, every)


def examine_module(exercise: Exercise, mine: types.ModuleType, every: bool = False) -> Result:
    """Check functions that are there already, such as those of a notebook's cells."""
    return _graded(exercise, lambda: mine, "", "", every, cells_of(exercise, mine))


def cells_of(exercise: Exercise, mine: types.ModuleType) -> str:
    """The source of those functions and classes of a notebook's cells that the exercise asks for.
    """
    names = [node.name for node in ast.parse(exercise.solution).body
             if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    texts = []
    for name in names:
        with contextlib.suppress(AttributeError, OSError, TypeError):
            texts.append(inspect.getsource(getattr(mine, name)))
    return "\n".join(texts)


def loaded(source: str, file: str, name: str = "exercise") -> types.ModuleType:
    """Run a source as a module of its own; its lines are found under the name `file`."""
    module = types.ModuleType(name)
    module.__file__ = file
    linecache.cache[file] = len(source), None, source.splitlines(keepends=True), file
    exec(compile(source, file, "exec"), module.__dict__)
    return module


def grader(exercise: Exercise) -> types.ModuleType:
    """The exercise's grade.py; CourseError if it has no grade."""
    path = exercise.folder / "grade.py"
    module = loaded(read_text(path, CourseError), str(path), "grade")
    if not callable(getattr(module, "grade", None)):
        raise CourseError(f"{path} has no function grade(mine, g)")
    return module


def _graded(exercise: Exercise, load: Callable[[], types.ModuleType], source: str, file: str,
            every: bool, cells: str = "") -> Result:
    grade = grader(exercise).grade
    grading = Grading(every)
    printed = io.StringIO()
    status, message = PASSED, ""
    mine: types.ModuleType | None = None
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            mine = load()
            names = borrowed(mine, source or cells, exercise.solution)
            if names:
                grading.fail("borrowed", f"your code uses npgpt's own {' and '.join(names)}: only "
                             "your own code is graded", step="imports")
            with np.errstate(all="ignore"):
                grade(mine, grading)
        except NotBegun as begun:
            status, message = NOT_BEGUN, not_begun(begun.words, source)
        except Stop:
            pass
        except AttributeError as error:
            if mine is None or error.obj is not mine:
                grading.findings.append(_raised(error, file, mine is None))
            else:
                near = did_you_mean(error.name, [*vars(mine)])
                grading.findings.append(Finding("missing", "imports", (
                    f"the file defines no {error.name}{near}: its name must stay as it was")))
        except (Exception, SystemExit) as error:    # the learner's code
            if mine is None or _inside(error, file):
                grading.findings.append(_raised(error, file, mine is None))
            elif source == exercise.solution:
                raise       # a fault of grade.py
            else:
                examine(exercise, exercise.solution)    # raises, too, if it is one
                grading.findings.append(Finding("not-comparable", "values", (
                    "what your functions give cannot be graded: compare what each returns with its "
                    "docstring: how many values, arrays or numbers, of which shape"),
                    (one_line(f"{type(error).__name__}: {error}", 300),)))
    if grading.findings:
        status = WRONG
    return Result(exercise.name, status, message, tuple(grading.findings), tuple(grading.right),
                  _first(printed.getvalue()))


def _first(printed: str) -> str:
    """The first lines of what was printed, and how many there are."""
    lines = [line[:PRINTED_LINE] for line in printed.rstrip().splitlines()]
    more = [f"... {len(lines):,} lines in all: a check calls your code many times"]
    return "\n".join([*lines[:PRINTED], *(more if len(lines) > PRINTED else [])])


def _inside(error: BaseException, file: str) -> bool:
    return any(f.filename == file for f in traceback.extract_tb(error.__traceback__))


def _raised(error: BaseException, file: str, importing: bool) -> Finding:
    """What the learner's code raised, with the traceback cut to their file."""
    kind, step = ("raises-on-import", "imports") if importing else ("raises", "values")
    text = one_line(f"{type(error).__name__}: {error}", 300)
    if isinstance(error, SyntaxError):
        shown = (error.text or "").strip()
        return Finding("syntax-error", "imports", f"line {error.lineno}: {error.msg}",
                       (shown,) if shown else ())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    return Finding(kind, step, text, tuple(
        f"line {f.lineno} in {f.name}: {f.line}" for f in frames[-6:]))
