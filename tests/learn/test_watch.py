"""Watching sees what is saved, however an editor saves it, and keys are read from a terminal."""

import json
import os
import pty
import select
import subprocess
import sys

from npgpt.learn.watch import Watch, keys, watch
from npgpt.learn.workspace import start

LONG = 240      # seconds; of a machine that has much else to do


def test_a_saved_replaced_or_deleted_file_is_seen_once(tmp_path, course):
    space, _ = start(tmp_path / "mine", course)
    (exercise,) = space.course
    path = space.path(exercise)
    looked = Watch(space)
    assert looked.changed() == []
    path.write_text("x = 1\n", encoding="utf-8")
    assert looked.changed() == [exercise] and looked.changed() == []
    other = path.with_suffix(".new")
    other.write_text("x = 22\n", encoding="utf-8")
    other.replace(path)
    assert looked.changed() == [exercise]
    path.unlink()
    assert looked.changed() == []
    path.write_text("x = 1\n", encoding="utf-8")
    assert looked.changed() == [exercise]


def test_without_a_terminal_it_only_waits():
    done = subprocess.run(
        [sys.executable, "-c",
         "from npgpt.learn.watch import keys\nwith keys() as k: print(repr(k(0.01)))"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    assert done.stdout == "''\n"


def test_it_goes_on_and_ends_by_keys_alone(tmp_path, course):
    space, _ = start(tmp_path / "mine", course)
    given, seen = iter(["", "n", "", "q"]), []
    watch(space, lambda exercise: None, lambda key: seen.append(key) or key != "q",
          lambda seconds: next(given))
    assert seen == ["n", "q"]


def test_as_json_it_prints_nothing_but_an_answer_for_each_saved_file(tmp_path, course):
    space, _ = start(tmp_path / "mine", course)
    path = space.path(space.course[0])
    with subprocess.Popen(
            [sys.executable, "-m", "npgpt", "learn", "watch", "--json", "--dir", str(space.folder),
             "--every", "0.05"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        for number in range(LONG):      # it may not have begun to look yet
            path.write_text(f"x = {number}\n", encoding="utf-8")
            if select.select([process.stdout], [], [], 1)[0]:
                break
        printed = b""
        while not printed.endswith(b"\n}\n"):
            printed += os.read(process.stdout.fileno(), 10_000)
        process.kill()
    first, _ = json.JSONDecoder().raw_decode(printed.decode())
    assert first["name"] == space.course[0].name and first["status"] == "wrong"


def test_in_a_terminal_single_keys_show_hints_and_quit(tmp_path, course):
    space, _ = start(tmp_path / "mine", course)
    master, slave = pty.openpty()
    with subprocess.Popen(
            [sys.executable, "-m", "npgpt", "learn", "watch", "--dir", str(space.folder),
             "--every", "0.05"], stdin=slave, stdout=slave, stderr=slave) as process:
        os.close(slave)
        screen = read_until(process, master, "a hint")
        assert "next: double, not begun" in screen
        # keys that are typed at once are all read
        os.write(master, b"hh")
        assert "hint 2 of 3" in read_until(process, master, "hint 2 of 3")
        for key, words in (("h", "hint 3 of 3"), ("l", "0 of 1 passed"),
                           ("n", "write in"), ("x", "(y/n)"), ("n", "not reset")):
            os.write(master, key.encode())
            screen = read_until(process, master, words)
            assert words in screen
        space.path(space.course[0]).write_text(space.course[0].solution, encoding="utf-8")
        assert "Worth knowing" in read_until(process, master, "npgpt learn next")
        os.write(master, b"q")
        assert process.wait(LONG) == 0
    os.close(master)


def read_until(process, master, words):
    """What the terminal shows until the words come; a process that does not say them is ended."""
    text, waits = "", 0
    while words not in text:
        if select.select([master], [], [], 1)[0]:
            text += os.read(master, 65536).decode()
            continue
        waits += 1
        if waits > LONG:
            process.kill()
            raise AssertionError(f"{words!r} did not come: {text}")
    return text


def test_keys_need_a_terminal_on_stdin(monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    with keys() as pressed:
        assert pressed(0) == ""
