from __future__ import annotations

import io
import json

import pytest

from npgpt.book.figures import Figure
from npgpt.book.replay import CHAPTERS
from npgpt.cli import main


def test_two_chapters_agree_and_are_written_as_json(tmp_path, capsys):
    path = tmp_path / "figures.json"
    assert main(["book", "--chapters", "2", "3", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "Chapter 3: attention" in out and "0 do not" in out
    content = json.loads(path.read_text())
    assert len(content["figures"]) > 40
    assert {figure["agrees"] for figure in content["figures"]} <= {"yes", "rounding"}


def test_a_section_is_shown_alone_with_its_listing(tmp_path, capsys):
    path = tmp_path / "figures.json"
    assert main(["book", "--section", "3.5.3", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "3.5.3  causal contexts, two equal texts  [listing 3.3]" in out
    assert max(map(len, out.splitlines())) <= 80
    (figure,) = json.loads(path.read_text())["figures"]
    assert (figure["section"], figure["item"]) == ("3.5.3", "listing 3.3")


def test_a_figure_that_does_not_agree_gives_exit_code_1(monkeypatch, capsys):
    wrong = ("a wrong one", {"2.1": lambda: iter([Figure("sum", "4", 5)])})
    monkeypatch.setitem(CHAPTERS, 2, wrong)
    assert main(["book", "--chapters", "2"]) == 1
    assert "1 do not" in capsys.readouterr().out


def test_a_terminal_without_the_letters_of_the_text_still_gets_the_table(monkeypatch):
    text = "was\u0646\u0645 refres"
    chapter = ("a text", {"2.1": lambda: iter([Figure("text", text, text)])})
    monkeypatch.setitem(CHAPTERS, 2, chapter)
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["book", "--chapters", "2"]) == 0
    terminal.flush()
    assert b"was?? refres" in terminal.buffer.getvalue()


@pytest.mark.parametrize("arguments, message", [
    (["--chapters", "7"], "chapter 7 cannot be replayed"),
    (["--train", "--epochs", "11"], "epochs=11 must be an integer from 1 to 10"),
    (["--epochs", "2"], "--epochs belongs to --train"),
    (["--train", "--chapters", "5"], "leave --chapters out"),
    (["--chapter", "2"], "--chapters"),
    (["--section", "3.9"], "no number is printed in section '3.9'"),
    (["--section", "3.5", "--chapters", "3"], "leave --chapters and --train out"),
    (["--chapters", "2", "--json", "."], ". is a folder; name a file"),
    (["--chapters", "2", "--json", "nowhere/x.json"], "there is no folder nowhere"),
])
def test_mistakes_are_answered_in_one_line(arguments, message, capsys):
    assert main(["book", *arguments]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
