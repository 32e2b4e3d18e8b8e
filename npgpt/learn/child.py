"""A check in a process of its own, with a time limit: an endless loop or a crash is a finding.

    python -P -m npgpt.learn.child FOLDER FILE ANSWER SECONDS [all]

checks FILE as the exercise in FOLDER and writes the result, as JSON, to ANSWER.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from ..documents import read_json, read_text
from .examine import NOT_BEGUN, WRONG, Result, examine
from .exercise import Exercise, read_exercise
from .grading import Finding
from .marks import untouched

SECONDS = 20    # the checks of right answers take a few
_PACKAGE = str(Path(__file__).parents[2])
_FRAME = re.compile(r'File "(.*)", line (\d+) in (\w+|<\w+>)')


def check_apart(
    exercise: Exercise, file: Path, every: bool = False, seconds: float = SECONDS
) -> Result:
    """The result of a check in a child process, which ends after `seconds`; a file in which nothing
    is begun needs none. A file that is not UTF-8 text is a ValueError."""
    begin = untouched(read_text(file))
    if begin:
        return Result(exercise.name, NOT_BEGUN, begin)
    path = os.pathsep.join([_PACKAGE, *filter(None, [os.environ.get("PYTHONPATH")])])
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command = [sys.executable, "-P", "-m", f"{__package__}.child", str(exercise.folder),
                   str(file), str(answer), str(seconds), *["all"] * every]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL,
                timeout=seconds + 20, env={**os.environ, "PYTHONPATH": path}, cwd=file.parent)
            stderr, code = done.stderr, done.returncode
        except subprocess.TimeoutExpired:
            stderr, code = "Timeout", 1
        if answer.is_file():
            return Result.from_dict(read_json(answer))
    return Result(exercise.name, WRONG, findings=(_ended(stderr, code, file, seconds),))


def _ended(stderr: str, code: int, file: Path, seconds: float) -> Finding:
    """Why a child left no answer: it took too long, or the code ended the process."""
    frames = [(int(line), name) for path, line, name in _FRAME.findall(stderr) if path == str(file)]
    lines = read_text(file).splitlines()
    where = tuple(f"line {line} in {name}: {lines[line - 1].strip()}" for line, name in frames[:1]
                  if line <= len(lines))
    if "Timeout" in stderr:
        return Finding("too-slow", "imports", f"the check did not end within {seconds:g} s: is "
                       "there a loop that never ends? If it only takes longer, --seconds "
                       f"{3 * seconds:g} waits for it.", where)
    return Finding("crashed", "imports", f"the code ended Python itself (status {code})", where)


def main() -> None:
    """Check as the command line says."""
    folder, file, answer, seconds, *every = sys.argv[1:]
    # where the time is up, the line that was running goes to stderr, and the process ends
    faulthandler.dump_traceback_later(float(seconds), exit=True)
    result = examine(read_exercise(Path(folder)), read_text(Path(file)), file, bool(every))
    partial = Path(f"{answer}.part")
    partial.write_text(json.dumps(result.to_dict()), encoding="utf-8")
    os.replace(partial, answer)
    os._exit(0)     # a thread that the learner's code started does not keep us


if __name__ == "__main__":
    main()
