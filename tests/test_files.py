from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

import npgpt
from npgpt.files import (
    check_room,
    creating_folder,
    flush_to_disk,
    place_of,
    remove_partial,
    replacing_file,
    write_text,
)

HOME = Path(npgpt.__file__).parents[1]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals and limits")

WRITE_FOREVER = """
import sys
from pathlib import Path
from npgpt.files import replacing_file
place = Path(sys.argv[1])
while True:
    for letter in "ab":
        with replacing_file(place) as beside:
            beside.write_text(letter * 1_000_000)
        print("written", flush=True)
"""

FILL_FOREVER = """
import shutil, sys
from pathlib import Path
from npgpt.files import creating_folder
place = Path(sys.argv[1])
for number in range(10**6):
    with creating_folder(place / str(number)) as beside:
        (beside / "part").mkdir()
        for name in ("one", "two", "part/three"):
            (beside / name).write_text(name * 100_000)
    print("written", flush=True)
"""

HIT_THE_LIMIT = """
import resource, sys
from pathlib import Path
from npgpt.files import creating_folder, replacing_file
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
place = Path(sys.argv[1])
for write in (replacing_file(place / "file"), creating_folder(place / "folder")):
    try:
        with write as beside:
            target = beside / "inside" if beside.is_dir() else beside
            target.write_text("x" * 5000)
    except OSError as error:
        print(type(error).__name__, error.strerror)
"""


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def kill_at_random_moments(script: str, place: Path, times: int):
    """Run a script that writes for ever, SIGKILL it at some moment, and let the caller look."""
    moment = random.Random(0)
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", script, str(place)],
                                   stdout=subprocess.PIPE, cwd=HOME)
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"written\n"
            time.sleep(moment.uniform(0.0, 0.02))
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        yield


def test_a_replaced_file_has_the_new_content_and_leaves_nothing_beside(tmp_path):
    place = tmp_path / "log.json"
    for content in ("first", "second"):
        with replacing_file(place) as beside:
            beside.write_text(content)
            assert beside.parent == tmp_path and beside != place
        assert place.read_text() == content
    assert names(tmp_path) == ["log.json"]


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path):
    check_room(tmp_path / "new" / "folder", 1000)
    with pytest.raises(OSError, match="No space left on device: .* MiB needed, .* free"):
        check_room(tmp_path / "new" / "folder", 2**60)


def test_until_the_end_the_old_content_stays_readable(tmp_path):
    place = tmp_path / "file"
    place.write_text("old")
    with replacing_file(place) as beside:
        beside.write_text("new")
        assert place.read_text() == "old"
    assert place.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_error_while_writing_leaves_the_old_content_and_nothing_else(error, tmp_path):
    place = tmp_path / "file"
    place.write_text("old")
    with pytest.raises(error):
        with replacing_file(place) as beside:
            beside.write_text("half of the n")
            raise error
    assert place.read_text() == "old" and names(tmp_path) == ["file"]


def test_a_file_that_was_not_written_leaves_the_old_content(tmp_path):
    place = tmp_path / "file"
    place.write_text("old")
    with pytest.raises(FileNotFoundError):
        with replacing_file(place):
            pass
    assert place.read_text() == "old" and names(tmp_path) == ["file"]


def test_an_error_before_anything_was_written_comes_through_as_it_is(tmp_path):
    for write in (replacing_file(tmp_path / "file"), creating_folder(tmp_path / "folder")):
        with pytest.raises(ZeroDivisionError):
            with write as beside:
                if beside.is_dir():
                    beside.rmdir()
                raise ZeroDivisionError
    assert names(tmp_path) == []


@pytest.fixture
def on_the_disk(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, object]]:
    """What is flushed and what is renamed, in order: a file or folder by its inode."""
    events: list[tuple[str, object]] = []
    fsync, replace, rename = os.fsync, os.replace, os.rename

    def flushed(handle: int) -> None:
        events.append(("flush", os.fstat(handle).st_ino))
        fsync(handle)

    def replaced(a: Path, b: Path) -> None:
        events.append(("rename", b))
        replace(a, b)

    def renamed(a: Path, b: Path) -> None:
        events.append(("rename", b))
        rename(a, b)

    monkeypatch.setattr("os.fsync", flushed)
    monkeypatch.setattr("os.replace", replaced)
    monkeypatch.setattr("os.rename", renamed)
    return events


@posix
def test_content_reaches_the_disk_before_its_name_does_and_then_the_name(tmp_path, on_the_disk):
    place = tmp_path / "file"
    with replacing_file(place) as beside:
        beside.write_text("content")
    assert on_the_disk == [("flush", place.stat().st_ino), ("rename", place),
                           ("flush", tmp_path.stat().st_ino)]


@posix
def test_all_that_is_in_a_folder_reaches_the_disk_before_its_name_does(tmp_path, on_the_disk):
    place = tmp_path / "folder"
    with creating_folder(place) as beside:
        (beside / "inner").mkdir()
        (beside / "inner" / "file").write_text("content")
    inside = {p.stat().st_ino for p in (place / "inner", place / "inner" / "file")}
    assert {number for _, number in on_the_disk[:2]} == inside
    assert on_the_disk[2:] == [("flush", place.stat().st_ino), ("rename", place),
                               ("flush", tmp_path.stat().st_ino)]


@posix
def test_what_is_not_a_file_is_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "to-the-pipe").symlink_to("pipe")
    (tmp_path / "to-itself").symlink_to("to-itself")
    before = names(tmp_path)
    for place, message in {
        "pipe": "pipe exists and is not a regular file", "to-the-pipe": "is not a regular file",
        "to-itself": "is not a regular file", "folder": "folder is a folder; name a file",
        "folder/..": "is a folder; name a file",
    }.items():
        with pytest.raises(ValueError, match=message):
            with replacing_file(tmp_path / place) as beside:
                beside.write_text("new")
    with pytest.raises(ValueError, match="/dev/null exists and is not a regular file"):
        place_of(Path("/dev/null"))
    assert names(tmp_path) == before and (tmp_path / "pipe").is_fifo()


@posix
def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "file")
    for content in ("first", "second"):
        with replacing_file(tmp_path / "link") as beside:
            beside.write_text(content)
        assert (tmp_path / "there" / "file").read_text() == content
    (tmp_path / "to-a-folder").symlink_to(tmp_path / "there" / "folder")
    with creating_folder(tmp_path / "to-a-folder") as beside:
        (beside / "inner").write_text("content")
    assert (tmp_path / "there" / "folder" / "inner").read_text() == "content"
    assert names(tmp_path) == ["link", "there", "to-a-folder"]
    assert names(tmp_path / "there") == ["file", "folder"]
    assert (tmp_path / "link").is_symlink() and (tmp_path / "to-a-folder").is_symlink()


@pytest.mark.smoke
@posix
def test_a_kill_at_any_moment_leaves_one_whole_file(tmp_path):
    place = tmp_path / "file"
    for _ in kill_at_random_moments(WRITE_FOREVER, place, times=6):
        content = place.read_text()
        assert content in ("a" * 1_000_000, "b" * 1_000_000)
    remove_partial(tmp_path)
    assert names(tmp_path) == ["file"]


def test_a_created_folder_is_whole_and_leaves_nothing_beside(tmp_path):
    place = tmp_path / "deep" / "folder"
    with creating_folder(place) as beside:
        (beside / "inner").mkdir()
        (beside / "inner" / "file").write_text("content")
        assert not place.exists()
    assert (place / "inner" / "file").read_text() == "content"
    assert names(place.parent) == ["folder"]


def test_a_folder_that_exists_is_not_touched(tmp_path):
    place = tmp_path / "folder"
    place.mkdir()
    (place / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="folder exists already"):
        with creating_folder(place):
            pass
    assert (place / "file").read_text() == "mine" and names(tmp_path) == ["folder"]


def test_what_a_killed_process_with_the_same_id_left_is_not_in_the_folder(tmp_path):
    leftover = tmp_path / f".partial-{os.getpid()}-folder"
    leftover.mkdir()
    (leftover / "old").write_text("half")
    with creating_folder(tmp_path / "folder") as beside:
        (beside / "new").write_text("whole")
    assert names(tmp_path) == ["folder"] and names(tmp_path / "folder") == ["new"]


def test_an_error_while_filling_leaves_no_folder(tmp_path):
    with pytest.raises(RuntimeError):
        with creating_folder(tmp_path / "folder") as beside:
            (beside / "file").write_text("half")
            raise RuntimeError
    assert names(tmp_path) == []


@posix
def test_a_kill_at_any_moment_leaves_only_whole_folders(tmp_path):
    for number, _ in enumerate(kill_at_random_moments(FILL_FOREVER, tmp_path, times=4)):
        remove_partial(tmp_path)
        folders = list(tmp_path.iterdir())
        assert folders
        for folder in folders:
            for name in ("one", "two", "part/three"):
                assert (folder / name).read_text() == name * 100_000
            folder.rename(tmp_path / f"seen-{number}-{folder.name}"[:60])


@posix
def test_a_disk_that_takes_no_more_loses_nothing(tmp_path):
    (tmp_path / "file").write_text("old")
    result = subprocess.run([sys.executable, "-c", HIT_THE_LIMIT, str(tmp_path)],
                            capture_output=True, text=True, check=True, cwd=HOME)
    assert result.stdout.splitlines() == ["OSError File too large"] * 2
    assert names(tmp_path) == ["file"] and (tmp_path / "file").read_text() == "old"


def test_flushing_takes_files_and_folders_and_names_what_is_missing(tmp_path):
    (tmp_path / "file").write_text("content")
    flush_to_disk(tmp_path / "file")
    flush_to_disk(tmp_path)
    with pytest.raises(FileNotFoundError, match="missing"):
        flush_to_disk(tmp_path / "missing")


def test_flushing_leaves_nothing_open(tmp_path):
    (tmp_path / "file").write_text("content")

    def next_handle() -> int:
        handle = os.open(tmp_path / "file", os.O_RDONLY)
        os.close(handle)
        return handle

    before = next_handle()
    flush_to_disk(tmp_path / "file")
    assert next_handle() == before


@pytest.mark.parametrize(("system", "name", "passes"), [
    ("nt", "folder", True), ("nt", "file", False), ("posix", "folder", False),
])
def test_only_a_folder_on_windows_may_be_impossible_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, name: str, passes: bool
) -> None:
    def denied(*args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    # os.name itself decides which paths pathlib makes
    monkeypatch.setattr("npgpt.files.os", SimpleNamespace(open=denied, name=system, O_RDONLY=0))
    with nullcontext() if passes else pytest.raises(PermissionError):
        flush_to_disk(tmp_path / name)


def test_a_text_replaces_what_was_there(tmp_path):
    path = tmp_path / "text.txt"
    for text in ("first\n", "höher\n"):
        write_text(path, text)
        assert path.read_bytes() == text.encode("utf-8")
    assert list(tmp_path.iterdir()) == [path]
