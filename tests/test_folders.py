"""A folder that is held, what killed writers left in it, and whether it is still there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from npgpt.files import (
    LOCK_FILE,
    InUse,
    aside,
    locked,
    pinned,
    remove_folder,
    remove_partial,
)

from .test_files import HOME, kill_at_random_moments, names, posix

HOLD = """
import sys, time
from pathlib import Path
from npgpt.files import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], cwd=HOME,
                               stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


@pytest.fixture
def ended() -> int:
    """The id of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_writer_left_is_removed_and_nothing_else(tmp_path, ended):
    # literally: another version of npgpt may have left it
    for process in (ended, os.getpid(), 10**30):
        (tmp_path / f".partial-{process}-file").write_text("half")
    (tmp_path / f".partial-{ended}-folder" / "inner").mkdir(parents=True)
    (tmp_path / "file").write_text("whole")
    remove_partial(tmp_path)
    assert names(tmp_path) == ["file"]


@posix
def test_what_another_live_process_writes_is_not_removed(tmp_path, holder):
    live = [f".partial-{holder.pid}-file", f".partial-{os.getppid()}-folder"]
    (tmp_path / live[0]).write_text("half")
    (tmp_path / live[1]).mkdir()
    remove_partial(tmp_path)
    assert set(live) <= set(names(tmp_path))


def test_whoever_holds_a_folder_clears_what_killed_writers_left_in_it(tmp_path, ended):
    (tmp_path / f".partial-{ended}-result.json").write_text("half")
    with locked(tmp_path):
        assert ".lock" in names(tmp_path) and not list(tmp_path.glob(".partial*"))


def test_what_is_set_aside_has_a_name_that_is_free(tmp_path):
    for expected in ("aside-file", "aside-2-file", "aside-3-file"):
        assert aside(tmp_path / "file") == tmp_path / expected
        (tmp_path / expected).touch()


@posix
@pytest.mark.parametrize("go", [
    lambda folder: folder.rename(folder.with_name("elsewhere")),
    lambda folder: folder.rmdir(),
    lambda folder: (folder.rmdir(), folder.mkdir()),
    lambda folder: (folder.rename(folder.with_name("elsewhere")), folder.mkdir()),
    lambda folder: (folder.rmdir(), folder.touch()),
])
def test_a_folder_that_was_renamed_deleted_or_replaced_is_noticed(tmp_path, go):
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "link").symlink_to("folder")
    with pinned(folder) as in_place, pinned(tmp_path / "link") as behind_a_link:
        (folder / "file").write_text("content")
        (folder / "file").unlink()
        assert in_place() and behind_a_link()
        go(folder)
        assert not in_place() and not behind_a_link()


def test_a_held_folder_is_not_given_to_another_which_hears_who_holds_it(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    for _ in range(2):        # the first failure must not have wiped the owner's id
        with pytest.raises(InUse, match=f"in use by another process, {holder.pid}; wait") as caught:
            with locked(tmp_path):
                pass
        assert caught.value.process == str(holder.pid)
        assert str(caught.value).startswith(f"{tmp_path} is in use")


def test_the_lock_of_a_killed_process_is_gone(
    holder: subprocess.Popen[str], tmp_path: Path
) -> None:
    holder.kill()
    holder.wait()
    with locked(tmp_path), pytest.raises(InUse, match=f"process, {os.getpid()}; wait"):
        with locked(tmp_path):
            pass


def test_a_folder_is_free_after_the_work_in_it_failed_and_no_owner_is_named(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        with locked(tmp_path):
            raise ZeroDivisionError
    with locked(tmp_path):
        pass
    assert {place.name for place in tmp_path.iterdir()} <= {LOCK_FILE}


def test_a_lock_has_the_name_that_every_version_of_npgpt_gives_it(tmp_path: Path) -> None:
    with locked(tmp_path):
        assert names(tmp_path) == [".lock", ".lock-owner"]


def test_an_owner_that_has_not_written_its_id_is_not_named(tmp_path: Path) -> None:
    with locked(tmp_path):
        (tmp_path / ".lock-owner").unlink()
        with pytest.raises(InUse, match=r"another process, \?; wait"):
            with locked(tmp_path):
                pass


@pytest.mark.parametrize("error", [
    NotImplementedError(), OSError(errno.ENOLCK, "no locks"), OSError(errno.EOPNOTSUPP, "nor here"),
])
def test_on_a_disk_without_locks_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def acquire(*args: object, **kwargs: object) -> None:
        raise error

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with locked(tmp_path), locked(tmp_path):
        (tmp_path / "work").touch()
    assert (tmp_path / "work").exists()


def test_a_lock_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).mkdir()
    with pytest.raises(OSError):
        with locked(tmp_path):
            pass


DELETE_FOREVER = """
import sys
from pathlib import Path
from npgpt.files import creating_folder, remove_folder
for number in range(10**6):
    place = Path(sys.argv[1]) / str(number)
    with creating_folder(place) as beside:
        for name in range(200):
            (beside / str(name)).touch()
    print("written", flush=True)
    remove_folder(place)
"""


@posix
def test_a_kill_at_any_moment_leaves_no_folder_half_deleted(tmp_path):
    for _ in kill_at_random_moments(DELETE_FOREVER, tmp_path, times=5):
        remove_partial(tmp_path)
        assert all(len(names(folder)) == 200 for folder in tmp_path.iterdir())


def test_a_folder_is_deleted_and_a_link_to_one_stays(tmp_path):
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("folder")
    remove_folder(tmp_path / "link")
    assert names(tmp_path) == ["folder", "link"]
    for _ in range(2):          # the second time there is nothing to delete
        remove_folder(tmp_path / "folder")
        assert names(tmp_path) == ["link"]


@pytest.mark.parametrize("owner", ["1", None])
def test_the_owner_of_another_folder_under_the_same_name_stays(tmp_path, owner):
    folder = tmp_path / "folder"
    folder.mkdir()
    with locked(folder):
        folder.rename(tmp_path / "elsewhere")
        folder.mkdir()
        if owner:
            (folder / ".lock-owner").write_text(owner)
    assert names(folder) == ([".lock-owner"] if owner else [])
