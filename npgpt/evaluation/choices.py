"""Multiple-choice questions, answered by the log-probability of each ending.

The same log-probabilities give three accuracies, which differ by some percent of the questions and
are often reported without saying which:

    sum             the ending of highest summed log-probability; lm-evaluation-harness's acc
    per token       of highest mean per token; build-nanogpt's acc_norm
    per character   of highest sum over the ending's characters; lm-evaluation-harness's acc_norm

Contexts are scored as the file has them, as build-nanogpt does. lm-evaluation-harness first removes
HellaSwag's marks in brackets and puts the activity's label before the context: `npgpt eval MODEL
--harness hellaswag` does too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping, TypeVar

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..documents import Json, open_regular, parse_json
from ..ids import check_ids
from ..ops import TEXTBOOK, Ops
from ..params import check_params
from ..suggest import shown
from ..tape import Array
from .continuations import score_continuations

# in bytes; HellaSwag's longest has 2 kB
LONGEST_LINE = 2**20

T = TypeVar("T")


class QuestionError(ValueError):
    """A line of a file of questions or passages cannot be used: which file, line, and why."""


@dataclass(frozen=True)
class Question:
    """A context, what may follow, and which of them does."""

    context: str
    endings: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class ChoiceScore:
    """How many questions were answered right, by each way to compare endings."""

    questions: int
    right_by_sum: int
    """The ending's summed log-probability decides."""
    right_by_tokens: int
    """Its mean per token decides, so that long endings do not lose by being long."""
    right_by_characters: int
    """Its sum over the number of characters decides, which needs no tokenizer to be compared."""

    @property
    def accuracy(self) -> float:
        """Fraction of questions right by summed log-probability."""
        return self.right_by_sum / self.questions

    @property
    def accuracy_by_tokens(self) -> float:
        """Fraction of questions right by log-probability per token."""
        return self.right_by_tokens / self.questions

    @property
    def accuracy_by_characters(self) -> float:
        """Fraction of questions right by log-probability per character."""
        return self.right_by_characters / self.questions


@checked
def read_questions(path: Path | str) -> Iterator[Question]:
    """Questions from a file of JSON lines with `ctx`, `endings` and `label`, as HellaSwag's.

    A label is the place of the right ending, a number or its digits. Blank lines are skipped.
    Raises QuestionError for an invalid line, an unlabelled one, and a file without questions.
    """
    yield from read_lines(Path(path), "question", _question)


def read_lines(
    path: Path, what: str, make: Callable[[Json], T]
) -> Iterator[T]:
    """What `make` makes of the JSON object in each line of a file, blank lines skipped.

    Raises QuestionError, with file and line, where a line is not JSON or `make` raises ValueError,
    and for a file without objects.
    """
    found = False
    with open_regular(path, QuestionError) as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
            if not line.strip():
                continue
            found = True
            try:
                if len(line) > LONGEST_LINE:
                    raise ValueError(f"expected a line of at most {LONGEST_LINE:,} bytes")
                yield make(parse_json(line, "the line"))
            except ValueError as error:
                raise QuestionError(f"{path}:{number}: not a {what}: {error}") from None
    if not found:
        raise QuestionError(f"{path}: no {what}s; one JSON object a line is needed")


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
    score = ChoiceScore(0, 0, 0, 0)
    for question in questions:
        try:
            if not isinstance(question, Question):
                raise ValueError(f"expected a Question, got {shown(question)}")
            sums, tokens = _ending_scores(params, config, question, encode, ops)
        except ValueError as error:
            raise ValueError(f"question {score.questions + 1}: {error}") from None
        characters = np.array([len(ending) for ending in question.endings])
        by_sum, by_tokens, by_characters = (
            int((sums / size).argmax() == question.label) for size in (1, tokens, characters))
        score = ChoiceScore(score.questions + 1, score.right_by_sum + by_sum,
                            score.right_by_tokens + by_tokens,
                            score.right_by_characters + by_characters)
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
    scored = score_continuations(params, config, [(context, ending) for ending in endings],
                                 ops=ops, batch_size=len(endings))
    return (np.array([found.logprob for found in scored]),
            np.array([len(ending) for ending in endings]))


def _question(value: Json) -> Question:
    """A Question from the object in a line of JSON."""
    for key in ("ctx", "endings"):
        if key not in value:
            raise ValueError(f"{key!r} is missing; got {sorted(value)!r:.60}")
    context, endings, label = value["ctx"], value["endings"], value.get("label", "")
    if not isinstance(endings, list) or len(endings) < 2:
        raise ValueError(f"'endings' must be a list of two or more texts; got {endings!r:.60}")
    for key, text in (("ctx", context), *(("endings", ending) for ending in endings)):
        if not isinstance(text, str) or not text:
            raise ValueError(f"{key!r} must be text; got {text!r:.60}")
    if label == "":
        raise ValueError("'label' is missing or empty: an unlabelled split, as HellaSwag's test "
                         "split is; expected a labelled one, such as its validation split")
    if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10:
        label = int(label)
    if type(label) is not int or not 0 <= label < len(endings):
        raise ValueError(
            f"'label' must be the place of an ending, 0 to {len(endings) - 1}; got {label!r:.60}"
        )
    return Question(context, tuple(endings), label)
