"""Tasks: examples instead of running text, to fine-tune a model on.

    instruct    JSON lines (or a JSON list) with instruction, input and output, put into the words
                of Alpaca's prompt, or with prompt and completion, which are taken as they are. The
                loss counts the answer and the end of the text alone
    classify    JSON lines with text and label, or lines of label, tab, text. The head scores the
                labels from the last token of the text

A split of such a corpus is examples (N, 2, T): ids, and targets of -100 where nothing is counted.
The examples are shuffled, always in the same way, and the last of them are held out. What is longer
than the context is cut: a text at its end; an example without any of its answer left is left out.

Source     Raschka, Build a Large Language Model (From Scratch), chapters 6 and 7; the prompt is
           Stanford Alpaca's
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Callable, Mapping, NamedTuple, Sequence

import numpy as np

from ..checked import checked
from ..config import GPT2Config
from ..documents import parse_json, read_text
from ..evaluation.text import trimmed
from ..layers.cross_entropy import IGNORE
from ..model import head_weight, hidden
from ..ops import TEXTBOOK, Ops
from ..suggest import shown, unknown
from ..tape import Array
from ..text import Corpus, CorpusError, Tokenizer, load_corpus
from .settings import TASKS, DataSettings, RunConfig, split_labels

_BEGINNING = ("Below is an instruction that describes a task. "
              "Write a response that appropriately completes the request.")


class Pair(NamedTuple):
    """An example: what is given, and what is to be said of it."""

    given: str
    wanted: str


def alpaca_prompt(instruction: str, given: str = "") -> str:
    """The prompt that a response follows: instruction, and input if there is one."""
    middle = f"\n\n### Input:\n{given}" if given else ""
    return f"{_BEGINNING}\n\n### Instruction:\n{instruction}{middle}\n\n### Response:\n"


@checked
def read_pairs(path: Path | str, task: str) -> list[Pair]:
    """The examples in a file, in its order. Raises CorpusError, naming the line at fault."""
    path = Path(path)
    if task not in TASKS[1:]:
        raise unknown("task", task, TASKS[1:])
    text = read_text(path, CorpusError)
    if text.lstrip().startswith("["):
        whole = parse_json(f'{{"all": {text}}}'.encode(), path, CorpusError)["all"]
        found = [(f"{path}: example {n}", one) for n, one in enumerate(whole, 1)]
    elif task == "classify" and not text.lstrip().startswith("{"):
        found = [(f"{path}: line {n}", _label_and_text(f"{path}: line {n}", line))
                 for n, line in enumerate(text.splitlines(), 1) if line.strip()]
    else:
        found = [(where, parse_json(line.encode(), where, CorpusError))
                 for n, line in enumerate(text.splitlines(), 1) if line.strip()
                 for where in [f"{path}: line {n}"]]
    pairs = [_pair(where, one, task) for where, one in found]
    if len(pairs) < 2:
        raise CorpusError(f"{path}: expected at least two examples, got {len(pairs)}")
    return pairs


def _label_and_text(where: str, line: str) -> dict[str, str]:
    label, tab, text = line.partition("\t")
    if not tab:
        raise CorpusError(f"{where}: expected label, tab, text, got no tab in {shown(line)}")
    return {"label": label, "text": text}


def _pair(where: str, one: object, task: str) -> Pair:
    values = one if isinstance(one, dict) else {}

    def has(*names: str) -> bool:
        return all(isinstance(values.get(name), str) and values[name] for name in names)

    if isinstance(values.get("label"), (int, float)):       # 1 and true as JSON writes them
        values = values | {"label": json.dumps(values["label"])}
    if task == "classify" and has("text", "label"):
        return Pair(values["text"], values["label"].strip())
    if task == "instruct" and has("instruction", "output"):
        return Pair(alpaca_prompt(values["instruction"], values.get("input") or ""),
                    values["output"])
    if task == "instruct" and has("prompt", "completion"):
        return Pair(values["prompt"], values["completion"])
    fits = ("text and label (or label, tab, text)" if task == "classify" else
            "instruction and output (and input), or prompt and completion")
    raise CorpusError(f"{where}: expected {fits}, got {shown(sorted(values) or repr(one))}")


def found_labels(path: Path | str) -> tuple[str, ...]:
    """The labels in a file of classified texts, sorted. Raises CorpusError as `read_pairs`."""
    found = tuple(sorted({pair.wanted for pair in read_pairs(path, "classify")}))
    for label in found:
        if "," in label or not label:
            raise CorpusError(f"{path}: expected labels without commas, got {shown(label)}")
    return found


def load_examples(
    path: Path | str, task: str, tokenizer: Tokenizer, length: int, val_fraction: float,
    labels: Sequence[str] = (), report: Callable[[str], None] | None = None,
) -> Corpus:
    """A file of examples as a Corpus whose splits are (N, 2, T), T at most `length`.

    `report` is called with how many examples are too long and left out. Raises CorpusError, naming
    the example at fault, and where fewer than two are left.
    """
    pairs = read_pairs(path, task)
    made = [_example(pair, task, tokenizer, labels, f"{path}: example {n}")
            for n, pair in enumerate(pairs, 1)]
    fits = [any(t != IGNORE for t in targets[:length]) or task == "classify"
            for _, targets in made]
    if (left_out := fits.count(False)) > len(made) - 2:
        shortest = min(1 + targets.count(IGNORE) for _, targets in made)
        raise CorpusError(f"{path}: nothing of the answer is within the first {length} tokens in "
                          f"{left_out} of {len(made)} examples: their prompts, template included, "
                          f"have {shortest} or more; expected a longer --sequence-length")
    if left_out and report is not None:
        report(f"{path}: {left_out} of {len(made)} examples are left out: nothing of the answer "
               f"is within the first {length} tokens")
    made = [one for one, fit in zip(made, fits) if fit]
    width = min(length, max(len(ids) for ids, _ in made))
    table = np.zeros((len(made), 2, width), np.int64)
    table[:, 1] = IGNORE
    for row, (ids, targets) in zip(table, made):
        if task == "classify":      # the label belongs to the last token that is left
            targets = [IGNORE] * (min(len(ids), width) - 1) + targets[-1:]
        row[0, :min(len(ids), width)] = ids[:width]
        row[1, :min(len(targets), width)] = targets[:width]
    table = table[np.random.default_rng(0).permutation(len(table))]
    cut = min(len(table) - 1, max(1, int(len(table) * (1.0 - val_fraction))))
    key = json.dumps([task, list(labels), tokenizer.fingerprint, width])
    digest = hashlib.sha256(key.encode() + table.tobytes())
    n_bytes = sum(len(pair.given.encode()) for pair in pairs)
    return Corpus(str(path), tokenizer, table[:cut], table[cut:], n_bytes, digest.hexdigest())


def first_prompt(corpus: Corpus) -> list[int]:
    """The prompt of the first held-out example; [] of a text."""
    if corpus.val.ndim == 1:
        return []
    ids, targets = corpus.val[0]
    return list(map(int, ids[:np.argmax(targets != IGNORE) + 1]))


def _example(
    pair: Pair, task: str, tokenizer: Tokenizer, labels: Sequence[str], where: str
) -> tuple[list[int], list[int]]:
    """ids and targets of one example, not yet cut."""
    try:
        given = tokenizer.encode(pair.given).tolist()
        if task == "classify":
            if pair.wanted not in labels:
                raise ValueError(f"its label {shown(pair.wanted)} is not among "
                                 f"{', '.join(labels)}")
            return given, [IGNORE] * (len(given) - 1) + [labels.index(pair.wanted)]
        answer = tokenizer.encode(pair.wanted).tolist()
    except ValueError as error:
        raise CorpusError(f"{where}: {error}") from None
    answer.append(tokenizer.first_id if tokenizer.eot_id is None else tokenizer.eot_id)
    ids = given + answer
    return ids[:-1], [IGNORE] * (len(given) - 1) + answer


def load_task(
    data: DataSettings, tokenizer: Tokenizer | str, length: int,
    report: Callable[[str], None] | None = None,
) -> Corpus:
    """The corpus of a run: text, or examples. Raises CorpusError as their readers do."""
    if data.task == "text":
        return load_corpus(data.corpus, tokenizer, data.val_fraction, report=report,
                           special=data.special)
    if isinstance(tokenizer, str):
        raise CorpusError(f"task {data.task} is for a model that was trained before; name one with "
                          f"--from")
    return load_examples(data.corpus, data.task, tokenizer, length, data.val_fraction,
                         split_labels(data.labels), report)


def load_again(
    data: DataSettings, tokenizer: Tokenizer | str, length: int, fingerprint: str,
    report: Callable[[str], None] | None = None,
) -> Corpus:
    """The corpus of a run that is resumed. Raises CorpusError unless it has this fingerprint."""
    changed = (f"has {data.corpus} changed since the run began? restore it, say with --corpus "
               f"where it is, or start a new run")
    try:
        corpus = load_task(data, tokenizer, length, report)
    except CorpusError as error:
        raise CorpusError(f"{error}; {changed}") from None
    if corpus.fingerprint != fingerprint:
        raise CorpusError(f"this is not the text that the run was trained on; {changed}")
    return corpus


def check_length(run: RunConfig, corpus: Corpus) -> None:
    """CorpusError unless both splits of a text hold at least one sequence and its last target."""
    if run.data.task != "text":
        return          # examples have the length that they have
    for split in (corpus.train, corpus.val):
        corpus.require(run.sequence_length + 1, split)


def accuracy(
    params: Mapping[str, Array], config: GPT2Config, examples: Array, ops: Ops = TEXTBOOK,
    batch_size: int = 8, should_stop: Callable[[], bool] = lambda: False,
) -> float | None:
    """The fraction of examples (N, 2, T) whose label has the highest score; None if stopped."""
    right = 0
    for start in range(0, len(examples), batch_size):
        if should_stop():
            return None
        ids, targets = trimmed(examples[start:start + batch_size])
        rows, last = np.nonzero(targets != IGNORE)
        x = hidden(params, ids, config, ops=ops)[rows, last]                    # (N, C)
        scores = x @ head_weight(params, config).T
        right += int((scores.argmax(axis=-1) == targets[rows, last]).sum())
    return right / len(examples)
