"""What verbs have in common at the terminal."""

import signal
from types import SimpleNamespace

import pytest

from npgpt.cli.console import interruption, note, wants_color


def test_a_note_goes_to_stderr(capsys):
    note("mind the gap")
    assert capsys.readouterr() == ("", "npgpt: mind the gap\n")


@pytest.mark.parametrize("asked, terminal, no_color, wanted", [
    ("always", False, "1", True), ("never", True, "", False), ("auto", True, "", True),
    ("auto", False, "", False), ("auto", True, "1", False),
])
def test_colour_is_for_terminals_unless_asked_or_forbidden(
        monkeypatch, asked, terminal, no_color, wanted):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
    monkeypatch.setenv("NO_COLOR", no_color)
    assert wants_color(SimpleNamespace(color=asked)) == wanted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_first_signal_is_noted_and_a_second_one_raises(number, capsys):
    before = signal.getsignal(number)
    with interruption() as happened:
        assert not happened()
        signal.raise_signal(number)
        assert happened()
        assert "npgpt: stopping after this step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
