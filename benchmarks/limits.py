"""What bounds the figures on the machine they were measured on, in sentences for the README.

From the row `limits` (rates that a few lines of NumPy and PyTorch reach) and the rows that they
bound. The goals of the table were set on another machine; a goal below its bound cannot be met.
"""

from __future__ import annotations

from typing import Any

UNITS = {"reading": "GB/s", "widening": "G weights/s", "multiplying": "G weights/s",
         "gelu 1": "G numbers/s", "gelu all": "G numbers/s"}
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
    lines = [_products(ours, theirs, rows), _threads(ours), _prefill(ours, rows),
             _decode(ours, rows), _int8(ours, rows)]
    return "\n".join(["What bounds these figures on this machine "
                      "(`python -m benchmarks --only limits`):", "",
                      *(f"- {line}" for line in lines if line)])


def _products(
    ours: dict[str, float], theirs: dict[str, float] | None, rows: dict[str, Any]
) -> str:
    text = (f"**Products.** NumPy's BLAS reaches {ours['products 1024']:.0f} GFLOP/s on products "
            f"of 1024 positions, {ours['products 256']:.0f} of 256")
    if theirs is None:
        return text + "."
    text += f"; PyTorch's {theirs['products 1024']:.0f} and {theirs['products 256']:.0f}."
    shares = []
    for name, row in rows.items():
        columns = row["columns"]
        if name.startswith("train-") and {"npgpt", "products", "eager"} <= set(columns):
            ours, least, whole = (columns[name]["median"] * 1e3
                                  for name in ("npgpt", "products", "eager"))
            room = row["bar"] * whole - least
            left = f"leaves {_ms(room)}" if room > 0 else "leaves nothing"
            shares.append(f"{row['label']}: {least / whole:.2f}, goal {row['bar']:.2f}, which "
                          f"{left} for all else; that takes {_ms(ours - least)}")
    if not shares:
        return text
    return "\n  - ".join([f"{text} NumPy's products alone, with nothing around them, take this "
                          "share of PyTorch's whole step:", *shares])


def _threads(ours: dict[str, float]) -> str:
    gain = ours["gelu all"] / ours["gelu 1"]
    return (f"**Threads.** GELU bends {ours['gelu 1']:.2f} G numbers/s on one Python thread and "
            f"{ours['gelu all']:.2f} on all, {gain:.2f} times as many: after every NumPy call a "
            "thread waits for its turn in Python. Small models train in processes instead.")


def _prefill(ours: dict[str, float], rows: dict[str, Any]) -> str:
    columns = rows["prefill"]["columns"] if "prefill" in rows else {}
    if "transformers" not in columns:
        return ""
    least = 2 * BLOCK_WEIGHTS * PREFILLED / ours["products 1024"] / 1e9
    theirs = columns["transformers"]["median"]
    return (f"**Prefill** multiplies {PREFILLED} positions with the weights of 12 blocks: at "
            f"{ours['products 1024']:.0f} GFLOP/s that is {least * 1e3:.0f} ms, before attention "
            f"and all else; {least / theirs:.2f} of transformers' {theirs * 1e3:.0f} ms, where the "
            f"goal is {rows['prefill']['bar']:.2f}.")


def _decode(ours: dict[str, float], rows: dict[str, Any]) -> str:
    least = 4 * WEIGHTS / ours["reading"] / 1e9
    text = (f"**A token** reads every weight once: {4 * WEIGHTS / 1e6:.0f} MB at "
            f"{ours['reading']:.0f} GB/s are {least * 1e3:.1f} ms, whoever computes it")
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
    told = ", ".join(f"{what} in {time * 1e3:.1f} ms" for what, time in parts.items())
    text = (f"**Int8 weights** are {told}: {sum(parts.values()) * 1e3:.1f} ms one after the other, "
            "since BLAS has no product of int8 and float32")
    columns = rows["decode-int8"]["columns"] if "decode-int8" in rows else {}
    if "float32" in columns:
        whole, float32 = (columns[name]["median"] * 1e3 for name in ("npgpt", "float32"))
        text += (f". With the hand-overs between threads and all else a token takes "
                 f"{whole:.1f} ms, in float32 {float32:.1f}")
    return text + "."


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:.{1 if milliseconds < 100 else 0}f} ms"
