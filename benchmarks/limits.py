"""What bounds the figures on the machine they were measured on, in sentences for the page.

From the row `limits` (rates that a few lines of NumPy and PyTorch reach) and the rows that they
bound.
"""

from __future__ import annotations

from typing import Any

UNITS = {"reading": "GB/s", "widening": "G weights/s", "multiplying": "G weights/s",
         "gelu 1": "G elements/s", "gelu all": "G elements/s"}
# GPT-2 124M: what a token reads, in weights (the positions are looked up, not read)
WEIGHTS = 124_439_808 - 1024 * 768
# those of the 12 blocks' linear layers, which every position of a prefill is multiplied with
BLOCK_WEIGHTS, PREFILLED = 12 * 12 * 768**2, 1000


def limit_lines(results: list[dict[str, Any]]) -> str:
    """A Markdown list; empty where the limits were not measured."""
    rows = {result["name"]: result for result in results}
    if "limits" not in rows or "npgpt" not in rows["limits"]["columns"]:
        return ""
    columns = rows["limits"]["columns"]
    ours, theirs = (columns[name]["limits"] if name in columns else None
                    for name in ("npgpt", "eager"))
    lines = [_matmuls(ours, theirs, rows), _threads(ours), _prefill(ours, rows),
             _decode(ours, rows), _int8(ours, rows)]
    return "\n".join(["What bounds these figures on this machine "
                      "(`python -m benchmarks --only limits`):", "",
                      *(f"- {line}" for line in lines if line)])


def _matmuls(
    ours: dict[str, float], theirs: dict[str, float] | None, rows: dict[str, Any]
) -> str:
    text = (f"**Matmuls.** NumPy's BLAS reaches {ours['matmuls 1024']:.0f} GFLOP/s on matmuls "
            f"of 1024 positions, {ours['matmuls 256']:.0f} of 256")
    if theirs is None:
        return text + "."
    text += f"; PyTorch's {theirs['matmuls 1024']:.0f} and {theirs['matmuls 256']:.0f}."
    fractions = []
    for name, row in rows.items():
        columns = row["columns"]
        if name.startswith("train-") and {"npgpt", "matmuls", "eager"} <= set(columns):
            ours, least, whole = (columns[name]["median"] * 1e3
                                  for name in ("npgpt", "matmuls", "eager"))
            fractions.append(f"{row['label']}: {least / whole:.2f}, which leaves "
                             f"{_ms(max(0.0, whole - least))} for everything else; npgpt needs "
                             f"{_ms(ours - least)}")
    if not fractions:
        return text
    return "\n  - ".join([f"{text} NumPy's matmuls alone, with nothing around them, take this "
                          "fraction of PyTorch's whole step:", *fractions])


def _threads(ours: dict[str, float]) -> str:
    gain = ours["gelu all"] / ours["gelu 1"]
    return (f"**Threads.** GELU processes {ours['gelu 1']:.2f} billion elements/s on one Python "
            f"thread and {ours['gelu all']:.2f} on all ({gain:.2f}x), because a thread must "
            "reacquire the GIL after every NumPy call. Small models train in processes instead.")


def _prefill(ours: dict[str, float], rows: dict[str, Any]) -> str:
    columns = rows["prefill"]["columns"] if "prefill" in rows else {}
    if "transformers" not in columns:
        return ""
    least = 2 * BLOCK_WEIGHTS * PREFILLED / ours["matmuls 1024"] / 1e9
    theirs = columns["transformers"]["median"]
    return (f"**Prefill** multiplies {PREFILLED} positions with the weights of 12 blocks: at "
            f"{ours['matmuls 1024']:.0f} GFLOP/s that takes {least * 1e3:.0f} ms, before "
            f"attention and everything else; {least / theirs:.2f} of the {theirs * 1e3:.0f} ms "
            "that transformers needs for all of it.")


def _decode(ours: dict[str, float], rows: dict[str, Any]) -> str:
    least = 4 * WEIGHTS / ours["reading"] / 1e9
    text = (f"**A token** reads every weight once: {4 * WEIGHTS / 1e6:.0f} MB at "
            f"{ours['reading']:.0f} GB/s take {least * 1e3:.1f} ms, whoever computes it")
    columns = rows["decode"]["columns"] if "decode" in rows else {}
    if "transformers" in columns:
        text += f"; transformers takes {columns['transformers']['median'] * 1e3:.1f} ms"
    return text + "."


def _int8(ours: dict[str, float], rows: dict[str, Any]) -> str:
    parts = {
        "read": WEIGHTS / ours["reading"] / 1e9,
        "widened": WEIGHTS / ours["widening"] / 1e9,
        "multiplied in cache": WEIGHTS / ours["multiplying"] / 1e9,
    }
    times = ", ".join(f"{what} in {time * 1e3:.1f} ms" for what, time in parts.items())
    text = (f"**Int8 weights** are {times}: {sum(parts.values()) * 1e3:.1f} ms one after the "
            "other, since BLAS has no matmul of int8 and float32")
    columns = rows["decode-int8"]["columns"] if "decode-int8" in rows else {}
    if "float32" in columns:
        whole, float32 = (columns[name]["median"] * 1e3 for name in ("npgpt", "float32"))
        text += (f". With the dispatch to threads and everything else a token takes "
                 f"{whole:.1f} ms, in float32 {float32:.1f}")
    return text + "."


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.{1 if milliseconds < 100 else 0}f} ms"
