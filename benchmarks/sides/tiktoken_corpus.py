"""tiktoken's own rate on the same corpus: text in blocks to ids, which are counted and dropped."""

from __future__ import annotations

from typing import Any, Callable

from npgpt.text.bpe import gpt2_encoding

from .npgpt_growth import corpus_text

BLOCK = 1 << 18


def prepare(megabytes: int) -> Callable[[], Any]:
    """A callable that encodes the corpus once."""
    path, encoding = corpus_text(megabytes), gpt2_encoding()

    def once() -> dict[str, int]:
        tokens = 0
        with path.open(encoding="utf-8") as file:
            while text := file.read(BLOCK):
                tokens += len(encoding.encode_ordinary(text))
        return {"per": 1, "tokens": tokens}

    return once
