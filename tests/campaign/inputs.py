"""Library inputs: every argument of every public function with values of every wrong kind.

The functions, the values, and what is right for which argument stand in tests/library_calls.py.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Iterator

import pytest

from ..library_calls import RIGHT, Call, library_calls, wrong_values
from ..test_library_inputs import NOT_RUN, outcome
from .outcome import Outcome

GROUP = "arguments of public functions"


def run(count: int, scratch: Path) -> Iterator[Outcome]:
    """At most `count` wrong values for each argument."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setenv("HF_HOME", str(scratch))
        patch.chdir(_made(scratch / "library"))
        # generating more than the context holds is right, and says so
        warnings.filterwarnings("ignore", "text 0 outgrew", UserWarning)
        for call in library_calls(Path(os.getcwd())):
            yield from _of_call(call, count)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _of_call(call: Call, count: int) -> Iterator[Outcome]:
    for argument in call.right:
        right = RIGHT.get(f"{call.name} {argument}", ())
        for key in list(wrong_values())[:count]:
            if call.name in NOT_RUN and key == "int8":
                continue        # the right thing, for minutes
            wanted = "accepted" if key in right else "rejected"
            got = outcome(call, argument, key)
            yield Outcome(GROUP, f"{call.name}({argument}={key})",
                          "" if got == wanted else f"{wanted} is right, it is {got:.200}")
