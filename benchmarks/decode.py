"""Decoding in chunks: several tokens at once, and what speculation gains.

    python -m benchmarks.decode                 124M random weights; 7 rounds
    python -m benchmarks.decode --rounds 9 --size gpt2-medium

Chunks take turns, and so do writing with and without speculation, in float32
and int8. The text repeats itself, as code and lists do, and the drafts are what
prompt lookup proposes. Prefill and decoding beside transformers are rows of
`python -m benchmarks`. Writes benchmarks/results/chunks.json.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any, Callable

from . import tuned  # noqa: F401  before anything loads NumPy

# isort: split
import numpy as np

from npgpt import GPT2Config
from npgpt.config import SIZES
from npgpt.generation import LanguageModel
from npgpt.generation.fast_reader import FastReader
from npgpt.generation.quantized import quantize
from npgpt.params import init_params

from .machine import describe_machine

RESULTS = Path(__file__).parent / "results"
CHUNKS = (1, 2, 3, 4, 8, 16)
PROMPT, WRITTEN = 64, 64


def chunks(weights: dict[str, Any], config: GPT2Config, rounds: int) -> dict[str, Any]:
    """Seconds to read 1, 2, 3 ... tokens after a prompt, for each kind of weights."""
    rng = np.random.default_rng(0)
    prompt = rng.integers(0, config.vocab_size, (1, PROMPT))
    readers = {kind: FastReader(params, config) for kind, params in weights.items()}
    runs: dict[str, dict[int, list[float]]] = {kind: {} for kind in readers}
    for reader in readers.values():
        reader.read([0], prompt)
    for _ in range(rounds):
        for kind, reader in readers.items():
            for count in CHUNKS:
                ids = rng.integers(0, config.vocab_size, (1, count))
                seconds = _timed(lambda: reader.read([0], ids, count))[0]
                runs[kind].setdefault(count, []).append(seconds)
                reader.cut(0, PROMPT)
    return {kind: {str(n): statistics.median(r) for n, r in counts.items()}
            for kind, counts in runs.items()}


def speculation(weights: dict[str, Any], config: GPT2Config, rounds: int) -> dict[str, Any]:
    """Seconds a token, writing greedily after repetitive text, without and with drafts."""
    prompt = np.tile(np.random.default_rng(1).integers(0, config.vocab_size, 8), PROMPT // 8)
    result: dict[str, Any] = {}
    for kind, params in weights.items():
        model = LanguageModel(config, params)
        runs: dict[bool, list[float]] = {False: [], True: []}
        texts = {}
        for _ in range(rounds):
            for speculate in runs:
                seconds, texts[speculate] = _timed(lambda: model.generate(
                    prompt, WRITTEN, temperature=0.0, speculate=speculate))
                runs[speculate].append(seconds / WRITTEN)
        plain, drafted = (statistics.median(runs[s]) for s in (False, True))
        result[kind] = {"plain": plain, "speculating": drafted, "ratio": drafted / plain,
                        "same_tokens": bool(np.array_equal(texts[False], texts[True]))}
    return result


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    made = work()
    return time.perf_counter() - started, made


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.decode", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--size", choices=sorted(SIZES), default="gpt2", metavar="NAME",
                        help=f"one of {', '.join(sorted(SIZES))} (default gpt2)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error(f"--rounds {args.rounds} is out of range; expected at least 1")
    machine = describe_machine()
    config = GPT2Config.named(args.size)
    params = init_params(config)
    weights = {"float32": params, "int8": quantize(params, config)}
    figures = {"machine": machine, "size": args.size, "rounds": args.rounds,
               "chunks": chunks(weights, config, args.rounds),
               "speculation": speculation(weights, config, args.rounds)}
    for kind in weights:
        print(f"\n{args.size}, {kind}")
        seconds = figures["chunks"][kind]
        for count, median in seconds.items():
            print(f"  {count:>3} tokens at once {median * 1e3:9.1f} ms"
                  f"   {median / seconds['1']:5.2f} of one")
        gain = figures["speculation"][kind]
        print(f"  repetitive text    {gain['plain'] * 1e3:9.1f} ms a token, speculating "
              f"{gain['speculating'] * 1e3:.1f} ms   {gain['ratio']:5.2f}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "chunks.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
