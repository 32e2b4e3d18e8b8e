"""The campaign's short form: some cases of every kind, the same in every run."""

from __future__ import annotations

from importlib import import_module

import pytest

from . import page
from .__main__ import KINDS
from .materials import scratch_folder
from .outcome import tallied

# cases of each group
SHORT = {
    "files": 12, "syscalls": 2, "kills": 3, "resumes": 1, "damage": 2, "inputs": 2,
}


@pytest.mark.parametrize("kind", SHORT)
def test_every_case_is_handled_correctly(kind: str) -> None:
    with scratch_folder() as scratch:
        outcomes = import_module(f"{__package__}.{kind}").run(SHORT[kind], scratch)
        groups = {name: tally.to_dict() for name, tally in tallied(outcomes).items()}
    assert groups
    result = {"minutes": 0, "groups": groups}
    assert page.unexplained(result) == 0, "\n".join(page.lines(kind, result))


@pytest.mark.smoke
def test_every_kind_has_a_short_form() -> None:
    assert list(SHORT) == list(KINDS)


@pytest.mark.smoke
def test_the_page_is_written_from_the_results() -> None:
    results = page.read()
    assert sorted(results) == sorted(KINDS)
    assert page.section(results) in page.PAGE.read_text(encoding="utf-8")
