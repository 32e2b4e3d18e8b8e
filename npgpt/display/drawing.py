"""Pictures with matplotlib: one palette, one style, the same file for the same numbers."""

from __future__ import annotations

import errno
import io
import warnings
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Iterator, Sequence

from ..files import replacing_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure

# M. Okabe and K. Ito's palette: distinguishable with every kind of colour vision
BLUE, ORANGE, GREEN, PINK = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, YELLOW, GREY = "#56b4e9", "#e69f00", "#999999"
SUFFIXES = (".png", ".svg")


def new_figure(
    rows: int, columns: int, size: tuple[float, float], *, sharex: bool = False,
    sharey: bool = False,
) -> Figure:
    """A matplotlib Figure of `size` inches, with rows x columns axes in `figure.axes`.

    `sharex` and `sharey` give all of them one scale. ImportError names the extra where matplotlib
    is missing.
    """
    try:
        import matplotlib.figure
    except ImportError:
        raise ImportError(
            "a picture needs matplotlib; install it with: python -m pip install 'npgpt[plot]'"
        ) from None
    figure = matplotlib.figure.Figure(figsize=size, layout="constrained")
    figure.subplots(rows, columns, sharex=sharex, sharey=sharey)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    # a notebook shows what has such a method; matplotlib's own way there needs pyplot
    setattr(figure, "_repr_png_", partial(_png, figure))
    return figure


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with _quiet_about_glyphs():
        figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


@contextmanager
def _quiet_about_glyphs() -> Iterator[None]:
    with warnings.catch_warnings():
        # a token may be of a script that the font lacks: it is drawn as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)
        yield


def check_path(path: Path, suffixes: Sequence[str] = SUFFIXES) -> None:
    """ValueError unless path ends as a picture does; FileNotFoundError if its folder is missing."""
    if path.suffix not in suffixes:
        raise ValueError(f"expected a picture's path to end in {' or '.join(suffixes)}; got {path}")
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "no such folder", str(path.parent))


def save(figure: Figure, path: Path) -> None:
    """Write a Figure as PNG or SVG, by the path's ending; errors as for `check_path`."""
    check_path(path)
    import matplotlib

    # no date and no random ids: the same numbers give the same file
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    with (matplotlib.rc_context({"svg.hashsalt": "npgpt"}), _quiet_about_glyphs(),
          replacing_file(path) as beside):
        figure.savefig(beside, format=path.suffix[1:], dpi=150, metadata=metadata)
