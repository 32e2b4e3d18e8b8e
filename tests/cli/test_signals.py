"""A first signal is noted, a second one stops at once."""

import signal

import pytest

from npgpt.cli.signals import interruption


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_noted_and_the_second_raises(number, capsys):
    before = signal.getsignal(number)
    with interruption() as happened:
        assert not happened()
        signal.raise_signal(number)
        assert happened()
        assert "npgpt: stopping after this step" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before
