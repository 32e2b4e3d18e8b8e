"""The table of `npgpt book`: every figure of a chapter, printed and computed side by side."""

from __future__ import annotations

from itertools import chain, zip_longest
from textwrap import fill, wrap
from typing import Callable, Iterable, Sequence

import numpy as np

from ..checked import checked
from ..ids import check_integer
from ..suggest import shown
from ..training.log import plain
from ..weights.hub import found
from . import chapter2, chapter3, chapter4, chapter5, training
from .figures import DIFFERENT, ROUNDING, SAME, Figure, figures_of

CHAPTERS = {
    2: ("working with text", chapter2.PARTS),
    3: ("attention", chapter3.PARTS),
    4: ("the model", chapter4.PARTS),
    5: ("before training, and sampling", chapter5.PARTS),
}
TRAINING, PRETRAINED = "5.2", "5.5"
"""The sections that are not replayed with their chapter: one takes long, one needs weights."""
COLUMN = 33     # characters for the printed numbers, and as many for the computed ones

Report = Callable[[str], object]
Computed = str | int | float | list[int | float | str]


@checked
def replay(chapters: Sequence[int] = tuple(CHAPTERS), report: Report = print) -> list[Figure]:
    """Compute every number of these chapters, and report the table line by line.

    Chapters 2 and 3 take a second, 4 and 5 half a minute and 1 GB. Where OpenAI's weights are not
    on this machine, a line says so in place of their section of chapter 5. Raises ValueError for
    other chapters.
    """
    for chapter in chapters:
        if not isinstance(chapter, int) or chapter not in CHAPTERS:
            known = ", ".join(map(str, CHAPTERS))
            raise ValueError(
                f"chapter {shown(chapter)} cannot be replayed; expected some of {known}")
    figures: list[Figure] = []
    for chapter in chapters:
        title, parts = CHAPTERS[chapter]
        figures += tabulate(f"Chapter {chapter}: {title}", figures_of(parts), report)
        folder = found("gpt2") if chapter == 5 else None
        if folder is not None:
            pretrained = chapter5.pretrained_figures(folder)
            figures += tabulate("Section 5.5: OpenAI's weights", pretrained, report)
        elif chapter == 5:
            report("\nSection 5.5, OpenAI's weights: left out, they are not on this machine;\n"
                   "to have it too: npgpt pull gpt2")
    report(summary(figures))
    return figures


@checked
def replay_section(section: str, report: Report = print) -> list[Figure]:
    """Compute every number of one section, such as "3.5", with those of 3.5.1, 3.5.2 and so on.

    Raises ValueError for a section in which no number is printed, for 5.2, which is the training
    run, and for 5.5 where OpenAI's weights are not on this machine.
    """
    number = section.rstrip(".")
    if number == TRAINING:
        raise ValueError("section 5.2 is the training run, ten minutes or more: npgpt book --train")
    if number == PRETRAINED:
        folder = found("gpt2")
        if folder is None:
            raise ValueError("section 5.5 is OpenAI's weights; they are not on this machine: "
                             "npgpt pull gpt2")
        computed = chapter5.pretrained_figures(folder)
    else:
        chapter = number.partition(".")[0]
        parts = CHAPTERS[int(chapter)][1] if chapter in map(str, CHAPTERS) else {}
        computed = figures_of(parts, number)
    first = next(computed, None) if number else None
    if first is None:
        known = " ".join(" ".join(parts) for _, parts in CHAPTERS.values()).split()
        known = sorted({*known, TRAINING, PRETRAINED})
        raise ValueError(f"no number is printed in section {shown(section)}; expected one of "
                         f"{', '.join(known)}, or a part of it such as 3.5.1")
    figures = tabulate(f"Section {number}", chain([first], computed), report)
    report(summary(figures))
    return figures


@checked
def replay_training(epochs: int = training.EPOCHS, report: Report = print) -> list[Figure]:
    """Run chapter 5's training, ten minutes or more and 4 GB; report its log beside the book's.

    Raises ValueError unless 1 <= epochs <= 10, the number of the book.
    """
    check_integer("epochs", epochs, 1, training.EPOCHS)
    figures = tabulate("Chapter 5: training", training.figures(epochs), report)
    report(summary(figures))
    parted = next((figure for figure in figures if figure.verdict == DIFFERENT), None)
    if parted is not None:
        report(fill(f"parts from the book at: {parted.name}. The random numbers are the same; sums "
                    f"are taken in another order, and training multiplies the difference.", 80))
    return figures


def tabulate(title: str, figures: Iterable[Figure], report: Report) -> list[Figure]:
    """Report a heading, and the rows of each figure as soon as they are computed."""
    report(f"\n{title}")
    report(f"  {'printed':<{COLUMN}}  {'computed here':<{COLUMN}}  agrees")
    reported = []
    for figure in figures:
        source = "" if figure.source == "book" else f" (printed by {figure.source})"
        place = f"{figure.section:<7}" if figure.section else ""
        report(f"{place}{figure.name}{source}" + (f"  [{figure.item}]" if figure.item else ""))
        for printed, computed, verdict in figure.rows():
            columns = _column(printed), _column(computed), [verdict]
            for left, right, mark in zip_longest(*columns, fillvalue=""):
                report(f"  {left:<{COLUMN}}  {right:<{COLUMN}}  {mark}".rstrip())
        reported.append(figure)
    return reported


def summary(figures: Sequence[Figure]) -> str:
    """How many figures agree, in one sentence."""
    n_numbers = sum(figure.n_numbers for figure in figures)
    verdicts = [figure.verdict for figure in figures]
    return "\n" + fill(
        f"{len(figures)} figures, {n_numbers:,} numbers: {verdicts.count(SAME)} figures "
        f"agree in every digit, {verdicts.count(ROUNDING)} up to the rounding of float32, "
        f"{verdicts.count(DIFFERENT)} do not", 80)


def as_records(figures: Iterable[Figure]) -> list[dict[str, Computed]]:
    """The figures as plain values for JSON, the computed ones in full."""
    return [
        {"name": figure.name, "section": figure.section, "item": figure.item,
         "printed": " ".join(figure.printed.split()), "source": figure.source,
         "computed": plain(np.ravel(figure.computed).tolist() if np.ndim(figure.computed)
                           else np.asarray(figure.computed).item()), "agrees": figure.verdict}
        for figure in figures
    ]


def _column(words: list[str]) -> list[str]:
    return wrap(" ".join(words), COLUMN, break_long_words=False, break_on_hyphens=False)
