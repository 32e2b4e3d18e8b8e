"""Generation, step by step: the candidates, what each filter cuts, and how the cache grows."""

from __future__ import annotations

import numpy as np

from ..config import GPT2Config
from ..fast.ops import FAST
from ..generation.fast_reader import reader_for
from ..generation.sampling import Sampling, generators, keep_top_k, keep_top_p, with_temperature
from ..params import Params
from ..tape import Array
from ..text import Tokenizer
from .encoding import Json
from .tokens import best, log_softmax, token

CANDIDATES = 20
STEPS = 12
# where the page can take another temperature without the logits that it does not have
TEMPERATURES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.5, 1.7, 2.0)
DEFAULT = Sampling(temperature=0.8, top_k=40, top_p=0.95)


def generation(
    params: Params, config: GPT2Config, tokenizer: Tokenizer, ids: Array, count: int = STEPS,
    sampling: Sampling = DEFAULT, seed: int = 0,
) -> Json:
    """`count` tokens after ids (T,), each with the candidates that it was drawn from.

    The tokens are those of `GPT2.generate` with the same settings and seed. It ends where the
    context does, or where logits are not finite; "reason" says so.
    """
    (rng,) = generators(seed, 1)
    capacity = min(config.n_positions, len(ids) + count)
    reader = reader_for(FAST)(params, config, 1, capacity)
    per_token = 2 * config.n_layer * config.n_embd * params["wpe.weight"].dtype.itemsize
    steps: list[Json] = []
    new, text, reason = np.asarray(ids), [int(i) for i in ids], None
    for _ in range(count):
        if len(text) > config.n_positions:
            reason = f"the context of {config.n_positions} tokens is full"
            break
        with np.errstate(all="ignore"):
            logits = reader.read([0], new[None])[0, -1]
        if not np.isfinite(logits).all():
            reason = "the logits are not finite: there is no distribution to draw from"
            break
        chosen = sampling.choose(logits, rng, text)
        length = int(reader.lengths[0])
        steps.append({"position": len(text), "read": len(new), "cache": length,
                      "bytes": length * per_token, **_step(logits, chosen, sampling, tokenizer)})
        text.append(chosen)
        new = np.array([chosen])
    return {
        "prompt": [token(tokenizer, int(i)) for i in ids], "reason": reason,
        "settings": {"temperature": sampling.temperature, "top_k": sampling.top_k,
                     "top_p": sampling.top_p, "seed": seed},
        "temperatures": TEMPERATURES, "context": config.n_positions,
        "cache": {"bytes_per_token": per_token, "shape": f"(2, {config.n_layer}, {config.n_head}, "
                                                         f"length, {config.head_size})"},
        "steps": steps, "text": tokenizer.decode(text)}


def _step(logits: Array, chosen: int, sampling: Sampling, tokenizer: Tokenizer) -> Json:
    wide = logits.astype(np.float64)
    logs = log_softmax(wide)
    own = np.exp(logs)
    if sampling.temperature:
        warmed = with_temperature(wide, sampling.temperature)
    else:
        warmed = keep_top_k(wide, 1)
    warm = np.exp(log_softmax(warmed))
    by_k = keep_top_k(warmed, sampling.top_k) if sampling.top_k else warmed
    after_k = np.exp(log_softmax(by_k))
    by_p = by_k if sampling.top_p is None else keep_top_p(by_k, sampling.top_p)
    final = np.exp(log_softmax(by_p))
    ids = best(wide, CANDIDATES).tolist()
    ids += [chosen] * (chosen not in ids)
    kept_k, kept_p = np.isfinite(by_k), np.isfinite(by_p)
    return {
        **token(tokenizer, chosen), "chosen": chosen, "p": float(own[chosen]),
        "entropy": float(0.0 - (own * logs).sum()),
        "kept": {"all": len(wide), "top_k": int(kept_k.sum()), "top_p": int(kept_p.sum())},
        "cut": {"top_k": float(warm[~kept_k].sum()), "top_p": float(after_k[~kept_p].sum())},
        "candidates": [{**token(tokenizer, i), "logit": float(wide[i]), "p": float(own[i]),
                        "warm": float(warm[i]), "top_k": bool(kept_k[i]),
                        "top_p": bool(kept_p[i]), "final": float(final[i])} for i in ids],
        "lse": [_log_sum(wide / temperature) for temperature in TEMPERATURES]}


def _log_sum(scores: Array) -> float:
    top = scores.max()
    return float(top + np.log(np.exp(scores - top).sum()))
