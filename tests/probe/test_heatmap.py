"""The heat map, in characters and as a picture that was really drawn."""

import math
import re

import numpy as np
import pytest

from npgpt.display.drawing import save
from npgpt.probe.heatmap import ASCII_SHADES, SHADES, heat_picture, heat_text


def rows(text):
    return [line[10:] for line in text.splitlines() if line.startswith("layer")]


def test_every_quarter_has_its_shade_and_nan_is_no_shade():
    nats = np.array([[0.0, 0.2, 1.2, 2.2, 3.2, 4.0, math.nan]])
    (row,) = rows(heat_text(nats, 4.0))
    assert row == "  ░░▒▒▓▓████!!"
    (row,) = rows(heat_text(nats, 4.0, ascii_only=True))
    assert row == "  ..::++####!!" and heat_text(nats, 4.0, ascii_only=True).isascii()
    assert len(SHADES) == len(ASCII_SHADES)


@pytest.mark.parametrize("heads", [1, 12, 25, 32, 33, 70])
@pytest.mark.parametrize("colour", [False, True])
def test_any_number_of_heads_fits_80_columns(heads, colour):
    text = heat_text(np.full((3, heads), 1.0), 2.0, colour=colour)
    bare = re.sub(r"\033\[[\d;]*m", "", text)
    assert max(map(len, bare.splitlines())) <= 80
    assert sum(map(len, rows(bare))) == 3 * 2 * heads
    assert ("\033" in text) == colour


def test_colour_goes_from_dark_to_bright():
    (row,) = rows(heat_text(np.array([[0.0, 2.0]]), 2.0, colour=True))
    assert row.startswith("\033[38;5;54m") and "\033[38;5;220m" in row


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_picture_is_written_with_its_scale_from_0_to_the_bound(tmp_path, suffix):
    pytest.importorskip("matplotlib")
    nats = np.array([[0.5, math.nan, 3.0], [1.0, 2.0, 3.878]])
    figure = heat_picture(nats, 3.878, 128, "a run")
    (image,) = figure.axes[0].images
    assert image.get_clim() == (0.0, 3.878) and image.get_cmap().name == "viridis"
    assert "T = 128" in figure.axes[0].get_title(loc="left")
    assert "NaN" in [text.get_text() for text in figure.axes[0].texts]
    save(figure, tmp_path / f"map{suffix}")
    assert (tmp_path / f"map{suffix}").stat().st_size > 1000
