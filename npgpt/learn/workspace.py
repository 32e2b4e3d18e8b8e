"""The learner's folder: one file an exercise, and what is known of each, worked out from the files.

A cache of results, keyed by each file's content, saves time only: it may be deleted at any moment.
A file is never overwritten without a copy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ..documents import parse_toml, read_json, read_text
from ..files import write_text
from ..suggest import did_you_mean, shown
from ..version import VERSION
from .child import SECONDS, check_apart
from .examine import NOT_BEGUN, PASSED, Result
from .exercise import CourseError, Exercise, read_course

FOLDER = "npgpt-learn"
CACHE = ".npgpt-learn.json"
COURSE = "course.toml"
COPIES = "copies"
A_FEW = 2       # files are named


@dataclass
class Workspace:
    """A learner's folder and its course; `note` gets a remark where an answer takes a while, and a
    check may take so many `seconds`."""

    folder: Path
    course: Sequence[Exercise]
    note: Callable[[str], None] = lambda text: None
    seconds: float = SECONDS

    @staticmethod
    def at(folder: Path) -> Workspace:
        """The workspace in a folder; CourseError if there is none."""
        if not is_workspace(folder):
            raise CourseError(f"{folder} holds no exercises; npgpt learn start {folder} writes "
                              "them")
        place = _course_of(folder)
        return Workspace(folder, read_course(place))

    def path(self, exercise: Exercise) -> Path:
        """The learner's file."""
        return self.folder / exercise.file

    def find(self, name: str) -> Exercise:
        """An exercise by name, number or file; ValueError, with the nearest, for another."""
        wanted = Path(name).name.removesuffix(".py").removesuffix(".ipynb")
        for exercise in self.course:
            if wanted in (exercise.name, exercise.folder.name) or (
                    wanted.isdigit() and int(wanted) == exercise.number):
                return exercise
        if Path(name).is_file():
            raise ValueError(f"{name} is not a file of the course; npgpt learn list has its names")
        near = did_you_mean(wanted, [exercise.name for exercise in self.course])
        raise ValueError(f"unknown exercise {shown(wanted)}{near}; npgpt learn list has the names")

    def search(self, words: Iterable[str]) -> list[Exercise]:
        """The exercises whose title, goal, story or words hold all of `words`; the surest first."""
        found = []
        for exercise in self.course:
            about = exercise.about
            near = " ".join([exercise.name, about["title"], about["goal"], *about["find"]]).lower()
            text = f"{near} {exercise.story.lower()}"
            if all(word.lower() in text for word in words):
                found.append((not all(word.lower() in near for word in words), exercise))
        return [exercise for _, exercise in sorted(found, key=lambda pair: pair[0])]

    def write_stubs(self) -> list[Path]:
        """Write each file that is not there; returns those written."""
        written = []
        self.folder.mkdir(parents=True, exist_ok=True)
        for exercise in self.course:
            path = self.path(exercise)
            if not path.exists():
                write_text(path, exercise.stub)
                written.append(path)
        return written

    def reset(self, exercise: Exercise) -> Path | None:
        """Put the stub back; where the learner's differs, the copy that was kept of it."""
        path = self.path(exercise)
        text = read_text(path) if path.exists() else exercise.stub
        copy = None
        if text != exercise.stub:
            copy = self._free(exercise)
            copy.parent.mkdir(exist_ok=True)
            write_text(copy, text)
        write_text(path, exercise.stub)
        return copy

    def _free(self, exercise: Exercise) -> Path:
        number = 1
        while True:
            path = self.folder / COPIES / f"{exercise.folder.name}-{number}.py"
            if not path.exists():
                return path
            number += 1

    def check(self, exercise: Exercise, every: bool = False) -> Result:
        """Check the learner's file now; the result is remembered for `results`."""
        path = self.path(exercise)
        if not path.is_file():
            raise CourseError(f"{path} is not there; npgpt learn reset {exercise.name} writes it")
        key = self._key(exercise)
        # to go on after a finding takes the doctor longer
        result = check_apart(exercise, path.resolve(), every, self.seconds * (3 if every else 1))
        if not every:
            self._remember({key: result})
        return result

    def results(self, exercises: Sequence[Exercise] | None = None) -> list[Result]:
        """What is known of each exercise: from the cache where its file has not changed, by a check
        where it has. A file that is missing or untouched is not begun."""
        exercises = self.course if exercises is None else exercises
        known = {key: Result.from_dict(value)
                 for key, value in self._cached.items()}
        keys = [self._key(exercise) for exercise in exercises]
        new = {key: exercise for key, exercise in zip(keys, exercises, strict=True)
               if key and key not in known}
        if new:
            files = f"{len(new)} files" if len(new) > A_FEW else " and ".join(
                exercise.file for exercise in new.values())
            self.note(f"checking {files}, new or changed, ...")
        with ThreadPoolExecutor(2) as pool:
            found = dict(zip(new, pool.map(lambda e: check_apart(
                e, self.path(e).resolve(), seconds=self.seconds), new.values())))
        if found:
            self._remember(found)
        known |= found
        return [known[key] if key else Result(exercise.name, NOT_BEGUN, "not begun")
                for key, exercise in zip(keys, exercises, strict=True)]

    def passed(self) -> list[Exercise]:
        """The exercises that pass."""
        return [exercise for exercise, result in zip(self.course, self.results(), strict=True)
                if result.status == PASSED]

    def next(self) -> Exercise | None:
        """The first exercise that does not pass; None when all do."""
        for exercise in self.course:
            if self.results([exercise])[0].status != PASSED:
                return exercise
        return None

    def latest(self) -> Exercise | None:
        """The exercise whose file was changed last and is not the stub; None if there is none."""
        begun = [(self.path(e).stat().st_mtime_ns, e.number, e) for e in self.course
                 if self._key(e)]
        return max(begun, key=lambda one: one[:2])[2] if begun else None

    def _key(self, exercise: Exercise) -> str:
        """What a result depends on; "" where the file is missing or the stub."""
        path = self.path(exercise)
        if not path.is_file():
            return ""
        content = path.read_bytes()
        if content == exercise.stub.encode():
            return ""
        grade = (exercise.folder / "grade.py").read_bytes()
        parts = [VERSION.encode(), exercise.name.encode(), exercise.solution.encode(), grade,
                 content]
        return hashlib.sha256(b"\0".join(parts)).hexdigest()

    @cached_property
    def _cached(self) -> dict[str, dict[str, object]]:
        try:
            values = read_json(self.folder / CACHE)
            for value in values.values():
                Result.from_dict(value)
            return values
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}       # no cache, or another version's: everything is checked again

    def _remember(self, results: dict[str, Result]) -> None:
        current = {self._key(exercise) for exercise in self.course}
        merged = self._cached | {key: result.to_dict() for key, result in results.items() if key}
        # of the contents that a file had before, none is of use
        self._cached.clear()
        self._cached.update({key: value for key, value in merged.items() if key in current})
        try:
            write_text(self.folder / CACHE, json.dumps(self._cached))
        except OSError:
            pass            # a folder that cannot be written to costs time, nothing else


def is_workspace(folder: Path) -> bool:
    """Whether a folder holds files of a course."""
    return (folder / COURSE).is_file() or any(
        (folder / exercise.file).is_file() for exercise in read_course())


def found_from(folder: Path) -> Workspace | None:
    """The workspace in a folder, in its npgpt-learn, or in a folder around it; None if none is."""
    for place in (folder, folder / FOLDER, *folder.resolve().parents):
        if place.is_dir() and is_workspace(place):
            return Workspace.at(place)
    return None


def start(folder: Path, course: Path | None = None) -> tuple[Workspace, list[Path]]:
    """Write the exercises into a folder, those that are not there yet; and of a course of somebody
    else's, where it is."""
    course = course.resolve() if course is not None else _course_of(folder)
    workspace = Workspace(folder, read_course(course))
    folder.mkdir(parents=True, exist_ok=True)
    if course is not None:
        write_text(folder / COURSE, f"exercises = {json.dumps(str(course))}\n")
    return workspace, workspace.write_stubs()


def _course_of(folder: Path) -> Path | None:
    """Where the exercises of a folder come from; None for npgpt's own."""
    path = folder / COURSE
    if not path.is_file():
        return None
    place = parse_toml(read_text(path, CourseError), path, CourseError).get("exercises")
    if not isinstance(place, str):
        raise CourseError(f'{path}: expected exercises = "FOLDER"')
    return Path(place)
