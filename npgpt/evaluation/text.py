"""How well a model predicts text: loss, perplexity, bits per byte; and multiple-choice questions.

A text longer than the context is read in windows of `window` tokens that start `stride` apart. Each
token is scored once, in the first window that holds it: after the first window that is the last
`stride` tokens of each, which see at least window - stride tokens before them. A smaller stride
gives more context, costs more, and gives a lower loss; stride = window costs least.

    loss             mean of -log p(token | tokens before it in its window), in nats
    perplexity       exp(loss)
    bits per byte    total of -log2 p over the bytes of the text: comparable across tokenizers
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator, Mapping

import numpy as np

from ..config import GPT2Config
from ..ids import check_ids
from ..layers.cross_entropy import IGNORE
from ..machine.threads import each
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..tape import Array


class QuestionError(ValueError):
    """A line of a multiple-choice file cannot be used; the message names file, line and cause."""


@dataclass(frozen=True)
class TextScore:
    """What `score_text` found."""

    nats: float
    """Total of -log p over the scored tokens."""
    tokens: int
    """How many tokens were scored."""

    @property
    def loss(self) -> float:
        """Mean loss per token in nats."""
        return self.nats / self.tokens

    @property
    def perplexity(self) -> float:
        """exp(loss); infinity where that overflows."""
        return math.exp(self.loss) if self.loss < 709.0 else math.inf

    def bits_per_byte(self, n_bytes: int) -> float:
        """Total bits over the UTF-8 bytes of the scored tokens; ValueError unless n_bytes > 0."""
        if n_bytes < 1:
            raise ValueError(f"n_bytes={n_bytes} must be the number of bytes of the scored text")
        return self.nats / math.log(2.0) / n_bytes


@dataclass(frozen=True)
class Question:
    """A context, what may follow, and which of them does."""

    context: str
    endings: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class ChoiceScore:
    """How many questions were answered rightly, choosing the ending of highest log-probability."""

    questions: int
    right_by_sum: int
    """The ending's summed log-probability decides."""
    right_by_length: int
    """Its mean per token decides, so that long endings do not lose by being long."""

    @property
    def accuracy(self) -> float:
        """Share of questions right by summed log-probability."""
        return self.right_by_sum / self.questions

    @property
    def accuracy_by_length(self) -> float:
        """Share of questions right by length-normalised log-probability."""
        return self.right_by_length / self.questions


def score_text(
    params: Mapping[str, Array],
    config: GPT2Config,
    ids: Any,
    *,
    window: int | None = None,
    stride: int | None = None,
    start_id: int | None = None,
    batch_size: int = 1,
    together: int = 1,
    ops: Ops = TEXTBOOK,
    on_progress: Callable[[int, int], None] | None = None,
) -> TextScore:
    """Score a text of ids (N,), memory-mapped or not.

        window          tokens read at once; n_positions by default
        stride          how far a window moves; `window` by default
        start_id        a token to put before the text, such as GPT-2's 50256; without it the first
                        token is context only, and N - 1 tokens are scored
        batch_size      windows read side by side
        together        batches at a time, each on a thread of its own; best for small models
        on_progress     called with tokens scored so far, and in all

    Raises ValueError for fewer than two tokens, and for settings that do not fit.
    """
    width = config.n_positions if window is None else window
    step = width if stride is None else stride
    for name, value, most in (("window", width, config.n_positions), ("stride", step, width)):
        _check_between(name, value, 1, most)
    _check_between("batch_size", batch_size, 1, None)
    _check_between("together", together, 1, None)
    ids = np.asanyarray(ids)
    if ids.ndim != 1:
        raise ValueError(f"a text is one row of token ids, (N,); got shape {ids.shape}")
    start = np.zeros(0, np.int64)
    if start_id is not None:
        start = check_ids([start_id], config.vocab_size, "start_id")
    count = len(start) + len(ids) - 1
    if count < 1:
        raise ValueError(f"a text of {len(ids)} tokens has none to predict; at least 2 are needed")

    def part(begin: int, end: int) -> Array:
        # of start + ids, without joining them: ids may be a memory map larger than memory
        shift = len(start)
        piece = ids[max(0, begin - shift):max(0, end - shift)]
        return np.concatenate([start[begin:end], check_ids(piece, config.vocab_size)])

    nats, done = 0.0, 0
    waiting = _batches(_windows(count, width, step), batch_size)
    while group := list(islice(waiting, together)):
        found = [0.0] * len(group)

        def work(i: int) -> None:
            rows = np.stack([part(begin, end + 1) for begin, end, _ in group[i]])   # (B, W + 1)
            found[i] = _nats(params, config, rows, group[i][0][2], ops)

        each(work, len(group))
        for batch, batch_nats in zip(group, found):
            nats += batch_nats
            done += batch[0][2] * len(batch)
        if on_progress is not None:
            on_progress(done, count)
    return TextScore(nats, count)


def _windows(count: int, width: int, step: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, new): predictions begin..end are read together, the last `new` are scored."""
    scored = 0
    begin = 0
    while scored < count:
        end = min(begin + width, count)
        yield begin, end, end - scored
        scored = end
        begin += step


def _batches(
    windows: Iterable[tuple[int, int, int]], size: int
) -> Iterator[list[tuple[int, int, int]]]:
    """Neighbouring windows of one shape, up to `size` together."""
    batch: list[tuple[int, int, int]] = []
    for window in windows:
        begin, end, new = window
        if batch and (
            len(batch) == size or (end - begin, new) != (batch[0][1] - batch[0][0], batch[0][2])
        ):
            yield batch
            batch = []
        batch.append(window)
    yield batch


def _nats(
    params: Mapping[str, Array], config: GPT2Config, rows: Array, new: int, ops: Ops
) -> float:
    """Total -log p of the last `new` tokens of each row (B, W + 1)."""
    x = hidden(params, rows[:, :-1], config, ops=ops)           # (B, W, C)
    scored = np.ascontiguousarray(x[:, -new:])
    targets = np.ascontiguousarray(rows[:, -new:])
    loss = ops.linear_cross_entropy(scored, head_weight(params, config), targets)
    return float(loss) * targets.size


def read_questions(path: Path | str) -> Iterator[Question]:
    """Questions from a file of JSON lines with `ctx`, `endings` and `label`, as HellaSwag's.

    A label is the place of the right ending, a number or its digits. Blank lines are skipped.
    Raises QuestionError for a line that does not fit, and for a file without questions.
    """
    path = Path(path)
    found = False
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            found = True
            try:
                yield _question(json.loads(line.decode("utf-8")))
            except UnicodeDecodeError as error:
                raise QuestionError(f"{path}:{number}: not UTF-8 at byte {error.start}") from None
            except json.JSONDecodeError as error:
                raise QuestionError(
                    f"{path}:{number}: not JSON: {error.msg} at column {error.colno}"
                ) from None
            except RecursionError:
                raise QuestionError(f"{path}:{number}: nested too deeply") from None
            except ValueError as error:
                raise QuestionError(f"{path}:{number}: {error}") from None
    if not found:
        raise QuestionError(f"{path}: no questions; one JSON object a line is needed")


def score_questions(
    params: Mapping[str, Array],
    config: GPT2Config,
    questions: Iterable[Question],
    encode: Callable[[str], Array],
    *,
    ops: Ops = TEXTBOOK,
    on_progress: Callable[[ChoiceScore], None] | None = None,
) -> ChoiceScore:
    """Answer multiple-choice questions; of equal endings the first is chosen.

    The context and " " + ending are encoded apart, as HellaSwag is usually scored with GPT-2. Where
    both together exceed n_positions, the oldest context is left out. `on_progress` gets the score
    so far. Raises ValueError for no questions, and where context or ending gives no token or an
    ending alone exceeds n_positions.
    """
    score = ChoiceScore(0, 0, 0)
    for question in questions:
        try:
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


def _question(value: Any) -> Question:
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is needed; got {_shown(value)}")
    for key in ("ctx", "endings", "label"):
        if key not in value:
            raise ValueError(f"{key!r} is missing; there are {_shown(sorted(value))}")
    context, endings, label = value["ctx"], value["endings"], value["label"]
    if not isinstance(context, str) or not context:
        raise ValueError(f"'ctx' must be text; got {_shown(context)}")
    if not isinstance(endings, list) or len(endings) < 2:
        raise ValueError(f"'endings' must be a list of two or more texts; got {_shown(endings)}")
    for ending in endings:
        if not isinstance(ending, str) or not ending:
            raise ValueError(f"'endings' must be texts; got {_shown(ending)}")
    if isinstance(label, str) and label.isascii() and label.isdigit() and len(label) < 10:
        label = int(label)
    if type(label) is not int or not 0 <= label < len(endings):
        raise ValueError(
            f"'label' must be the place of an ending, 0 to {len(endings) - 1}; got {_shown(label)}"
        )
    return Question(context, tuple(endings), label)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "..."


def _check_between(name: str, value: Any, least: int, most: int | None) -> None:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not whole or value < least or (most is not None and value > most):
        fits = f"at least {least}" if most is None else f"{least} to {most}"
        raise ValueError(f"{name}={value!r} does not fit; whole numbers {fits} do")
