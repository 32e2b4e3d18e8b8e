"""What rounding the weights to int8 costs: the loss, in float32 and in int8.

    python -m benchmarks.int8_loss                   trains a recipe first
    python -m benchmarks.int8_loss --run runs/mine   a run, on its held-out text

Writes benchmarks/results/int8-loss.json; python -m benchmarks.report puts it
into benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from npgpt.evaluation.text import score_text
from npgpt.fast.ops import FAST as ops
from npgpt.generation.quantized import dequantize, quantize
from npgpt.opening import open_model
from npgpt.text import CorpusError, load_corpus
from npgpt.training.checkpoint import newest_checkpoint, read_record

from .children import run_python
from .machine import describe_machine

RESULTS = Path(__file__).parent / "results"


def int8_loss(run: Path) -> dict[str, Any]:
    """Losses in nats per token of a run's newest checkpoint, on all of its held-out text."""
    record = read_record(newest_checkpoint(run))
    data = record["run"]["data"]
    model, tokenizer = open_model(run)
    corpus = load_corpus(data["corpus"], tokenizer, data["val_fraction"])
    losses = {}
    for kind, params in (
        ("float32", model.params),
        ("int8", dequantize(quantize(model.params, model.config))),
    ):
        losses[kind] = score_text(params, model.config, corpus.val, ops=ops).loss
    return {"corpus": corpus.name, "step": record["step"], "tokens": len(corpus.val) - 1,
            "parameters": sum(p.size for p in model.params.values()), "loss": losses,
            "difference": losses["int8"] - losses["float32"]}


def main() -> int:
    """Train if necessary, measure, print and write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.int8_loss", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", type=Path, metavar="RUN", help="a run folder")
    parser.add_argument("--steps", type=int, default=500, metavar="N",
                        help="steps of the recipe where no run is given (default 500)")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            run = args.run or Path(folder) / "run"
            if args.run is None:
                # the schedule stays the whole recipe's
                run_python("-m", "npgpt", "train", "--preset", "shakespeare-char",
                           "--max-steps", str(args.steps), "--decay-steps", "2000",
                           "--sample-every", "0", "--out", str(run))
            figures = {"machine": describe_machine(), **int8_loss(run)}
    except (CorpusError, RuntimeError, OSError) as error:
        print(f"int8-loss: not measured. {error}", file=sys.stderr)
        return 1
    print(f"{figures['corpus']}, step {figures['step']}: float32 {figures['loss']['float32']:.5f}, "
          f"int8 {figures['loss']['int8']:.5f} nats per token, {figures['difference']:+.5f}")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "int8-loss.json"
    path.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
