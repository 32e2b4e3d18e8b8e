"""The text of `npgpt explain KIND`: what a kind of fault is, an example, how to find it by hand."""

from __future__ import annotations

import functools
import re
import textwrap
from importlib.resources import files

from ..suggest import did_you_mean, shown
from .evidence.kinds import KINDS
from .values.explained import explain_value
from .values.program import value_kinds

PAGE = "explanations.md"
WIDTH = 80


@functools.cache
def explanations() -> dict[str, str]:
    """The Markdown of each kind of wrong gradient, without its heading."""
    page = files(__package__).joinpath(PAGE).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## (.+)\n", page, flags=re.MULTILINE)
    return {kind: text.strip() for kind, text in zip(parts[::2], parts[1::2], strict=True)}


def explained(kind: str, width: int = WIDTH) -> str:
    """The text on a kind, for a terminal; ValueError, with the nearest kind, for an unknown one."""
    text = explanations().get(kind) or explain_value(kind)
    if text is None:
        near = did_you_mean(kind, [*KINDS, *value_kinds()])
        raise ValueError(f"unknown kind of fault {shown(kind)}{near}; npgpt explain lists them all")
    blocks = re.split(r"^```(?:python)?\n(.*?)^```\n", text, flags=re.MULTILINE | re.DOTALL)
    lines = [kind, "=" * len(kind), ""]
    for k, block in enumerate(blocks):
        if k % 2:
            lines += [textwrap.indent(block, "    ").rstrip(), ""]
            continue
        for paragraph in filter(None, block.strip().split("\n\n")):
            lines += [textwrap.fill(" ".join(paragraph.split()), width, break_on_hyphens=False), ""]
    return "\n".join(lines).rstrip()


def listed(width: int = WIDTH) -> str:
    """Every kind of wrong gradient with its sentence, and the names of those of wrong values."""
    column = max(map(len, KINDS)) + 2
    lines = [textwrap.fill(f"{kind:{column - 1}} {sentence}", width, break_on_hyphens=False,
                           subsequent_indent=" " * column) for kind, sentence in KINDS.items()]
    values = ", ".join(kind for kind in value_kinds() if kind not in KINDS)
    return "\n".join(["Wrong gradients", "", *lines, "", "Wrong values and programs", "",
                      textwrap.fill(values, width, break_on_hyphens=False), "",
                      "npgpt explain KIND has an example of each and how to find it by hand."])


def table() -> str:
    """Every kind of wrong gradient with its sentence, as Markdown, linked to its text."""
    rows = [f"| [{kind}]({PAGE}#{kind}) | {sentence} |" for kind, sentence in KINDS.items()]
    return "\n".join(["| kind | meaning |", "|---|---|", *rows])


def example(kind: str, wrong: bool) -> str:
    """The example of a kind as a file: with the wrong lines, or with the right ones."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", explanations()[kind], re.MULTILINE | re.DOTALL)
    here, other = ("# wrong", "# right") if wrong else ("# right", "# wrong")
    lines = [line.removesuffix(here).rstrip() for line in code.splitlines()
             if not line.endswith(other)]
    return "\n".join(["import numpy as np", "", *lines, ""])
