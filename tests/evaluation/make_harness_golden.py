"""Write harness_golden.json: what the harness finds with transformers, for test_harness.py.

    python -m venv golden && golden/bin/pip install torch 'lm-eval[hf]' -e .
    golden/bin/python -m tests.evaluation.make_harness_golden

transformers loads the folder that npgpt writes, and a tokenizer made from npgpt's merge table: no
weights or vocabulary are downloaded.
"""

from __future__ import annotations

import gzip
import json
import sys
import tempfile
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from npgpt.text.bpe import END_OF_TEXT, mergeable_ranks

from .harness_model import CONFIG, harness_model

HERE = Path(__file__).parent
GOLDEN = HERE / "harness_golden.json"
TASKS = sorted((HERE / "tasks").glob("*.yaml"))


def answers(lm: Any) -> dict[str, Any]:
    """Every metric of the small tasks, and the model's answer to every request."""
    from lm_eval.evaluator import simple_evaluate

    found = simple_evaluate(lm, tasks=[str(path) for path in TASKS], bootstrap_iters=0)
    return {
        "metrics": {task: {key: value for key, value in metrics.items()
                           if isinstance(value, float) and "stderr" not in key}
                    for task, metrics in found["results"].items()},
        "answers": {task: [sample["resps"] for sample in
                           sorted(samples, key=lambda sample: int(sample["doc_id"]))]
                    for task, samples in found["samples"].items()},
    }


def write_tokenizer(folder: Path) -> None:
    """GPT-2's vocab.json and merges.txt, from npgpt's merge table."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printing]
    sign = {byte: chr(byte) for byte in printing}
    sign |= {byte: chr(0x100 + n) for n, byte in enumerate(others)}
    ranks = mergeable_ranks()
    pieces = {"".join(sign[byte] for byte in piece): rank for piece, rank in ranks.items()}
    (folder / "vocab.json").write_text(json.dumps(pieces | {END_OF_TEXT: 50256}))
    packed = files("npgpt.text").joinpath("data", "vocab.bpe.gz").read_bytes()
    (folder / "merges.txt").write_bytes(gzip.decompress(packed))


def main() -> None:
    """Load the model with transformers, run the tasks, write the file."""
    import torch
    from lm_eval.models.huggingface import HFLM
    from transformers import GPT2LMHeadModel, GPT2TokenizerFast

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        harness_model().save(folder)
        write_tokenizer(folder)
        model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32)
        tokenizer = GPT2TokenizerFast(str(folder / "vocab.json"), str(folder / "merges.txt"))
        found = answers(HFLM(pretrained=model, tokenizer=tokenizer, batch_size=4,
                             max_length=CONFIG.n_positions))
    made = {name: version(name) for name in ("torch", "transformers", "lm_eval")}
    text = json.dumps({"made_with": made, **found}, indent=1)
    GOLDEN.write_text(text + "\n")
    print(f"{GOLDEN}: {', '.join(found['metrics'])}")


if __name__ == "__main__":
    sys.exit(main())
