"""The writer: the loop that reads what is new, chooses the next token of every row, and goes on.

Rows of a batch may have texts of different lengths and end at different times. Rows with equally
much to read are read together, so nothing is padded; each draws from a random generator of its own,
so a row does not change with its batch mates.

Past the context the window slides: the next token is predicted from the last n_positions tokens
alone. Each of them has then moved to another position, no cached key or value is valid any longer,
and every step reads the whole window again: slower, and equal to a full recomputation. What is not
needed is left out there: in the last block, all but the last token stop at their keys and values
(FastReader), and only the last token has logits.

Speculation drafts tokens by prompt look-up (lookup.py) and verifies them in one pass: at each place
the token is chosen from the model's own logits, with the same random number as without a draft, and
while it equals the drafted one the logits of the next place are valid too. So the tokens are the
same with and without it, greedy or sampled, up to logits that differ in their last digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Collection, Generator, Iterable, NamedTuple, Sequence, Unpack

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..ids import check_ids, check_integer
from ..suggest import did_you_mean
from ..tape import Array
from .lookup import FIRST_DRAFT, next_length, propose
from .reader import CachedReader
from .sampling import Sampling, SamplingSettings, log_probability
from .stops import checked_strings, id_list

# a stream of as many would take years
MOST_TOKENS = 2**31 - 1

OnSlide = Callable[[int], None]
Decode = Callable[[Sequence[int]], str]


class Token(NamedTuple):
    """One token written: by which row, its log-probability in nats, and whether the row ends."""

    row: int
    id: int
    logprob: float
    """Under the model itself, before temperature, penalty and filters."""
    reason: str | None
    """None while the row goes on; "stop" or "length" with its last token."""


class Settings(SamplingSettings, total=False):
    """How tokens are chosen and where a text ends, as `LanguageModel.stream` describes it."""

    stop_ids: int | Collection[int]
    stop: str | Collection[str]
    decode: Decode | None
    speculate: bool


class Request:
    """How much is to be written, how it is chosen, and where it ends before that.

    Stop strings are looked for in `decode(ids)` of what was written, so they may begin and end
    within tokens. Raises ValueError for an invalid setting, such as ids outside the vocabulary or
    strings without a `decode`.
    """

    @checked
    def __init__(
        self, config: GPT2Config, max_new_tokens: int, *,
        stop_ids: int | Collection[int] = (),
        stop: str | Collection[str] = (),
        decode: Decode | None = None,
        speculate: bool = False,
        **sampling: Unpack[SamplingSettings],
    ) -> None:
        self.limit = check_integer("max_new_tokens", max_new_tokens, 0, MOST_TOKENS)
        self.sampling = Sampling(**sampling)
        self.speculate = speculate
        ids = id_list(stop_ids)
        self.stop_ids = set(check_ids(ids, config.vocab_size, "stop_ids").tolist()) if ids else ()
        self.strings = checked_strings(stop)
        self.decode = decode
        if self.strings and decode is None:
            raise ValueError("stop strings are found in text: pass decode=, from token ids to str")

    def ended(self, written: Sequence[int]) -> str | None:
        """"stop" or "length" if the last of the ids written so far ends the row, else None."""
        text = self.decode(written) if self.strings and self.decode is not None else ""
        if written[-1] in self.stop_ids or any(string in text for string in self.strings):
            return "stop"
        return "length" if len(written) == self.limit else None


def check_names(settings: Iterable[str], known: Iterable[str]) -> None:
    """TypeError for a setting that is not among the `known` ones, with the nearest."""
    for name in settings:
        if name not in known:
            hint = did_you_mean(name, [*known, "max_new_tokens"])
            raise TypeError(f"unknown setting {name!r}{hint}; expected one of {', '.join(known)}")


@dataclass
class _Row:
    """One text: its number in the batch, its tokens, and where the present request began."""

    number: int
    text: list[int]
    rng: np.random.Generator
    start: int = 0
    slid: bool = False
    draft_length: int = FIRST_DRAFT


class Writer:
    """Texts that are continued, and the reader that has read most of each.

    Before every read, what the reader holds of a row is a proper beginning of that row's text; of a
    text longer than the context it holds nothing.
    """

    def __init__(
        self,
        texts: Sequence[Sequence[int]],
        rngs: Sequence[np.random.Generator],
        reader: CachedReader,
        config: GPT2Config,
        on_slide: OnSlide | None = None,
    ) -> None:
        self.rows = [_Row(i, list(text), rng) for i, (text, rng) in enumerate(zip(texts, rngs))]
        self.reader = reader
        self.context = config.n_positions
        self.on_slide = on_slide

    def extend(self, number: int, ids: Sequence[int]) -> None:
        """Append tokens to a row's text; they are read with the next step."""
        self._forget_unwritten(self.rows[number])
        self.rows[number].text.extend(ids)

    def write(self, wanted: Request) -> Generator[Token, None, None]:
        """Continue every text, yielding each token as it is chosen."""
        for row in self.rows:
            row.start = len(row.text)
        active = self.rows if wanted.limit else []
        if active:
            self._read_repeated_prompts_once()
        while active:
            going_on = []
            for rows in self._alike(active):
                drafts = self._drafts(rows, wanted)
                logits = self._read(rows, drafts)               # (R, 1 + drafted, V)
                for row, draft, scores in zip(rows, drafts, logits):
                    chosen = self._choose(row, draft, scores, wanted)
                    row.draft_length = next_length(
                        row.draft_length, len(draft), len(chosen) - 1)
                    for token in chosen:
                        row.text.append(token.id)
                        yield token
                    if chosen[-1].reason is None:
                        going_on.append(row)
            active = sorted(going_on, key=lambda row: row.number)

    def _alike(self, active: list[_Row]) -> list[list[_Row]]:
        """The active rows, in groups that have equally many tokens to read."""
        groups: dict[int, list[_Row]] = {}
        for row in active:
            if len(row.text) > self.context:
                self._slide(row)
            else:
                self._forget_unwritten(row)
            groups.setdefault(self._unread(row), []).append(row)
        return list(groups.values())

    def _slide(self, row: _Row) -> None:
        self.reader.cut(row.number, 0)
        if not row.slid and self.on_slide is not None:
            self.on_slide(row.number)
        row.slid = True

    def _known(self, row: _Row) -> int:
        return int(self.reader.lengths[row.number])

    def _unread(self, row: _Row) -> int:
        return min(len(row.text), self.context) - self._known(row)

    def _forget_unwritten(self, row: _Row) -> None:
        """Let the reader forget drafted tokens that were rejected, or not asked for any more.

        The last token of the text stays unread: reading it gives the logits of the next.
        """
        most = max(0, len(row.text) - 1)
        if self._known(row) > most:
            self.reader.cut(row.number, most)

    def _drafts(self, rows: list[_Row], wanted: Request) -> list[list[int]]:
        """A draft for each row, all of one length, perhaps 0.

        Shorter ones are filled up; a filler is verified like any drafted token.
        """
        if not wanted.speculate:
            return [[] for _ in rows]
        # within the context, and so that the token after the draft is still wanted
        room = min(
            min(self.context - len(row.text), row.start + wanted.limit - len(row.text) - 1)
            for row in rows
        )
        drafts = [propose(row.text, min(room, row.draft_length)) for row in rows]
        longest = max(len(draft) for draft in drafts)
        return [draft + [0] * (longest - len(draft)) for draft in drafts]

    def _read(self, rows: list[_Row], drafts: list[list[int]]) -> Array:
        unread = self._unread(rows[0])
        chunks = [row.text[-unread:] + draft for row, draft in zip(rows, drafts)]
        numbers = [row.number for row in rows]
        return self.reader.read(numbers, np.array(chunks, np.int64), 1 + len(drafts[0]))

    def _choose(self, row: _Row, draft: list[int], logits: Array, wanted: Request) -> list[Token]:
        """Tokens from logits (1 + drafted, V): one, and one more for each drafted one accepted."""
        text = list(row.text)
        chosen: list[Token] = []
        for place, scores in enumerate(logits):
            token = wanted.sampling.choose(scores, row.rng, text)
            text.append(token)
            reason = wanted.ended(text[row.start:])
            chosen.append(Token(row.number, token, log_probability(scores, token), reason))
            if reason or place == len(draft) or token != draft[place]:
                break
        return chosen

    def _read_repeated_prompts_once(self) -> None:
        first: dict[tuple[int, ...], _Row] = {}
        for row in self.rows:
            if self._known(row) or not 1 < len(row.text) <= self.context:
                continue
            source = first.setdefault(tuple(row.text), row)
            if source is row:
                continue
            if self._known(source) == 0:
                # all but the last token: that one is read by every row, for its logits
                prompt = np.array([row.text[:-1]], np.int64)
                self.reader.read([source.number], prompt, keep=0)
            self.reader.copy(source.number, row.number)
