"""The learner's folder: progress is worked out from the files, and no file is lost."""

import os

import pytest

from npgpt.learn import workspace as module
from npgpt.learn.examine import examine
from npgpt.learn.exercise import CourseError
from npgpt.learn.workspace import CACHE, Workspace, found_from, start


@pytest.fixture
def space(tmp_path, course):
    return start(tmp_path / "mine", course)[0]


def write(space, text):
    (exercise,) = space.course
    space.path(exercise).write_text(text, encoding="utf-8")
    return exercise


def status(space):
    return Workspace.at(space.folder).results()[0].status


def test_progress_follows_the_file_and_the_cache_may_go(space):
    assert status(space) == "not begun" and not (space.folder / CACHE).exists()
    (exercise,) = space.course
    write(space, exercise.solution)
    assert status(space) == "passed"
    for damage in ("", "[]", '{"x": 1}', '{"x": {"name": 3}}'):
        (space.folder / CACHE).write_text(damage, encoding="utf-8")
        assert status(space) == "passed"
    write(space, exercise.changed(exercise.about["wrong"][0]))
    assert status(space) == "wrong"
    write(space, exercise.stub)
    assert status(space) == "not begun"
    space.path(exercise).unlink()
    assert status(space) == "not begun"


def test_what_has_not_changed_is_not_checked_again(space, monkeypatch):
    checks = []

    def check(exercise, path, every=False, seconds=0):
        checks.append(exercise.name)
        return examine(exercise, path.read_text(encoding="utf-8"))

    monkeypatch.setattr(module, "check_apart", check)
    exercise = write(space, space.course[0].solution)
    space.results()
    assert space.next() is None and space.passed() == [exercise] and status(space) == "passed"
    assert checks == ["double"]
    grade = exercise.folder / "grade.py"
    grade.write_text(grade.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert status(space) == "passed" and checks == ["double"] * 2


def test_starting_again_and_resetting_lose_nothing(space, course):
    exercise = write(space, "mine = 1\n")
    assert start(space.folder, course)[1] == []
    assert space.path(exercise).read_text(encoding="utf-8") == "mine = 1\n"
    first = space.reset(exercise)
    assert first.read_text(encoding="utf-8") == "mine = 1\n"
    assert space.reset(exercise) is None
    write(space, "mine = 2\n")
    assert space.reset(exercise) != first and first.read_text(encoding="utf-8") == "mine = 1\n"


def test_names_numbers_and_files_find_an_exercise(space):
    for name in ("double", "01_double", "1", "01_double.py", "elsewhere/01_double.py"):
        assert space.find(name).name == "double"
    with pytest.raises(ValueError, match="did you mean 'double'"):
        space.find("doubel")
    assert [e.name for e in space.search(["twice", "GRADIENT"])] == ["double"]
    assert space.search(["banana"]) == []


def test_the_folder_is_found_from_within_and_from_around(tmp_path, space, course):
    assert found_from(space.folder).folder == space.folder
    inner = space.folder / "copies"
    inner.mkdir()
    assert found_from(inner).folder == space.folder.resolve()
    start(tmp_path / "npgpt-learn", course)
    assert found_from(tmp_path).folder == tmp_path / "npgpt-learn"
    with pytest.raises(CourseError, match="npgpt learn start"):
        Workspace.at(tmp_path / "course")


def test_the_latest_is_the_file_that_was_changed_last(space):
    assert space.latest() is None
    exercise = write(space, "x = 1\n")
    assert space.latest() is exercise


def test_a_missing_file_is_named_with_what_writes_it(space):
    (exercise,) = space.course
    space.path(exercise).unlink()
    with pytest.raises(CourseError, match="npgpt learn reset double"):
        space.check(exercise)


@pytest.mark.skipif(os.name != "posix" or os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to_is_read(space):
    write(space, space.course[0].solution)
    space.folder.chmod(0o500)
    try:
        assert status(space) == "passed"
    finally:
        space.folder.chmod(0o700)
