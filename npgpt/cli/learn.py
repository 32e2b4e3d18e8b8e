"""npgpt learn: a course from a difference quotient to a GPT-2 of one's own, graded by the doctor.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ..documents import read_text
from ..files import write_text
from ..learn import fault, training_report, words
from ..learn.child import SECONDS
from ..learn.examine import PASSED, Result
from ..learn.exercise import CourseError, Exercise, read_course
from ..learn.notebook import is_untouched, notebook_of
from ..learn.training import Plan
from ..learn.verify import verify
from ..learn.watch import converse, keys, watch
from ..learn.workspace import FOLDER, Workspace, found_from, is_workspace, start
from ..suggest import unknown
from .console import note, waiting, wants_color
from .options import add_color
from .parser import Parser

DESCRIPTION = """\
A course: exercises from a difference quotient to a GPT-2 of your own. Each is a
plain Python file with a story and marks where to write; the doctor grades it and
names what is wrong. Begin anywhere."""
EPILOG = f"""\
commands (without one: where you are, and what is next):
  start [DIR]        write the exercises into a folder (default {FOLDER})
  list               all exercises, and which of them pass
  next               the first that does not pass yet
  check [NAME|FILE]  grade one (default: the file that you changed last)
  watch              grade a file whenever you save it; keys in a terminal
  hint NAME [1|2|3]  three hints, questions first
  solution NAME      a solution, after a pass or with --give-up
  fault NAME         find the fault: three versions, one right
  reset NAME         the file as it was at first; a copy of yours is kept
  find WORD ...      which exercise is about it
  notebook NAME      the exercise as a Jupyter notebook
  train              train a GPT-2 with your layers, those that pass
  verify [DIR]       for teachers: try every claim of a course

NAME is an exercise's name, number or file.

examples:
  npgpt learn start
  npgpt learn check softmax
  npgpt learn check softmax --all
  npgpt learn fault softmax --answer B --why "the sum is missing"
  npgpt learn start class --course my-exercises     a course of your own

exit codes: 0 success, 1 not passed, 2 usage, 3 a file cannot be read or written
"""


def add_arguments(parser: Parser) -> None:
    """Declare the verb's arguments."""
    parser.usage = "npgpt learn [COMMAND] [NAME ...] [options]"
    parser.add_argument("command", nargs="?", metavar="COMMAND", help="one of those below")
    parser.add_argument("what", nargs="*", metavar="NAME", help="what it is about")
    parser.add_argument("--all", action="store_true",
                        help="check: every finding; reset: every exercise")
    parser.add_argument("--give-up", action="store_true",
                        help="solution, fault: although the exercise does not pass")
    parser.add_argument("--answer", metavar="A|B|C", help="fault: which version is right")
    parser.add_argument("--why", metavar="TEXT", default="",
                        help="fault: what is wrong with the others; kept for yourself, beside "
                             "the doctor's names")
    parser.add_argument("--draw", type=int, default=0, metavar="N",
                        help="fault: another three, made by changing the layer's code")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S",
                        help=f"a check may take so long (default {SECONDS})")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="verify: only this exercise; may be given more than once")
    parser.add_argument("--course", type=Path, metavar="DIR",
                        help="start: a folder of exercises in place of npgpt's own")
    parser.add_argument("--steps", type=int, default=300, metavar="N",
                        help="train: how many (default 300)")
    parser.add_argument("--every", type=float, default=1.0, metavar="S",
                        help="watch: seconds between two looks (default 1)")
    parser.add_argument("--dir", type=Path, metavar="DIR",
                        help=f"your exercises (default: this folder, its {FOLDER}, or one above)")
    parser.add_argument("--json", action="store_true", help="the answer as JSON")
    add_color(parser)


def run(args: argparse.Namespace) -> int:
    """Do what the command says; 1 where something is not passed."""
    if args.command is None:
        return _where(args)
    if args.command not in COMMANDS:
        raise unknown("command", args.command, COMMANDS)
    return COMMANDS[args.command](args)


def _say(args: argparse.Namespace, lines: Iterable[str], value: Callable[[], object]) -> None:
    """Print lines, or with --json the value."""
    if args.json:
        print(json.dumps(value(), indent=1))
    else:
        for line in lines:
            print(line, flush=True)


def _workspace(args: argparse.Namespace) -> Workspace:
    found = _found(args)
    if found is None:
        raise CourseError("there are no exercises here; npgpt learn start writes them into the "
                          f"folder {FOLDER}")
    return found


def _found(args: argparse.Namespace) -> Workspace | None:
    found = found_from(Path()) if args.dir is None else Workspace.at(args.dir)
    if found is not None:
        found.note = note
        if not args.seconds > 0:
            raise ValueError(f"--seconds must be above 0, got {args.seconds:g}")
        found.seconds = args.seconds
    return found


def _one(args: argparse.Namespace, workspace: Workspace) -> Exercise:
    if len(args.what) != 1:
        raise ValueError(f"{args.command} is about one exercise: npgpt learn {args.command} NAME; "
                         "npgpt learn list has the names")
    return workspace.find(args.what[0])


def _where(args: argparse.Namespace) -> int:
    workspace = _found(args)
    if workspace is None:
        course = read_course()
        _say(args, words.of_course(course, FOLDER),
             lambda: {"folder": None, "exercises": len(course), "next": None})
        return 0
    results = workspace.results()
    coming = workspace.next()
    lines = [f"your exercises: {workspace.folder.resolve()}", words.of_progress(results), ""]
    if coming is None:
        lines.append("All pass. Train a GPT-2 with your layers: npgpt learn train")
    else:
        lines += ["next:", *words.of_exercise(coming, workspace.path(coming), wants_color(args)),
                  "", "all exercises: npgpt learn list    begin anywhere: npgpt learn check NAME"]
    _say(args, lines, lambda: {
        "folder": str(workspace.folder.resolve()),
        "passed": [r.name for r in results if r.status == PASSED],
        "next": None if coming is None else coming.name})
    return 0


def _start(args: argparse.Namespace) -> int:
    if len(args.what) > 1:
        raise ValueError("start takes one folder")
    folder = Path(args.what[0]) if args.what else args.dir or Path(FOLDER)
    workspace, written = start(folder, args.course)
    left = len(workspace.course) - len(written)
    first = workspace.next() or workspace.course[0]
    begun = "Open a file in your editor, read its story, write between the marks, then", \
        "check it. The files are plain Python; nothing else is kept of what you do.", \
        "Progress is worked out from the files: begin anywhere, skip what you like."
    lines = [f"{len(written)} exercises written to {folder}"
             + (f"; {left} were there already and stay as they are" if left else ""), "",
             *([] if left else [*begun, ""]),
             *words.of_exercise(first, workspace.path(first), wants_color(args)), "",
             f"Commands work in {folder}, and from elsewhere with --dir {folder}."
             if folder != Path(FOLDER) else f"Commands work here, and in {folder}."]
    _say(args, lines, lambda: {"folder": str(folder), "written": [p.name for p in written]})
    return 0


def _list(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    results = workspace.results()
    _say(args, words.of_list(workspace.course, results, wants_color(args)), lambda: [
        {"number": e.number, "name": e.name, "title": e.about["title"], "file": e.file,
         "status": r.status, "difficulty": e.estimate[0], "importance": e.estimate[1],
         "minutes": e.estimate[2]} for e, r in zip(workspace.course, results, strict=True)])
    return 0


def _next(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    coming = _one(args, workspace) if args.what else workspace.next()
    if coming is None:
        _say(args, ["all exercises pass; npgpt learn train trains a GPT-2 with your layers"],
             lambda: {"next": None})
        return 0
    _say(args, words.of_exercise(coming, workspace.path(coming), wants_color(args)), lambda: {
        "next": coming.name, "file": str(workspace.path(coming)), "title": coming.about["title"],
        "goal": coming.about["goal"]})
    return 0


def _check(args: argparse.Namespace) -> int:
    if args.what and args.what[0].endswith(".py") and Path(args.what[0]).is_file() \
            and args.dir is None and is_workspace(Path(args.what[0]).parent):
        args.dir = Path(args.what[0]).parent
    workspace = _workspace(args)
    latest = None if args.what else workspace.latest() or workspace.course[0]
    exercise = latest or _one(args, workspace)
    result = _checked(workspace, exercise, args)
    return 0 if result.status == PASSED else 1


def _checked(workspace: Workspace, exercise: Exercise, args: argparse.Namespace) -> Result:
    with waiting(f"checking {exercise.name} ..."):
        result = workspace.check(exercise, args.all)
    colour = wants_color(args)
    lines = list(words.of_result(result, args.all, colour))
    if result.status == PASSED:
        lines += words.of_pass(exercise, read_text(workspace.path(exercise)), colour)
    _say(args, lines, result.to_dict)
    return result


def _watch(args: argparse.Namespace) -> int:
    # from before anything is shown: what is typed then counts
    with keys() as pressed:
        workspace = _workspace(args)

        def check(exercise: Exercise) -> Result:
            return _checked(workspace, exercise, args)

        if args.json:       # nothing but the answers, a JSON value for each file that is saved
            watch(workspace, check, lambda key: key != "q", pressed, args.every)
        else:
            converse(workspace, check, pressed, wants_color(args), args.every)
    return 0


def _hint(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    numbered = len(args.what) == 2 and args.what[1].isdigit()
    number = int(args.what.pop()) if numbered else 1
    exercise = _one(args, workspace)
    count = len(exercise.about["hints"])
    if not 1 <= number <= count:
        raise ValueError(f"{exercise.name} has hints 1 to {count}")
    _say(args, words.of_hint(exercise, number), lambda: {
        "name": exercise.name, "hint": number, "of": count,
        "text": exercise.about["hints"][number - 1]})
    return 0


def _solution(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    exercise = _one(args, workspace)
    if _hidden(args, workspace, exercise, {"solution": None}):
        return 1
    text = words.without_marks(exercise.solution).rstrip()
    _say(args, [text, "", f"# {exercise.place}"], lambda: {
        "name": exercise.name, "solution": text, "file": str(exercise.place)})
    return 0


def _hidden(
    args: argparse.Namespace, workspace: Workspace, exercise: Exercise, empty: dict[str, None]
) -> bool:
    """Whether a right answer is not shown yet; if so it says how it is."""
    if args.give_up or workspace.results([exercise])[0].status == PASSED:
        return False
    _say(args, [f"{exercise.name} does not pass yet; npgpt learn hint {exercise.name}, or",
                f"npgpt learn {args.command} {exercise.name} --give-up"],
         lambda: {"name": exercise.name, **empty})
    return True


def _reset(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    if args.all == bool(args.what):
        raise ValueError("reset takes the name of an exercise, or --all")
    exercises = workspace.course if args.all else [_one(args, workspace)]
    copies = {exercise: workspace.reset(exercise) for exercise in exercises}
    _say(args, words.of_reset(workspace.folder, copies), lambda: {
        "reset": [exercise.name for exercise in copies],
        "copies": {exercise.name: str(copy) for exercise, copy in copies.items() if copy}})
    return 0


def _find(args: argparse.Namespace) -> int:
    if not args.what:
        raise ValueError("find takes words: npgpt learn find softmax")
    workspace = _found(args) or Workspace(Path(FOLDER), read_course())
    found = workspace.search(args.what)
    _say(args, [f"{e.number:3} {e.name:17} {e.about['title']}" for e in found] or [
        f"nothing about {' '.join(args.what)}; npgpt learn list has all exercises"],
        lambda: [e.name for e in found])
    return 0 if found else 1


def _fault(args: argparse.Namespace) -> int:
    workspace = _found(args) or Workspace(Path(FOLDER), read_course())
    exercise = _one(args, workspace)
    letter, why = args.answer, args.why
    if letter is not None and letter.upper() not in tuple(fault.LETTERS):
        raise ValueError(f"--answer is one of {', '.join(fault.LETTERS)}, got {letter!r}")
    if _hidden(args, workspace, exercise, {"choices": None}):
        return 1
    choices = fault.question(exercise, args.draw)
    colour = wants_color(args)
    if letter is None:
        ask = sys.stdin.isatty() and sys.stdout.isatty() and not args.json
        _say(args, fault.of_question(
            exercise, choices, _options(args, args.draw), not ask, colour),
             lambda: {"name": exercise.name, "choices": {c.letter: c.shown for c in choices}})
        if not ask:
            return 0
        letter = ""
        while letter.upper() not in tuple(fault.LETTERS):
            letter = input(f"{', '.join(fault.LETTERS)}? ").strip()
        why = input("why? ")
    answer = fault.answered(exercise, choices, letter)
    lines = fault.of_answer(
        exercise, answer, letter, why, _options(args, args.draw + 1), colour)
    _say(args, lines, lambda: {
        "name": exercise.name, "right": answer.right, "correct": answer.correct, "why": why,
        "wrong": {key: result.to_dict() for key, result in answer.results.items()}})
    return 0 if answer.correct else 1


def _options(args: argparse.Namespace, draw: int) -> str:
    return " --give-up" * bool(args.give_up) + f" --draw {draw}" * (draw > 0)


def _notebook(args: argparse.Namespace) -> int:
    workspace = _workspace(args)
    exercise = _one(args, workspace)
    path = workspace.path(exercise)
    target = path.with_suffix(".ipynb")
    text = notebook_of(exercise, read_text(path))
    if target.exists() and not is_untouched(read_text(target)):
        raise ValueError(f"{target} is there already, with what you wrote in it; rename it first")
    write_text(target, text)
    _say(args, [f"{target}", f"to open it: jupyter lab {target}    (pip install "
                "'npgpt[notebook]')"], lambda: {"name": exercise.name, "file": str(target)})
    return 0


def _train(args: argparse.Namespace) -> int:
    if args.steps < 1:
        raise ValueError(f"--steps must be at least 1, got {args.steps}")
    workspace = _workspace(args)

    def say(line: str) -> None:
        if not args.json:
            print(line, flush=True)

    value = training_report.report(workspace, Plan(steps=args.steps), wants_color(args), say)
    if args.json:
        print(json.dumps(value, indent=1))
    return 0


def _verify(args: argparse.Namespace) -> int:
    course = read_course(Path(args.what[0]) if args.what else None)
    if args.only:
        workspace = Workspace(Path(), course)
        course = [workspace.find(name) for name in args.only]
    trials = []
    for trial in verify(course):
        trials.append(trial)
        if not args.json:
            if trial.problem:
                print(f"FAIL {trial.exercise}: {trial.claim}")
                print("\n".join(words.wrap(trial.problem, "     ")), flush=True)
            elif args.all:
                print(f"ok   {trial.exercise}: {trial.claim}", flush=True)
    failed = [trial for trial in trials if trial.problem]
    wrong = sum(len(exercise.about["wrong"]) for exercise in course)
    _say(args, [f"{len(course)} exercises, {wrong} wrong answers: {len(trials)} claims tried, "
                f"{len(failed)} failed"],
         lambda: [vars(trial) for trial in trials])
    return 1 if failed else 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "start": _start, "list": _list, "next": _next, "check": _check, "watch": _watch,
    "hint": _hint, "solution": _solution, "reset": _reset, "find": _find, "fault": _fault,
    "train": _train, "notebook": _notebook, "verify": _verify,
}
