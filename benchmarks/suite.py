"""What is measured: rows, and for each its contestants. The first contestant is npgpt.

A contestant is (side, job): a module of benchmarks.sides, and the arguments of its `prepare`; an
argument `python` is the Python that runs it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .sizes import LABELS

Contestant = tuple[str, dict[str, Any]]


class Row(NamedTuple):
    """One line of the table; `rival` is the column that npgpt is measured against."""

    name: str
    label: str
    contestants: dict[str, Contestant]
    rival: str


PEERS = ("torch_gpt", "torch_ops", "torch_limits", "torch_loop", "torch_busy", "torch_growth",
         "hugging_face")


def rows(llama: str | None = None, llmc: str | None = None) -> list[Row]:
    """Every row, cheap ones first; with the programs llama-bench and train_gpt2 where given."""
    return [
        Row("import", "import, in a fresh Python", {
            "npgpt": ("fresh", {"work": "import", "package": "npgpt"}),
            "torch": ("fresh", {"work": "import", "package": "torch"}),
            # the package alone imports its models late
            "transformers": (
                "fresh", {"work": "import", "package": "transformers.models.gpt2.modeling_gpt2"}
            ),
        }, "torch"),
        Row("limits", "what the machine gives: matmuls, reading, widening", {
            "npgpt": ("npgpt_limits", {}),
            "eager": ("torch_limits", {}),
        }, "eager"),
        Row("ops", "single ops, forward and backward", {
            "fast": ("npgpt_ops", {"which": "fast"}),
            "textbook": ("npgpt_ops", {"which": "textbook"}),
            "eager": ("torch_ops", {}),
        }, "eager"),
        *(_training(size, llmc) for size in ("recipe", "six", "gpt2-64", "gpt2-1024")),
        Row("recompute", "124M step, B1 T1024, with activation checkpointing", {
            "npgpt": ("npgpt_gpt", {"work": "train", "size": "gpt2-1024", "recompute": True}),
            "plain": ("npgpt_gpt", {"work": "train", "size": "gpt2-1024"}),
        }, "plain"),
        Row("prefill", "124M, prefill of 1000 tokens, last logits", {
            "npgpt": ("npgpt_gpt", {"work": "prefill", "tokens": 1000}),
            **_transformers("prefill", 1000, "compiled", "bf16"), **_llama("prefill", 1000, llama),
        }, "transformers"),
        Row("decode", "124M, a token with a KV cache", {
            "npgpt": ("npgpt_gpt", {"work": "decode", "tokens": 64}),
            **_transformers("decode", 64, "compiled", "bf16"), **_llama("decode", 64, llama),
        }, "transformers"),
        Row("decode-int8", "124M, a token, int8 weights against float32", {
            "npgpt": ("npgpt_gpt", {"work": "decode", "tokens": 64, "int8": True}),
            "float32": ("npgpt_gpt", {"work": "decode", "tokens": 64}),
            **_llama("decode", 64, llama),
        }, "float32"),
        Row("cold", "124M, from a cold start to the first token", {
            "npgpt": ("fresh", {"work": "first_token", "package": "npgpt"}),
            "transformers": ("fresh", {"work": "first_token", "package": "transformers"}),
        }, "transformers"),
        Row("loop", "nanoGPT's CPU recipe, 2000 iterations as a user runs them", {
            "npgpt": ("fresh", {"work": "loop", "package": "npgpt"}),
            "eager": ("fresh", {"work": "loop", "package": "torch"}),
        }, "eager"),
    ]


def _training(size: str, llmc: str | None) -> Row:
    job = {"work": "train", "size": size}
    # llm.c's program has one size of batch
    others = {"llm.c": ("llm_c", {"program": llmc})} if llmc and size == "gpt2-64" else {}
    return Row(f"train-{size}", LABELS[size], {
        "npgpt": ("npgpt_gpt", job),
        "matmuls": ("npgpt_floor", {"size": size}),
        "eager": ("torch_gpt", {**job, "mode": "eager"}),
        "compiled": ("torch_gpt", {**job, "mode": "compiled"}),
        "bf16": ("torch_gpt", {**job, "mode": "bf16"}),
        **others,
    }, "eager")


def _transformers(work: str, tokens: int, *modes: str) -> dict[str, Contestant]:
    job = {"work": work, "tokens": tokens}
    return {
        "transformers": ("hugging_face", {**job, "mode": "eager"}),
        **{mode: ("hugging_face", {**job, "mode": mode}) for mode in modes},
    }


def _llama(work: str, tokens: int, program: str | None) -> dict[str, Contestant]:
    job = {"work": work, "tokens": tokens, "program": program}
    kinds = {"llama.cpp f32": "f32", "llama.cpp Q8_0": "q8_0"} if program else {}
    return {name: ("llama_cpp", {**job, "kind": kind}) for name, kind in kinds.items()}
