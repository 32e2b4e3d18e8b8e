"""An adapter for EleutherAI's lm-evaluation-harness, and a run of its tasks.

    print(run_tasks(model, tokenizer, ["lambada_openai", "hellaswag"], limit=100))
    lm_eval.simple_evaluate(Harness(model, tokenizer), tasks=["my-task.yaml"])

Texts become contexts, continuations and windows as the harness makes them for transformers' models,
so that the numbers can be compared. Importing this module imports the harness, which comes with the
extra `harness`.
"""

from __future__ import annotations

import json
import sys
from contextlib import redirect_stdout
from functools import partial
from typing import Any, Iterable, Sequence

try:
    from lm_eval import utils
    from lm_eval.api.model import TemplateLM
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.utils import (
        handle_stop_sequences,
        normalize_gen_kwargs,
        postprocess_generated_text,
    )
except ImportError as error:
    raise ImportError("lm-evaluation-harness is not installed; pip install 'npgpt[harness]'",
                      name=error.name) from error

from ..checked import checked
from ..display.bars import progress_bar
from ..documents import Json
from ..generation.language_model import LanguageModel
from ..generation.quantized import dequantize
from ..ids import check_integer
from ..text import BPETokenizer, Tokenizer
from .continuations import score_continuations

# continuations scored between two steps of the bar
TOGETHER = 64


class Harness(TemplateLM):  # type: ignore[misc]
    """A model as the harness asks for one: log-likelihoods, whole texts, and generated ones."""

    def __init__(self, model: LanguageModel, tokenizer: Tokenizer, batch_size: int = 16) -> None:
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        self._params = dequantize(model.params)
        self.batch_size = check_integer("batch_size", batch_size, 1)
        self.max_length, self.max_gen_toks = model.config.n_positions, 256
        # "<|endoftext|>" in a text is one token, as transformers reads it
        self._encode = (partial(tokenizer.encode, special=True)
                        if isinstance(tokenizer, BPETokenizer) else tokenizer.encode)

    @property
    def eot_token_id(self) -> int:
        """The end of a text, which also stands for an empty context."""
        return self.tokenizer.first_id

    @property
    def tokenizer_name(self) -> str:
        """What the harness's cache of requests knows this tokenizer by."""
        return self.tokenizer.fingerprint

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **kwargs: object
    ) -> list[int]:
        """The ids of a text; GPT-2 adds no special tokens."""
        ids: list[int] = self._encode(string).tolist()
        return ids

    def _loglikelihood_tokens(
        self, requests: Sequence[tuple[tuple[str, str] | None, list[int], list[int]]],
        disable_tqdm: bool = False, **kwargs: object,
    ) -> list[tuple[float, bool]]:
        answers: list[tuple[float, bool]] = []
        with _bar(len(requests), "continuation", disable_tqdm) as bar:
            for start in range(0, len(requests), TOGETHER):
                group = requests[start:start + TOGETHER]
                answers += [(found.logprob, found.greedy) for found in score_continuations(
                    self._params, self.model.config, [request[1:] for request in group],
                    ops=self.model.ops, batch_size=self.batch_size)]
                bar.update(len(group))
        for (texts, *_), answer in zip(requests, answers):
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, answer)
        return answers

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """The log-likelihood of each whole text, in windows of the whole context."""
        windows, owners = [], []
        for i, request in enumerate(requests):
            found = utils.get_rolling_token_windows(
                token_list=self.tok_encode(request.args[0]), prefix_token=self.prefix_token_id,
                max_seq_len=self.max_length, context_len=1)
            for window in map(utils.make_disjoint_window, found):
                windows.append((None, *window))
                owners.append(i)
        totals = [0.0] * len(requests)
        for i, (logprob, _) in zip(owners, self._loglikelihood_tokens(windows, disable_tqdm)):
            totals[i] += logprob
        for request, total in zip(requests, totals):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """What the model writes after each context, up to the first of its stop strings."""
        answers = [""] * len(requests)
        groups: dict[str, list[int]] = {}
        for i, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[1], sort_keys=True), []).append(i)
        with _bar(len(requests), "text", disable_tqdm) as bar:
            for group in groups.values():
                # prompts of one length are read side by side
                group.sort(key=lambda i: -len(requests[i].args[0]))
                for start in range(0, len(group), self.batch_size):
                    places = group[start:start + self.batch_size]
                    asked = requests[places[0]].args[1]
                    written = self._write([requests[i].args[0] for i in places], asked)
                    for i, text in zip(places, written):
                        answers[i] = text
                        self.cache_hook.add_partial("generate_until", requests[i].args, text)
                    bar.update(len(places))
        return answers

    def _write(self, contexts: Sequence[str], asked: dict[str, object]) -> Iterable[str]:
        settings = normalize_gen_kwargs(asked, self.max_gen_toks)
        most, sample = settings.pop("max_gen_toks"), settings.pop("do_sample")
        eot = self.tokenizer.eot_id
        stop = handle_stop_sequences(
            settings.pop("until"), None if eot is None else self.tokenizer.decode([eot]))
        if most >= self.max_length:
            raise ValueError(f"the task asks for {most} new tokens, which leave no room for a "
                             f"prompt in a context of {self.max_length}")
        prompts = [self.tok_encode(context)[most - self.max_length:] or [self.prefix_token_id]
                   for context in contexts]
        settings["temperature"] = settings.get("temperature", 1.0) if sample else 0.0
        rows = self.model.complete(
            prompts if len(prompts) > 1 else [prompts[0]], most, seed=0,
            stop=[text for text in stop if text], decode=self.tokenizer.decode,
            stop_ids=() if eot is None else (eot,), **settings)
        return (postprocess_generated_text(self.tokenizer.decode(row.ids), stop, None)
                for row in rows)


@checked
def run_tasks(
    model: LanguageModel, tokenizer: Tokenizer, tasks: Sequence[str],
    limit: int | None = None, batch_size: int = 16,
) -> str:
    """Run tasks of the harness, by name or from .yaml files, and show their metrics as a table.

    `limit` is the number of documents of each task; None takes all. Most named tasks download their
    documents from the Hugging Face hub. Raises ValueError for an unknown task, and what the harness
    raises where its documents are not to be had.
    """
    if limit is not None:
        check_integer("limit", limit, 1)
    try:
        # it prints to stdout too, which is for the results
        with redirect_stdout(sys.stderr):
            results = simple_evaluate(
                Harness(model, tokenizer, batch_size), tasks=list(tasks), limit=limit,
                bootstrap_iters=1000, verbosity="ERROR")
    except KeyError as error:
        raise ValueError(f"unknown task: {error.args[0]}; `lm_eval ls tasks` lists them") from None
    return "\n".join(_lines(results))


def _lines(results: Json) -> Iterable[str]:
    yield f"{'task':24}{'metric':24}{'value':>12}  +- standard error"
    for task, found in results["results"].items():
        for key, value in found.items():
            metric, _, filtered = key.partition(",")
            if not isinstance(value, float) or metric.endswith("_stderr"):
                continue
            error = found.get(f"{metric}_stderr,{filtered}")
            shown = f"  +- {error:.3g}" if isinstance(error, float) else ""
            name = metric if filtered in ("none", "") else f"{metric} ({filtered})"
            yield f"{task:24}{name:24}{value:>12.6g}{shown}"


def _bar(total: int, unit: str, off: bool) -> Any:
    return progress_bar(total=total, unit=unit, disable=True if off else None, leave=False)
