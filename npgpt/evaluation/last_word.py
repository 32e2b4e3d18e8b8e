"""The last word of each passage, as LAMBADA asks: is it the model's guess, and how probable is it?

    accuracy        fraction of passages whose last word is greedy, token by token
    perplexity      exp of the mean, over passages, of -log p of the whole last word

Both are lm-evaluation-harness's for lambada_openai, and all words count: the GPT-2 paper's own
accuracy leaves out stop words. Source: Paperno et al. 2016, arXiv 1606.06031.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Callable, Iterable, Iterator, Mapping

from ..checked import checked
from ..config import GPT2Config
from ..documents import Json, read_text
from ..ops import TEXTBOOK, Ops
from ..suggest import shown
from ..tape import Array
from .choices import QuestionError, read_lines
from .continuations import score_continuations

# passages that are scored together, those of about equal length side by side
TOGETHER = 64


@dataclass(frozen=True)
class LastWordScore:
    """How well the last words of some passages were predicted."""

    passages: int
    right: int
    nats: float
    """Total of -log p over the last words."""

    @property
    def accuracy(self) -> float:
        """Fraction of passages whose last word is what greedy decoding writes."""
        return self.right / self.passages

    @property
    def perplexity(self) -> float:
        """exp of the mean of -log p per last word; infinity where that overflows."""
        mean = self.nats / self.passages
        return math.exp(mean) if mean < 709.0 else math.inf


@checked
def read_passages(path: Path | str) -> Iterator[str]:
    """Passages from JSON lines with `text`, as OpenAI's LAMBADA, or one a line of any other file.

    A file of JSON ends in .jsonl or .json. Blank lines are skipped. Raises QuestionError for an
    invalid line, a passage of fewer than two words, and a file without passages.
    """
    path = Path(path)
    if path.suffix in (".jsonl", ".json"):
        yield from read_lines(path, "passage", _passage)
        return
    found = False
    for number, line in enumerate(read_text(path, QuestionError).splitlines(), 1):
        if line.strip():
            found = True
            try:
                yield _passage({"text": line.strip()})
            except ValueError as error:
                raise QuestionError(f"{path}:{number}: {error}") from None
    if not found:
        raise QuestionError(f"{path}: no passages; one a line is needed")


@checked
def score_last_words(
    params: Mapping[str, Array], config: GPT2Config, passages: Iterable[str],
    encode: Callable[[str], Array], *, ops: Ops = TEXTBOOK, batch_size: int = 16,
    on_progress: Callable[[LastWordScore], object] | None = None,
) -> LastWordScore:
    """Predict the last word of each passage from all before it.

    The last word is what follows the last space, and is encoded with that space. Where a passage
    exceeds n_positions, its oldest words are left out. `on_progress` gets the score so far. Raises
    ValueError for no passages and for one without two words.
    """
    score = LastWordScore(0, 0, 0.0)
    waiting = iter(passages)
    while group := list(islice(waiting, TOGETHER)):
        pairs = [_pair(passage, score.passages + i, encode)
                 for i, passage in enumerate(group, 1)]
        found = score_continuations(params, config, pairs, ops=ops, batch_size=batch_size)
        score = LastWordScore(score.passages + len(group),
                              score.right + sum(word.greedy for word in found),
                              score.nats - sum(word.logprob for word in found))
        if on_progress is not None:
            on_progress(score)
    if score.passages == 0:
        raise ValueError("no passages were given; at least one is needed")
    return score


def _pair(passage: str, number: int, encode: Callable[[str], Array]) -> tuple[Array, Array]:
    try:
        context, word = _split(passage)
    except ValueError as error:
        raise ValueError(f"passage {number}: {error}") from None
    return encode(context), encode(" " + word)


def _split(passage: str) -> tuple[str, str]:
    """What stands before the last space, and the last word."""
    if not isinstance(passage, str):
        raise ValueError(f"expected a passage of text, got {shown(passage)}")
    context, _, word = passage.rpartition(" ")
    if not context or not word:
        raise ValueError(f"expected two words or more and no space at the end, got "
                         f"{shown(passage)}")
    return context, word


def _passage(value: Json) -> str:
    """The passage in the object of a line of JSON."""
    if "text" not in value:
        raise ValueError(f"'text' is missing; got {sorted(value)!r:.60}")
    text: str = value["text"]
    _split(text)
    return text
