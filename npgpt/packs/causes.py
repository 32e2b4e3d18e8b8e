"""Why a tensor of a port differs: mistakes are made on purpose and compared with it.

A candidate is a sentence and the tensor that its mistake would give, computed from the tensors
before it (which agree, or one of them would have been the first to differ). The candidate that
equals what the port wrote is the cause.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Iterable, Iterator

import numpy as np

from ..config import GPT2Config
from ..layers.attention import split_heads, split_qkv
from ..layers.cross_entropy import IGNORE, cross_entropy_forward
from ..layers.erf import normal_cdf
from ..layers.feed_forward import ACTIVATIONS
from ..layers.softmax import softmax_forward
from ..tape import Array

Own = dict[str, Array]
Candidate = tuple[str, Array]
UNKNOWN = "unknown: none of the usual mistakes gives these numbers"


def likely_cause(name: str, own: Own, theirs: Array, config: GPT2Config) -> str:
    """One sentence on why `theirs` differs from own[name]; `own` are all of the pack's tensors."""
    if name == "greedy/ids":
        return "the logits agree, so it is the loop: take the last position, read the whole text"
    if not np.isfinite(theirs).all():
        return "an overflow: subtract the row maximum before exp, and mask with -inf before softmax"
    kind, _, short = name.partition("/")
    special: Iterable[Candidate] = ()
    if kind == "activations":
        special = _forward(short, own, config)
    elif kind == "grads":
        special = _gradient(short, own)
    with np.errstate(all="ignore"):
        if theirs.any() and np.array_equal(theirs, theirs.astype(np.float16)):
            return "the numbers were rounded to half precision on the way"
        for sentence, candidate in chain(special, _general(own[name])):
            if _explains(candidate, own[name], theirs):
                return sentence
        return _factor(own, own[name], theirs) or UNKNOWN


def _explains(candidate: Array, right: Array, theirs: Array) -> bool:
    """Whether the candidate is what they wrote: far closer to it than the correct tensor is."""
    if candidate.shape != theirs.shape or not np.isfinite(candidate).all():
        return False
    gap = float(np.linalg.norm(candidate - theirs))
    size = float(np.linalg.norm(theirs))
    before = float(np.linalg.norm(right - theirs)) if right.shape == theirs.shape else size
    return gap <= 0.02 * before + 1e-14 * size


def _general(right: Array) -> Iterator[Candidate]:
    yield "it is all zeros: never written, or a gradient that was never added", np.zeros_like(right)
    if right.ndim >= 2:
        yield "the last two axes are transposed", right.swapaxes(-1, -2)
        yield "rows are in reverse order", right[::-1]
    if right.ndim >= 3:
        yield "positions are shifted by one, to the right", np.roll(right, 1, axis=-2)
        yield "positions are shifted by one, to the left", np.roll(right, -1, axis=-2)
        yield "every sequence of the batch holds the first one", np.broadcast_to(
            right[:1], right.shape)
    if right.ndim == 4:
        yield "the axes of heads and positions are swapped", right.swapaxes(1, 2)


def _factor(own: Own, right: Array, theirs: Array) -> str:
    if right.shape != theirs.shape:
        if math.prod(right.shape) == theirs.size:
            return "the numbers are laid out in another shape"
        return ""
    size = float((right * right).sum())
    c = float((right * theirs).sum()) / size if size else 0.0
    if c == 0.0 or not _explains(c * right, right, theirs):
        return ""
    if abs(c + 1.0) < 1e-3:
        return "the sign is wrong"
    b, t = own["ids"].shape
    counted = int((own["targets"] != IGNORE).sum())
    known = {"the batch size": b, "the sequence length": t, "batch x length": b * t,
             "the number of counted targets": counted, "2": 2.0,
             "counted targets / all targets": counted / (b * t)}
    for word, value in known.items():
        if abs(c / value - 1.0) < 1e-3:
            return f"it is too large by a factor of {word} ({value:g}): a sum instead of a mean?"
        if abs(c * value - 1.0) < 1e-3:
            return f"it is too small by a factor of {word} ({value:g}): divided twice?"
    return f"it is {c:.6g} times the correct one"


def _forward(name: str, own: Own, config: GPT2Config) -> Iterator[Candidate]:
    acts = {full.removeprefix("activations/"): array for full, array in own.items()
            if full.startswith("activations/")}
    before, _, last = name.rpartition(".")
    if before == "embedding":
        yield from _embedding(name, own)
    elif last in ("ln_1", "ln_2", "ln_f"):
        # its input is the residual stream, which is the entry just before it
        x = list(acts.values())[list(acts).index(name) - 1]
        yield from _norm(x, own[f"params/{name}.weight"], own[f"params/{name}.bias"],
                         config.layer_norm_epsilon)
    elif last in ("c_attn", "c_proj", "c_fc"):
        block = before.rpartition(".")[0]
        source = {"attn.c_attn": "ln_1", "attn.c_proj": "attn.mixed", "mlp.c_fc": "ln_2",
                  "mlp.c_proj": "mlp.act"}[name.removeprefix(f"{block}.")]
        if f"{block}.{source}" in acts:
            yield from _linear(acts[f"{block}.{source}"], own[f"params/{name}.weight"],
                               own.get(f"params/{name}.bias"))
    elif last in ("q", "k", "v"):
        yield from _qkv(last, acts[f"{before}.c_attn"], config.n_head)
    elif last == "weights":
        yield from _weights(acts[f"{before}.q"], acts[f"{before}.k"])
    elif last == "mixed":
        heads = acts[f"{before}.weights"] @ acts[f"{before}.v"]
        b, h, t, d = heads.shape
        yield ("heads are merged by a bare reshape: swap heads and positions back first",
               heads.reshape(b, t, h * d))
    elif last == "act":
        yield from _activation(acts[f"{before}.c_fc"])
    elif last.startswith("residual"):
        branch, norm = ("attn", "ln_1") if last.endswith("1") else ("mlp", "ln_2")
        out = acts[f"{before}.{branch}.c_proj"]
        yield "the residual connection is missing: x must be added to the branch", out
        if f"{before}.{norm}" in acts:
            yield ("the residual adds the normed x instead of x itself",
                   acts[f"{before}.{norm}"] + out)
    elif name == "logits":
        table = own.get("params/lm_head.weight", own["params/wte.weight"])
        x = [array for name, array in acts.items() if "residual" in name][-1]
        yield "the final LayerNorm is left out", x @ table.T
        if "params/lm_head.weight" in own:
            yield ("the token table is used as output matrix, but this model is not tied",
                   acts["ln_f"] @ own["params/wte.weight"].T)
    elif name == "loss":
        yield from _loss(acts["logits"], own["targets"])


def _embedding(name: str, own: Own) -> Iterator[Candidate]:
    ids, wte, wpe = own["ids"], own["params/wte.weight"], own["params/wpe.weight"]
    token, t = wte[ids], ids.shape[1]
    if name == "embedding.token":
        yield "ids are counted from 1 instead of 0", wte[np.minimum(ids + 1, len(wte) - 1)]
        yield "positions are already added; they should not be yet", token + wpe[:t]
        return
    yield "positions are not added", token
    yield "positions are counted from 1 instead of 0", token + wpe[1:t + 1]
    yield "every position gets the first row of the position table", token + wpe[0]


def _norm(x: Array, weight: Array, bias: Array, eps: float) -> Iterator[Candidate]:
    n = x.shape[-1]
    centred = x - x.mean(-1, keepdims=True)
    var = (centred * centred).mean(-1, keepdims=True)
    yield ("LayerNorm divides by the unbiased variance (C - 1); GPT-2 divides by C",
           centred / np.sqrt(var * n / (n - 1) + eps) * weight + bias)
    for other in (0.0, 1e-3, 1e-6, 1e-8, 1e-12):
        yield (f"eps is {other:g} in their LayerNorm, it should be {eps:g}",
               centred / np.sqrt(var + other) * weight + bias)
    normed = centred / np.sqrt(var + eps)
    yield "weight and bias of the LayerNorm are not applied", normed
    yield "the bias of the LayerNorm is not added", normed * weight
    yield "the weight of the LayerNorm is not applied", normed + bias
    yield "the mean is not subtracted (this is RMSNorm)", (
        x / np.sqrt((x * x).mean(-1, keepdims=True) + eps) * weight + bias)
    yield "LayerNorm is left out", x
    yield "LayerNorm runs over positions instead of channels", (
        (x - x.mean(-2, keepdims=True)) / np.sqrt(x.var(-2, keepdims=True) + eps) * weight + bias)
    yield "eps is added outside the square root", centred / (np.sqrt(var) + eps) * weight + bias


def _linear(x: Array, weight: Array, bias: Array | None) -> Iterator[Candidate]:
    if bias is not None:
        yield "the bias is not added", x @ weight
    shift = 0.0 if bias is None else bias
    if weight.shape[0] == weight.shape[1]:
        yield ("the weight is used transposed: here it is stored (in, out), out = x @ weight",
               x @ weight.T + shift)
    yield ("the weight is read in column order: it is stored (in, out), row by row",
           x @ weight.T.reshape(weight.shape) + shift)


def _qkv(name: str, qkv: Array, n_head: int) -> Iterator[Candidate]:
    parts = dict(zip("qkv", split_qkv(qkv)))
    for other in "qkv":
        if other != name:
            yield (f"{name} holds what belongs to {other}: c_attn gives q, k, v in this order",
                   split_heads(parts[other], n_head))
    b, t, c = parts[name].shape
    yield ("heads are split by a bare reshape: split the channels, then swap heads and positions",
           parts[name].reshape(b, n_head, t, c // n_head))
    yield ("channels are dealt to the heads in turn: a head is a run of neighbouring channels",
           parts[name].reshape(b, t, c // n_head, n_head).transpose(0, 3, 1, 2))
    by_head = qkv.reshape(b, t, n_head, 3, c // n_head)
    yield ("c_attn is read as q, k, v of each head in turn; it is all q, then all k, then all v",
           by_head[..., "qkv".index(name), :].swapaxes(1, 2))


def _weights(q: Array, k: Array) -> Iterator[Candidate]:
    _, heads, t, d = q.shape
    scores = q @ k.swapaxes(-1, -2)
    scaled = scores / math.sqrt(d)
    mask = np.tri(t, dtype=bool)

    def softmax(s: Array, visible: Array = mask, hidden: float = -math.inf) -> Array:
        return softmax_forward(np.where(visible, s, hidden))[0]

    unmasked = softmax(scaled, np.ones_like(mask))
    yield "the causal mask is missing", unmasked
    yield "scores are not divided by sqrt(head size)", softmax(scores)
    yield "scores are divided by the head size, not by its square root", softmax(scores / d)
    yield ("scores are divided by sqrt(channels), not by sqrt(head size)",
           softmax(scores / math.sqrt(d * heads)))
    yield ("the mask is the wrong way round: a query sees its future, not its past",
           softmax(scaled, mask.T))
    # the first query then sees no key at all; -1e9, which is common, makes its weights uniform
    yield ("the mask hides the query's own position too",
           softmax(scaled, np.tri(t, k=-1, dtype=bool), -1e9))
    yield ("softmax runs over the queries instead of the keys",
           softmax(scaled.swapaxes(-1, -2), mask.T).swapaxes(-1, -2))
    yield "masked after softmax: the rows no longer sum to 1", unmasked * mask


def _activation(x: Array) -> Iterator[Candidate]:
    names = {"gelu_new": "the tanh form of GELU", "gelu": "the exact GELU, x * Phi(x)",
             "relu": "ReLU", "silu": "SiLU"}
    for name, word in names.items():
        yield f"the activation is {word}", ACTIVATIONS[name][0](x)[0]
    yield "the activation is x * sigmoid(1.702 x), the quick GELU", x / (1.0 + np.exp(-1.702 * x))
    yield "the activation is Phi(x), without the factor x", normal_cdf(x)
    yield "the activation is left out", x


def _loss(logits: Array, targets: Array) -> Iterator[Candidate]:
    counted = targets != IGNORE
    loss, _ = cross_entropy_forward(logits, targets)
    total = loss * counted.sum()
    yield "the loss is a sum, not a mean over the counted targets", total
    yield "ignored targets are counted in the mean", total / targets.size
    yield ("ignored targets are counted as token 0",
           cross_entropy_forward(logits, np.where(counted, targets, 0))[0])
    yield "the loss is in bits (log base 2), not in nats", loss / math.log(2.0)


def _gradient(name: str, own: Own) -> Iterator[Candidate]:
    ids = own["ids"]
    if name == "wte.weight" and "dactivations/embedding.token" in own:
        dtoken = own["dactivations/embedding.token"]
        lookup = np.zeros_like(own[f"params/{name}"])
        overwritten = lookup.copy()
        np.add.at(lookup, ids, dtoken)
        overwritten[ids] = dtoken
        head = own[f"grads/{name}"] - lookup
        both = "the table is used at both ends"
        yield f"the part through the output matrix is missing: {both}", lookup
        yield f"the part through the lookup is missing: {both}", head
        yield ("tokens that come twice are overwritten instead of added: use an unbuffered add",
               overwritten + head)
    if name.endswith(".weight") and own[f"params/{name}"].ndim == 2:
        gradient = own[f"grads/{name}"]
        yield ("it is laid out (out, in): here linear weights are stored (in, out)",
               gradient.T.reshape(gradient.shape))
    if name.endswith(".bias") and f"dactivations/{name[:-5]}" in own:
        d = own[f"dactivations/{name[:-5]}"]
        yield "it is summed over the positions of the first sequence alone", d[0].sum(0)
        yield "it is a mean over positions instead of a sum", d.mean(tuple(range(d.ndim - 1)))
