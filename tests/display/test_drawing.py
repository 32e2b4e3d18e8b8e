"""Pictures: files of both kinds, the same for the same numbers, and the word about the extra."""

import sys
from importlib import import_module

import pytest

from npgpt.demos import DEMOS
from npgpt.demos.gelu import gelu_demo, gelu_picture
from npgpt.display import drawing


@pytest.mark.parametrize("name", [name for name in DEMOS if name != "generate"])
def test_every_demonstration_draws_labelled_axes(name, tmp_path):
    pytest.importorskip("matplotlib")
    room = import_module(f"npgpt.demos.{name}")
    figure = getattr(room, f"{name}_picture")(getattr(room, f"{name}_demo")())
    path = tmp_path / "picture.png"
    drawing.save(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")
    for axes in figure.axes:
        assert axes.get_title() and (axes.has_data() or not axes.axison)
        # names on the ticks say as much; a graph without axes has its names in it
        assert axes.get_xlabel() or axes.get_xticklabels()[0].get_text().isalnum() or (
            not axes.axison)
    assert figure.axes[0].get_ylabel() or name in ("shapes", "bpe", "backward")


def test_the_same_numbers_give_the_same_file(tmp_path):
    pytest.importorskip("matplotlib")
    files = [tmp_path / "one.svg", tmp_path / "two.svg"]
    for path in files:
        drawing.save(gelu_picture(gelu_demo(points=101)), path)
    assert files[0].read_bytes() == files[1].read_bytes()
    assert b"<svg" in files[0].read_bytes()
    assert sorted(tmp_path.iterdir()) == files


def test_a_notebook_shows_a_figure_by_itself():
    pytest.importorskip("matplotlib")
    figure = drawing.new_figure(1, 1, (2, 2))
    figure.axes[0].set_title("猫")
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_other_endings_and_missing_folders_are_rejected(tmp_path):
    with pytest.raises(ValueError, match=".png or .svg; got .*x.pdf"):
        drawing.check_path(tmp_path / "x.pdf")
    with pytest.raises(FileNotFoundError) as error:
        drawing.check_path(tmp_path / "nowhere" / "x.png")
    assert error.value.filename == str(tmp_path / "nowhere")


def test_a_missing_matplotlib_is_reported_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"npgpt\[plot\]"):
        drawing.new_figure(1, 1, (2, 2))
