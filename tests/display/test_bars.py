"""Bars: tqdm's own in a notebook and a terminal, none in a pipe."""

import sys
from types import ModuleType, SimpleNamespace

from tqdm import tqdm

from npgpt.display.bars import progress_bar


def test_a_pipe_has_no_bar_and_a_terminal_has_one(monkeypatch):
    assert progress_bar(total=3).disable
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with progress_bar(total=3, unit="step") as bar:
        assert type(bar) is tqdm and not bar.disable


def test_a_notebook_has_the_bar_that_tqdm_has_for_it(monkeypatch):
    made = []
    auto = ModuleType("tqdm.auto")
    auto.tqdm = lambda **settings: made.append(settings) or SimpleNamespace(**settings)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    monkeypatch.setattr("tqdm.auto", auto, raising=False)
    assert progress_bar(total=3).total == 3 and len(made) == 1
