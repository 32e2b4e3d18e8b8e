"""What a kind of mistake in a forward or a program is: a sentence, where it occurs, an example."""

from __future__ import annotations

import numpy as np

from .catalogue import PROGRAMS
from .compare import first_difference, leaves
from .program import Program, Variant, as_given, value_kinds

TRIED = 6   # inputs, until one shows the mistake


def explain_value(kind: str) -> str | None:
    """A text on a kind of `value_kinds()`, several paragraphs; None for another kind."""
    if kind not in value_kinds():
        return None
    places = {program.name: (program, variant) for program in PROGRAMS.values()
              for variant in program.mistakes()[::-1] if variant.kind == kind}
    sentences = dict.fromkeys(program.sentence(variant, {}) for program, variant in places.values())
    paragraphs = ["\n".join(f"{sentence[0].upper()}{sentence[1:]}."
                            for sentence in sentences or [value_kinds()[kind]])]
    if places:
        paragraphs.append(f"Where it happens: {', '.join(places)}.")
    examples = (_example(program, variant) for program, variant in places.values() if program.draw)
    example = next((text for text in examples if text), None)
    if example:
        paragraphs.append(example)
        paragraphs.append(
            "By hand: write one step a line, and compare each line's result with the right one, "
            "from the top; the first that differs holds the mistake.")
    return "\n\n".join(paragraphs)


def kinds_page() -> str:
    """All kinds by program, as a page shows them: a table of each and what it is."""
    lines = ["| program | kind | what it is |", "|---|---|---|"]
    listed: set[str] = set()
    for program in PROGRAMS.values():
        for variant in program.mistakes():
            if variant.kind not in listed:
                sentence = program.sentence(variant, {}).replace("|", "\\|")
                lines.append(f"| {program.name} | {variant.kind} | {sentence} |")
                listed.add(variant.kind)
    for kind, sentence in value_kinds().items():
        lines += [] if kind in listed else [f"| any | {kind} | {sentence} |"]
    return "\n".join(lines)


def _example(program: Program, variant: Variant) -> str | None:
    """The first number that the mistake changes, on the inputs that the doctor draws."""
    assert program.draw is not None
    for n in range(TRIED):
        inputs, settings = program.draw(np.random.default_rng([2024, n]), {}, n)
        if program.observe is not as_given:     # dropout: some element of every row is dropped
            inputs, _ = program.observe(inputs, settings, inputs[0] * (inputs[0] < 4))
        try:
            right = leaves(program.value(inputs, settings))
            wrong = leaves(program.value(inputs, settings, [variant]))
        except (ArithmeticError, LookupError, TypeError, ValueError):   # it cannot be made here
            continue
        difference = first_difference(right, wrong)
        if difference:
            where, expected, got = difference
            shapes = ", ".join(str(x.shape) for x in inputs if isinstance(x, np.ndarray))
            given = f", for inputs of shape {shapes}" if shapes else ""
            at = f"element {where}" if where else "the result"
            return (f"For example in {program.name}{given}: {at} should be {expected}, and with "
                    f"this mistake it is {got}.")
    return None
