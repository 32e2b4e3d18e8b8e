"""The list of public names is what the docstrings say today."""

import importlib
import re
from operator import attrgetter
from types import ModuleType

import pytest

import npgpt
from benchmarks import api
from benchmarks.readme import with_section


def test_the_page_says_what_the_docstrings_say():
    content = api.README.read_text(encoding="utf-8")
    assert with_section(content, "api", api.page()) == content, \
        "npgpt/README.md is old: run python -m benchmarks.api --write"


def test_all_names_of_the_package_are_listed():
    listed = [name for name, _ in api.entries("npgpt")]
    for name in set(npgpt.__all__) - {"__version__"}:
        assert any(line.startswith((f"`{name}`", f"`{name}(")) for line in listed), name


def test_every_name_is_imported_from_where_the_page_says():
    content = api.README.read_text(encoding="utf-8").split("<!-- api -->")[1]
    for section in content.split("\n## ")[1:]:
        module = importlib.import_module(section.split()[0])
        for name in re.findall(r"^\| `([\w.]+)", section, re.M):
            assert not isinstance(attrgetter(name)(module), ModuleType), (module, name)


def test_functions_have_their_parameters_and_faces_their_methods():
    found = dict(api.entries("npgpt"))
    assert found["`Tape.watch(values)`"].startswith("Put an array")
    assert "`GPT2.loss(ids, targets)`" in found


def test_a_room_without_all_exports_what_it_defines():
    room = ModuleType("room")
    exec("def mine(): 'Mine.'\ndef _hidden(): pass\nfrom math import sqrt", vars(room))
    assert api.exported(room) == ["mine"]


def test_a_name_that_is_gone_and_a_silent_one_are_errors(monkeypatch):
    monkeypatch.setitem(api.MODULES, "npgpt.packs", ("no_such_name",))
    with pytest.raises(ValueError, match="npgpt.packs has no no_such_name"):
        list(api.entries("npgpt.packs"))
    with pytest.raises(ValueError, match="f has no docstring"):
        api._sentence("f", lambda: None)


def test_the_first_sentence_ends_before_a_capital_letter():
    def f():
        """Uses e.g. 1.5 of
        it | all. Then more.

        And more.
        """
    assert api._sentence("f", f) == "Uses e.g. 1.5 of it \\| all."
