"""The entries of the tape as the page holds them: values, gradients, and worked examples."""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..config import GPT2Config
from ..ops import TEXTBOOK
from ..tape import Array
from .encoding import Json, encoded
from .flow import rms
from .parameters import statistics
from .tracing import Seen, Traced

# values and gradients of a page together: three digits of each are 9.5 MB
MOST_NUMBERS = 3_800_000
# a vocabulary up to here has its logits stored whole
WHOLE_VOCABULARY = 256
TERMS = 6
_LINEAR = ("linear", "unembedding")


@dataclass(frozen=True)
class Columns:
    """Which channels of a step's output are kept; None for all."""

    stream: Array | None
    heads: Array | None
    """Of each of q, k and v, and of the values that attention mixes."""
    inner: dict[int, Array]
    """Of each layer's feed-forward network."""

    def of(self, one: Seen, width: int) -> Array | None:
        """The channels that are kept of one step, in order."""
        if self.stream is None or self.heads is None:
            return None
        if one.name.endswith((".attn.c_attn", ".attn.scaled")):
            return np.concatenate([self.heads + third * width // 3 for third in range(3)])
        if one.name.endswith(".attn.mixed"):
            return self.heads
        if one.name.endswith((".mlp.c_fc", ".mlp.act")):
            return self.inner[int(one.name.split(".")[1])]
        return self.stream


def columns(seen: Traced, exact: bool) -> Columns:
    """All channels, or of a large model those with the largest values, as many as there is room."""
    sizes = [one.out.size for one in seen.steps.values() if _kept(one, seen)]
    share = 1.0 if exact else MOST_NUMBERS / max(1, 2 * sum(sizes))
    if share >= 1.0:
        return Columns(None, None, {})

    def largest(arrays: list[Array]) -> Array:
        size = np.mean([(a[0].astype(np.float64)**2).mean(axis=0) for a in arrays], axis=0)
        return np.sort(np.argsort(-size, kind="stable")[:max(1, int(share * len(size)))])

    c = seen.config.n_embd
    evenly = np.unique(np.linspace(0, c - 1, max(1, int(share * c))).astype(int))
    inner = {int(name.split(".")[1]): largest([one.out]) for name, one in seen.steps.items()
             if name.endswith(".mlp.act")}
    return Columns(largest([seen.steps[name].out for name in seen.stream]), evenly, inner)


def all_fits(config: GPT2Config, length: int) -> bool:
    """Whether a page of `length` tokens holds every channel, and so a served one exact numbers."""
    width = 10 * config.n_embd + 2 * config.inner
    return 2 * length * config.n_layer * width <= MOST_NUMBERS


def left_out(seen: Traced, kept: Columns) -> list[str]:
    """Sentences about what a page of this trace does not hold."""
    found = ["weights are summarised: a histogram and the norms of rows and columns, and for each "
             "matrix product a few cells with their largest terms"]
    if kept.stream is not None and kept.heads is not None:
        inner = next((len(a) for a in kept.inner.values()), 0)
        found.append(
            f"of {seen.config.n_embd:,} channels the {len(kept.stream):,} with the largest values "
            f"in the residual stream are kept, {len(kept.heads):,} of each of q, k and v evenly "
            f"over the heads, and {inner:,} of the {seen.config.inner:,} of a feed-forward "
            f"network; sums, norms and fractions are of all; --exact keeps all")
    if seen.config.vocab_size > WHOLE_VOCABULARY:
        found.append(f"of {seen.config.vocab_size:,} logits a position the best ten are kept, and "
                     f"the target")
    return found


def entries(seen: Traced, kept: Columns, brief: bool, exact: bool) -> list[Json]:
    """Every step in the order of execution; a `brief` one has statistics alone."""
    found = []
    # a sum hands one and the same gradient to both of its inputs: it is stored with the sum
    shared = {id(one.gradient): one.name for one in seen.steps.values()
              if one.gradient is not None}
    for one in seen.steps.values():
        if one.name.endswith(".attn.mixed"):
            found += _inside_attention(one, seen)
        entry = _described(one)
        if not brief:
            entry |= _numbers(one, seen, kept, shared, exact)
        found.append(entry)
    return found


def layer_texts(seen: Traced) -> Json:
    """The textbook's own file for every op of the pass, and the formulas at its beginning."""
    texts: Json = {}
    for one in seen.steps.values():
        module = sys.modules[TEXTBOOK.named()[one.op].forward.__module__]
        file = Path(inspect.getfile(module)).name
        texts[one.op] = {"file": f"npgpt/layers/{file}", "formula": module.__doc__ or "",
                         "text": inspect.getsource(module)}
    return texts


def _described(one: Seen) -> Json:
    layer = one.name.split(".")[1] if one.name.startswith("h.") else None
    return {"name": one.name, "op": one.op, "kind": "tape", "shape": list(one.out.shape),
            "layer": None if layer is None else int(layer), "settings": _settings(one),
            "inputs": [{"name": each.name, "kind": each.kind, "shape": list(each.array.shape)}
                       for each in one.inputs],
            "stats": {"value": statistics(one.out),
                      "gradient": None if one.gradient is None else statistics(one.gradient)},
            "columns": None, "value": None, "gradient": None, "by_position": None}


def _settings(one: Seen) -> Json:
    """The op's settings that JSON can hold."""
    return {name: value for name, value in one.step.entry.settings.items()
            if isinstance(value, (bool, int, float, str))}


def _inside_attention(one: Seen, seen: Traced) -> list[Json]:
    """q, k, v and the weights of a step of attention, which the tape has as one entry."""
    qkv, stem = one.inputs[0].name, one.name.removesuffix("mixed")
    layer = int(one.name.split(".")[1])
    heads, c = seen.config.n_head, seen.config.n_embd
    common: Json = {"op": one.op, "layer": layer, "settings": _settings(one), "columns": None,
                    "inputs": [{"name": qkv, "kind": "entry", "shape": [1, seen.length, 3 * c]}],
                    "value": None, "gradient": None, "by_position": None}
    inside = seen.attention[layer]
    found: list[Json] = []
    for part, name in enumerate("qkv"):
        gradient = seen.steps[qkv].gradient if qkv in seen.steps else None
        own = None if gradient is None else gradient[..., part * c:(part + 1) * c]
        found.append({**common, "name": stem + name, "kind": "view", "of": qkv, "heads": heads,
                      "start": part * c, "stop": (part + 1) * c,
                      "shape": [1, *inside[name].shape],
                      "stats": {"value": statistics(inside[name]),
                                "gradient": None if own is None else statistics(own)}})
    found.append({**common, "name": f"{stem}weights", "kind": "attention",
                  "shape": [1, *inside["weights"].shape],
                  "inputs": [{"name": stem + name, "kind": "entry",
                              "shape": [1, *inside[name].shape]} for name in "qk"],
                  "stats": {"value": statistics(inside["weights"]), "gradient": None}})
    return found


def _kept(one: Seen, seen: Traced) -> bool:
    """Whether a step's numbers are stored: those of a sequence, and not of a large vocabulary."""
    by_position = one.out.ndim == 3 and one.out.shape[:2] == (1, seen.length)
    return by_position and (one.op != "unembedding" or one.out.shape[-1] <= WHOLE_VOCABULARY)


def _numbers(
    one: Seen, seen: Traced, kept: Columns, shared: dict[int, str], exact: bool
) -> Json:
    if one.out.ndim != 3 or one.out.shape[:2] != (1, seen.length):
        return {}
    out, gradient = one.out[0], None if one.gradient is None else one.gradient[0]
    some: Array | None = None
    found: Json = {"by_position": {
        "value": encoded(_by_position(out), exact),
        "gradient": None if gradient is None else encoded(_by_position(gradient), exact)}}
    if _kept(one, seen):
        some = None if one.op == "unembedding" else kept.of(one, out.shape[-1])
        found["columns"] = None if some is None else some.tolist()
        found["value"] = encoded(_at(out, some), exact)
        found["gradient"] = None if gradient is None else encoded(_at(gradient, some), exact)
        if (owner := shared.get(id(one.gradient))) not in (None, one.name):
            found["gradient"] = {"same": owner}
    vectors = [each for each in one.inputs if each.array.ndim == 1]
    if vectors and one.op in ("layernorm", "linear"):
        found["vectors"] = {each.name.rpartition(".")[2]: encoded(_at(each.array, some), exact)
                            for each in vectors}
    if one.op == "layernorm":
        found["moments"] = _moments(one, exact)
    if one.op in _LINEAR:
        found["worked"] = [worked(one, index) for index in _interesting(out, gradient, some)]
    return found


def worked(one: Seen, index: tuple[int, int]) -> Json:
    """A cell (t, c) of a product of matrices: its largest terms, the sum of the others, the bias.

    Raises ValueError for an index outside the output.
    """
    t, c = index
    if not (0 <= t < one.out.shape[1] and 0 <= c < one.out.shape[2]):
        raise ValueError(f"index {list(index)} is outside {one.name}, whose shape is "
                         f"{list(one.out.shape)}")
    found: Json = {"index": [t, c], "value": float(one.out[0, t, c]),
                   "gradient": None if one.gradient is None else float(one.gradient[0, t, c])}
    if one.op not in _LINEAR:
        return found
    x, w, bias = _operands(one, t, c)
    terms = x * w
    order = np.argsort(-np.abs(terms), kind="stable")[:TERMS]
    return found | {
        "terms": [[int(i), float(x[i]), float(w[i])] for i in order],
        "rest": float(np.delete(terms, order).sum()), "count": len(terms), "bias": bias}


def _operands(one: Seen, t: int, c: int) -> tuple[Array, Array, float | None]:
    arrays = [each.array for each in one.inputs]
    x, weight = arrays[:2]
    column = weight[c] if one.op == "unembedding" else weight[:, c]
    bias = float(arrays[2][c]) if len(arrays) > 2 else None
    return x[0, t].astype(np.float64), column.astype(np.float64), bias


def _interesting(out: Array, gradient: Array | None, some: Array | None) -> list[tuple[int, int]]:
    """The cells whose terms are stored: first, last, largest value, largest gradient."""
    kept = np.arange(out.shape[1]) if some is None else some
    found = [(0, 0), (len(out) - 1, len(kept) - 1)]
    for array in (out, gradient):
        if array is not None:
            place = np.abs(np.nan_to_num(array[:, kept])).argmax()
            t, c = np.unravel_index(place, (len(out), len(kept)))
            found.append((int(t), int(c)))
    return list(dict.fromkeys((t, int(kept[c])) for t, c in found))


def _moments(one: Seen, exact: bool) -> Json:
    x = one.inputs[0].array[0]
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = (centred * centred).mean(axis=-1)
    rstd = 1.0 / np.sqrt(variance + one.step.entry.settings["eps"])
    return {"mean": encoded(x.mean(axis=-1), exact), "rstd": encoded(rstd, exact)}


def _at(array: Array, some: Array | None) -> Array:
    return array if some is None else array[..., some]


def _by_position(array: Array) -> Array:
    return np.array([rms(row) for row in array])
