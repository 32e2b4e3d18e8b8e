"""Multiple-choice questions, answered by the log-probability of each ending."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..documents import open_regular, parse_json
from ..ids import check_ids
from ..layers.cross_entropy import IGNORE
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..params import check_params
from ..suggest import shown
from ..tape import Array

# in bytes; HellaSwag's longest has 2 kB
LONGEST_LINE = 2**20


class QuestionError(ValueError):
    """A line of a multiple-choice file cannot be used; the message names file, line and cause."""


@dataclass(frozen=True)
class Question:
    """A context, what may follow, and which of them does."""

    context: str
    endings: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class ChoiceScore:
    """How many questions were answered right, choosing the ending of highest log-probability."""

    questions: int
    right_by_sum: int
    """The ending's summed log-probability decides."""
    right_by_length: int
    """Its mean per token decides, so that long endings do not lose by being long."""

    @property
    def accuracy(self) -> float:
        """Fraction of questions right by summed log-probability."""
        return self.right_by_sum / self.questions

    @property
    def accuracy_by_length(self) -> float:
        """Fraction of questions right by length-normalised log-probability."""
        return self.right_by_length / self.questions


@checked
def read_questions(path: Path | str) -> Iterator[Question]:
    """Questions from a file of JSON lines with `ctx`, `endings` and `label`, as HellaSwag's.

    A label is the place of the right ending, a number or its digits. Blank lines are skipped.
    Raises QuestionError for an invalid line, and for a file without questions.
    """
    path = Path(path)
    found = False
    with open_regular(path, QuestionError) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
            if not line.strip():
                continue
            found = True
            try:
                if len(line) > LONGEST_LINE:
                    raise ValueError(f"expected a line of at most {LONGEST_LINE:,} bytes")
                yield _question(parse_json(line, "the line"))
            except ValueError as error:
                raise QuestionError(f"{path}:{number}: not a question in JSON: {error}") from None
    if not found:
        raise QuestionError(f"{path}: no questions; one JSON object a line is needed")


@checked
def score_questions(
    params: Mapping[str, Array], config: GPT2Config, questions: Iterable[Question],
    encode: Callable[[str], Array], *, ops: Ops = TEXTBOOK,
    on_progress: Callable[[ChoiceScore], object] | None = None,
) -> ChoiceScore:
    """Answer multiple-choice questions; of equal endings the first is chosen.

    The context and " " + ending are encoded apart, as HellaSwag is usually scored with GPT-2. Where
    both together exceed n_positions, the oldest context is left out. `on_progress` gets the score
    so far. Raises ValueError for no questions, and where context or ending gives no token or an
    ending alone exceeds n_positions.
    """
    check_params(config, params)
    score = ChoiceScore(0, 0, 0)
    for question in questions:
        try:
            if not isinstance(question, Question):
                raise ValueError(f"expected a Question, got {shown(question)}")
            sums, lengths = _ending_scores(params, config, question, encode, ops)
        except ValueError as error:
            raise ValueError(f"question {score.questions + 1}: {error}") from None
        score = ChoiceScore(
            score.questions + 1,
            score.right_by_sum + int(sums.argmax() == question.label),
            score.right_by_length + int((sums / lengths).argmax() == question.label),
        )
        if on_progress is not None:
            on_progress(score)
    if score.questions == 0:
        raise ValueError("no questions were given; at least one is needed")
    return score


def _ending_scores(
    params: Mapping[str, Array],
    config: GPT2Config,
    question: Question,
    encode: Callable[[str], Array],
    ops: Ops,
) -> tuple[Array, Array]:
    """Summed log-probability (E,) of each ending after the context, and lengths in tokens (E,)."""
    context = check_ids(encode(question.context), config.vocab_size, "context")
    endings = [
        check_ids(encode(" " + ending), config.vocab_size, "ending") for ending in question.endings
    ]
    longest = max(len(ending) for ending in endings)
    if longest > config.n_positions:
        raise ValueError(
            f"an ending of {longest} tokens exceeds the context of {config.n_positions}"
        )
    # one context for all, so that every ending is judged after the same words
    context = context[-(config.n_positions + 1 - longest):]
    rows = np.zeros((len(endings), len(context) + longest), np.int64)
    targets = np.full(rows.shape, IGNORE, np.int64)
    for row, target, ending in zip(rows, targets, endings):
        whole = np.concatenate([context, ending])
        # what stands behind a shorter ending is in its future and changes nothing
        row[:len(whole)] = whole
        target[len(context):len(whole)] = ending
    x = hidden(params, rows[:, :-1], config, ops=ops)           # (E, T, C)
    head = head_weight(params, config)
    sums = np.array([
        -float(ops.linear_cross_entropy(x[i:i + 1], head, targets[i:i + 1, 1:])) * len(ending)
        for i, ending in enumerate(endings)
    ])
    return sums, np.array([len(ending) for ending in endings])


def _question(value: Mapping[str, Any]) -> Question:
    """A Question from the object in a line of JSON."""
    for key in ("ctx", "endings", "label"):
        if key not in value:
            raise ValueError(f"{key!r} is missing; got {sorted(value)!r:.60}")
    context, endings, label = value["ctx"], value["endings"], value["label"]
    if not isinstance(endings, list) or len(endings) < 2:
        raise ValueError(f"'endings' must be a list of two or more texts; got {endings!r:.60}")
    for key, text in (("ctx", context), *(("endings", ending) for ending in endings)):
        if not isinstance(text, str) or not text:
            raise ValueError(f"{key!r} must be text; got {text!r:.60}")
    if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10:
        label = int(label)
    if type(label) is not int or not 0 <= label < len(endings):
        raise ValueError(
            f"'label' must be the place of an ending, 0 to {len(endings) - 1}; got {label!r:.60}"
        )
    return Question(context, tuple(endings), label)
