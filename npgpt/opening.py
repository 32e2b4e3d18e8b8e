"""From text to text: a model with its tokenizer, from a run, a name or published weights.

    import npgpt
    writer = npgpt.load("gpt2")
    print(writer.write("Every effort", max_new_tokens=20))
"""

from __future__ import annotations

from pathlib import Path
from typing import Iterator, Mapping, NamedTuple, Sequence, Unpack, overload

import numpy as np

from .checked import checked
from .fast.cross_entropy import cross_entropy_forward
from .fast.softmax import softmax_forward
from .generation.language_model import LanguageModel, StreamSettings
from .generation.quantized import quantize
from .generation.writing import stream_text
from .gpt2 import GPT2
from .ids import check_integer
from .suggest import shown
from .tape import Array
from .text import StreamDecoder, Tokenizer
from .text.encode import encode_prompt
from .training.checkpoint import is_run, labels_of
from .training.held_out import model_file
from .training.initial import read_any
from .variants import merged
from .weights.configs import CONFIG, read_labels
from .weights.reading import base_at, file_at, load_unread, tokenizer_for


class Surprisal(NamedTuple):
    """How far a model was from expecting one token of a text."""

    token: str
    id: int
    nats: float
    """-ln p(token | what stands before it); nan for a first token that nothing stands before."""


class TextModel:
    """A model and its tokenizer, which take text and give text.

        writer = npgpt.load("gpt2")
        writer.write("Every effort", max_new_tokens=20, temperature=0)
        writer.write(["Every effort", "Every day"])         # a batch of prompts, a list of texts
        for piece in writer.stream("Every effort"): ...     # as it comes
        writer.score("Every effort moves you")              # surprisal of every token
        judge.classify("You won a prize")       # of a classifier: {label: probability}

    `model` is a GPT2, `tokenizer` what it was trained with; both may be used by themselves.
    `labels` are a classifier's, in the order of its head, by default their numbers.
    """

    def __init__(self, model: GPT2, tokenizer: Tokenizer, labels: Sequence[str] = ()) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.labels = tuple(labels) or tuple(map(str, range(model.config.n_labels)))

    @overload
    def write(
        self, prompt: str, max_new_tokens: int = 50, *, special: bool = False,
        **settings: Unpack[StreamSettings],
    ) -> str: ...

    @overload
    def write(
        self, prompt: list[str], max_new_tokens: int = 50, *, special: bool = False,
        **settings: Unpack[StreamSettings],
    ) -> list[str]: ...

    @checked
    def write(
        self, prompt: str | list[str], max_new_tokens: int = 50, *, special: bool = False,
        **settings: Unpack[StreamSettings],
    ) -> str | list[str]:
        """A prompt and its continuation; a list of prompts gives a list of texts.

        The settings are those of `GPT2.stream`: temperature, top_k, top_p, min_p, seed, stop, ...;
        samples=S gives a list with S texts of each prompt. A text ends where the model ends it.
        With `special`, <|endoftext|> and other special tokens in a prompt are tokens, not text.
        Raises ValueError for what is not text, or empty, and as `GPT2.stream`.
        """
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        given = self._ids(prompts, special)
        rows = self.model.complete(given, max_new_tokens, **self._with(settings))
        samples = check_integer("samples", settings.get("samples", 1), 1)
        texts = []
        for i, row in enumerate(rows):
            tokens = self.tokenizer.decode(self._shown(row.ids))
            for stop in _stops(settings):
                tokens = tokens.partition(stop)[0]
            texts.append(prompts[i // samples] + tokens)
        return texts[0] if isinstance(prompt, str) and samples == 1 else texts

    @checked
    def stream(
        self, prompt: str, max_new_tokens: int = 50, *, special: bool = False,
        **settings: Unpack[StreamSettings],
    ) -> Iterator[str]:
        """The continuation of one prompt, piece by piece; settings and errors as for `write`."""
        if settings.get("samples", 1) != 1:
            raise ValueError("stream gives one text; for several samples call write")
        given = self._with(settings)
        tokens = self.model.stream(self._ids([prompt], special), max_new_tokens, **given)
        return stream_text(tokens, self.tokenizer, stop_ids=given["stop_ids"],
                           stop=given.get("stop", ()))

    @overload
    def score(self, text: str, *, special: bool = False) -> list[Surprisal]: ...

    @overload
    def score(self, text: list[str], *, special: bool = False) -> list[list[Surprisal]]: ...

    @checked
    def score(
        self, text: str | list[str], *, special: bool = False
    ) -> list[Surprisal] | list[list[Surprisal]]:
        """The surprisal of every token of a text, in nats; the sum of them is that of the text.

        A list of texts gives a list of such lists. The first token is expected after the id that
        ends a text, if the tokenizer has one. A long text is read in windows of n_positions that
        overlap by half. `special` and errors as for `write`.
        """
        self.model.check_writes()
        if isinstance(text, str):
            return self._scored(self._ids([text], special)[0])
        return [self._scored(ids) for ids in self._ids(list(text), special)]

    def _scored(self, ids: Array) -> list[Surprisal]:
        before = [] if self.tokenizer.eot_id is None else [self.tokenizer.eot_id]
        nats = self._surprisals(np.array([*before, *ids]))[len(before):]
        # a token may end within a character: as in a stream, its text then comes with the next
        decoder = StreamDecoder(self.tokenizer)
        return [Surprisal(decoder.add(int(i)), int(i), float(n)) for i, n in zip(ids, nats)]

    @checked
    def classify(self, text: str) -> dict[str, float]:
        """The probability of each label of a text, cut to the context as in training.

        Raises ValueError for a model that is no classifier, and as `write`.
        """
        if not self.model.config.n_labels:
            raise ValueError("this model is no classifier; npgpt train --task classify trains one")
        (ids,) = self._ids([text], special=False)
        scores = self.model.logits(ids[:self.model.config.n_positions])[-1:]
        return dict(zip(self.labels, map(float, softmax_forward(scores)[0][0])))

    def _surprisals(self, ids: Array) -> Array:
        nats = np.full(len(ids), np.nan)
        length = self.model.config.n_positions
        for start in range(0, max(1, len(ids) - 1), max(1, length // 2)):
            window = ids[start:start + length + 1]
            if len(window) < 2:
                break
            logits = self.model.logits(window[:-1])
            fresh = [t for t in range(1, len(window)) if np.isnan(nats[start + t])]
            for t in fresh:
                nats[start + t] = cross_entropy_forward(
                    logits[t - 1][None], window[t:t + 1])[0]
        return nats

    def save(
        self, path: str | Path, merge: bool = False, base: str | Path | None = None
    ) -> None:
        """Write a Hugging Face folder, or an adapter, with the tokenizer; all as `GPT2.save`."""
        self.model._save(Path(path), merge, base, self.tokenizer, self.labels)

    def _ids(self, prompts: Sequence[str], special: bool) -> list[Array]:
        if not prompts:
            raise ValueError("the list of texts is empty; expected at least one")
        wrong = [prompt for prompt in prompts if not isinstance(prompt, str)]
        if wrong:
            raise ValueError(f"expected text, or a list of texts, got {shown(wrong[0])}; "
                             "for token ids call .model.generate(ids, ...)")
        if not all(prompts):
            raise ValueError("the prompt is empty; give at least one character")
        return [encode_prompt(self.tokenizer, prompt, special) for prompt in prompts]

    def _with(self, settings: StreamSettings) -> StreamSettings:
        end = self.tokenizer.eot_id
        return {"decode": self.tokenizer.decode, "stop_ids": () if end is None else (end,),
                **settings}

    def _shown(self, ids: Array) -> Array:
        end = self.tokenizer.eot_id
        return ids[:-1] if len(ids) and end is not None and ids[-1] == end else ids

    def __repr__(self) -> str:
        labels = f", labels {', '.join(self.labels)}" if self.labels else ""
        return f"TextModel({self.model!r}, {self.tokenizer!r}{labels})"


def _stops(settings: StreamSettings) -> list[str]:
    stop = settings.get("stop", ())
    return [stop] if isinstance(stop, str) else list(stop)


@checked
def load(path: str | Path, base: str | Path | None = None) -> TextModel:
    """A model that takes and gives text: from a run, a folder of weights, or a model's name.

    A name such as distilgpt2 or org/name is looked for in transformers' cache, and downloaded if it
    is not there. `base` and errors as `open_model`.
    """
    model, tokenizer = open_model(path, base)
    labels: tuple[str, ...] = ()
    if model.config.n_labels:
        labels = labels_of(Path(path)) if is_run(Path(path)) else read_labels(
            file_at(path).with_name(CONFIG), model.config)
    return TextModel(model, tokenizer, labels)


@checked
def open_int8(
    path: str | Path, base: str | Path | None = None
) -> tuple[LanguageModel, Tokenizer]:
    """As `open_model`, with the matrices rounded to 8 bits, and never all of them in float32.

    Of weights in Hugging Face's form one matrix after the other is read and rounded; any other
    form, a run and an adapter, is loaded whole first. `base` and errors as `open_model`.
    """
    params: Mapping[str, Array]
    if is_run(Path(path)) or base is not None:
        config, params, tokenizer = read_any(Path(path), base)
    else:
        config, params = load_unread(path)
        tokenizer = tokenizer_for(path, config)
    if config.lora_rank and not config.weight_norm:
        # int8 has no place for an update beside its weight
        config, params = merged(params, config)
    return LanguageModel(config, quantize(params, config)), tokenizer


@checked
def open_model(path: str | Path, base: str | Path | None = None) -> tuple[GPT2, Tokenizer]:
    """A model and its tokenizer from a run, a checkpoint, a name, or any form of GPT-2's weights.

    Weights have the tokenizer that lies with them, or else GPT-2's, if their vocabulary is that
    large. `base` is where an adapter's base model is, if not where its adapter_config.json says.
    Raises CheckpointError, saying what is wrong with which file.
    """
    config, params, tokenizer = read_any(Path(path), base)
    model = GPT2(config, params)
    if config.lora_rank:
        model.base = str(base or base_at(model_file(Path(path))))
    return model, tokenizer
