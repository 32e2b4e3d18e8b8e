"""No public function answers a wrong argument with silence, or with an error from somewhere inside.

Each argument of each is replaced by values of the wrong kind. What comes is the value's being right
after all, as tests/library_calls.py lists it, or a ValueError of one line that names the argument.
"""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import pytest

from .library_calls import RIGHT, WORDS, Call, library_calls, wrong_values


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Call]:
    return {call.name: call for call in library_calls(tmp_path_factory.mktemp("library"))}


NAMES = re.findall(r'Call\("(.+?)"', inspect.getsource(library_calls))
# whose right arguments would take minutes
NOT_RUN = {"replay_training", "run_study"}


def outcome(call: Call, argument: str, key: str) -> str:
    """ "accepted", "rejected", or what is wrong with the answer."""
    try:
        call.function(**{**call.right, argument: wrong_values()[key]})
    except ValueError as error:
        message = str(error)
        names = (argument, *WORDS.get(argument, ()))
        if not message.isprintable() or len(message) > 1200:
            return f"not one line that can be read: {message!r:.300}"
        if not any(name in message for name in names):
            return f"does not name it: {message!r:.300}"
        return "rejected"
    except OSError as error:
        return "rejected" if error.filename else f"{error!r:.200}"
    except Exception as error:
        return f"{error!r:.200}"
    return "accepted"


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_argument_is_rejected_in_one_line_that_names_it(
    name: str, calls: dict[str, Call], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = calls[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    found = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "text 0 outgrew", UserWarning)
        if name not in NOT_RUN:
            call.function(**call.right)
        for argument in call.right:
            right = RIGHT.get(f"{name} {argument}", ())
            for key in wrong_values():
                if name in NOT_RUN and key == "int8":
                    continue
                wanted = "accepted" if key in right else "rejected"
                if (got := outcome(call, argument, key)) != wanted:
                    found.append(f"{argument}={key}: {got}")
    assert not found, "\n".join(found)
