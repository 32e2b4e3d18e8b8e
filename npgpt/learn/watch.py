"""Watch the learner's files: check the one that was saved; polling, so that network disks do too.

In a terminal single keys ask for more; without one, lines are printed as files change. It never
goes on to the next exercise by itself.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from collections.abc import Callable, Iterator

from . import words
from .exercise import Exercise
from .workspace import Workspace

KEYS = "n next   h hint   l list   x reset   q quit"
Stamp = tuple[int, int]


class Watch:
    """Which file has changed since the last look."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.stamps = self._look()

    def changed(self) -> list[Exercise]:
        """The exercises whose files were saved since the last call."""
        before, self.stamps = self.stamps, self._look()
        return [exercise for exercise in self.workspace.course
                if exercise.file in self.stamps
                and self.stamps[exercise.file] != before.get(exercise.file)]

    def _look(self) -> dict[str, Stamp]:
        found = {}
        for exercise in self.workspace.course:
            # an editor may replace the file between two looks
            with contextlib.suppress(OSError):
                stat = self.workspace.path(exercise).stat()
                found[exercise.file] = stat.st_mtime_ns, stat.st_size
        return found


def watch(
    workspace: Workspace, on_change: Callable[[Exercise], object],
    on_key: Callable[[str], bool], pressed: Callable[[float], str], every: float = 1.0,
) -> None:
    """Until Ctrl-C: `on_change` for each file that is saved, `on_key` for each key that `pressed`,
    of `keys`, gives; False ends the watch."""
    looked = Watch(workspace)
    while True:
        for exercise in looked.changed():
            on_change(exercise)
        key = pressed(every)
        if key and not on_key(key):
            return


def converse(
    workspace: Workspace, check: Callable[[Exercise], object], pressed: Callable[[float], str],
    colour: bool, every: float = 1.0,
) -> None:
    """`watch` as it is printed: the file that was changed last, `check` for each that is saved, and
    an answer to each key."""
    latest = workspace.latest()
    current = latest or workspace.next() or workspace.course[0]
    hints = dict.fromkeys((exercise.name for exercise in workspace.course), 0)
    print(f"watching {workspace.folder.resolve()}; save a file to have it checked")
    if sys.stdin.isatty():
        print(KEYS)
    (result,) = workspace.results([current])
    print(f"{'last changed' if latest else 'next'}: {current.name}, {result.status}")
    for line in words.of_exercise(current, workspace.path(current), colour):
        print(line)
    sys.stdout.flush()

    def on_change(exercise: Exercise) -> None:
        nonlocal current
        current = exercise
        print(flush=True)
        check(exercise)

    def on_key(key: str) -> bool:
        nonlocal current
        if key == "n":
            current = workspace.next() or current
            lines = list(words.of_exercise(current, workspace.path(current), colour))
        elif key == "h":
            hints[current.name] = hints[current.name] % len(current.about["hints"]) + 1
            lines = list(words.of_hint(current, hints[current.name]))
        elif key == "l":
            lines = list(words.of_list(workspace.course, workspace.results(), colour))
        elif key == "x":
            print(f"\nreset {current.name}? a copy of your file is kept (y/n)", flush=True)
            answer = pressed(60)
            lines = ["not reset"] if answer != "y" else words.of_reset(
                workspace.folder, {current: workspace.reset(current)})
        else:
            lines = [KEYS]
        if key != "q":
            print("\n" + "\n".join(lines), flush=True)
        return key != "q"

    watch(workspace, on_change, on_key, pressed, every)


@contextlib.contextmanager
def keys() -> Iterator[Callable[[float], str]]:
    """A function that waits so many seconds for a key and gives it, or ""; without a terminal, or
    where the system has no such mode, it only waits."""
    try:
        import termios
        import tty

        file = sys.stdin.fileno()
        before = termios.tcgetattr(file)
    except (ImportError, OSError, ValueError, AttributeError):
        yield _only_wait
        return
    except Exception as error:      # termios.error is no OSError
        if type(error).__module__ != "termios":
            raise
        yield _only_wait
        return

    def pressed(seconds: float) -> str:
        ready, _, _ = select.select([file], [], [], seconds)
        # not sys.stdin.read: that takes all that was typed, and the next select sees nothing
        return os.read(file, 1).decode(errors="replace") if ready else ""

    try:
        tty.setcbreak(file)
        yield pressed
    finally:
        termios.tcsetattr(file, termios.TCSADRAIN, before)


def _only_wait(seconds: float) -> str:
    time.sleep(seconds)
    return ""
