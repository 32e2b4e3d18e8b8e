"""Which step of GPT-2 a tensor of a pack comes from, and so which mistakes may be in it.

A step is a program of the doctor and its inputs: the tensors before it, which agree, or one of them
would have been the first to differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..config import GPT2Config
from ..doctor.values.catalogue import PROGRAMS
from ..doctor.values.choose import diagnose
from ..doctor.values.guesses import Point
from ..doctor.values.program import Inputs, Program, Settings
from ..layers.cross_entropy import IGNORE
from ..tape import Array

Own = dict[str, Array]
Step = tuple[str, Inputs, Settings]
SOURCES = {"attn.c_attn": "ln_1", "attn.c_proj": "attn.mixed", "mlp.c_fc": "ln_2",
           "mlp.c_proj": "mlp.act"}


def likely_cause(
    name: str, own: Own, theirs: Array, config: GPT2Config
) -> tuple[str, tuple[str, ...]]:
    """(why `theirs` differs from own[name], its kinds); `own` are all of the pack's tensors."""
    if name == "greedy/ids":
        return ("the logits agree, so it is the loop: take the last position, read the whole text",
                ())
    try:
        step = _step(name, own, config)
    except KeyError:    # a step that other settings make of other tensors, such as a SwiGLU's
        step = None
    program = PROGRAMS[step[0]] if step else Program(name, lambda: own[name])
    _, inputs, settings = step or ("", (), {})
    point = Point(inputs, settings, {"": own[name]}, {"": theirs}, _sizes(own))
    report = diagnose([point], program)
    if report.ok:       # a difference above the pack's tolerance, but too small for a name
        return "the last digits alone differ: a sum in another order, or a constant", ()
    cause = "; and ".join(fault.sentence for fault in report.findings)
    return (f"unknown: {cause}" if report.kinds == ["unexplained"] else cause), tuple(report.kinds)


def _sizes(own: Own) -> dict[str, float]:
    b, t = own["ids"].shape
    counted = int((own["targets"] != IGNORE).sum())
    return {"the batch size": b, "the sequence length": t, "batch x length": b * t,
            "the number of counted targets": counted,
            "counted targets / all targets": counted / (b * t)}


def _step(full: str, own: Own, config: GPT2Config) -> Step | None:
    kind, _, name = full.partition("/")
    if kind == "grads":
        return _gradient(name, own, config)
    if kind == "dactivations":
        return _stream_gradient(full, own)
    if kind != "activations":
        return None
    acts = {key.removeprefix("activations/"): array for key, array in own.items()
            if key.startswith("activations/")}

    def weights(name: str) -> tuple[Array, Array]:
        return own[f"params/{name}.weight"], own[f"params/{name}.bias"]

    before, _, last = name.rpartition(".")
    block = before.rpartition(".")[0]
    eps = {"eps": config.layer_norm_epsilon}
    if before == "embedding":
        tables = own["ids"], own["params/wte.weight"], own["params/wpe.weight"]
        return "token_embedding" if last == "token" else "embedding", tables, {}
    if last in ("ln_1", "ln_2", "ln_f"):
        x = acts[_stream_before(name, acts)]
        first = f"{before}.ln_1"
        if last == "ln_2" and f"params/{first}.weight" in own:
            return "second_norm", (x, *weights(name), weights(first)), eps
        return "layernorm", (x, *weights(name)), eps
    if last in ("c_attn", "c_proj", "c_fc"):
        source = f"{block}.{SOURCES[name.removeprefix(f'{block}.')]}"
        bias = own.get(f"params/{name}.bias")
        if source in acts:
            return "linear", (acts[source], own[f"params/{name}.weight"], bias), {}
    if last in ("q", "k", "v"):
        return "split_heads", (acts[f"{before}.c_attn"], last), {"n_head": config.n_head}
    if last == "weights":
        q, k = acts[f"{before}.q"], acts[f"{before}.k"]
        return "attention_weights", (q, k), {"width": config.n_embd}
    if last == "mixed":
        return "mixed_heads", (acts[f"{before}.weights"], acts[f"{before}.v"]), {}
    if last == "act":
        return "activation", (acts[f"{before}.c_fc"],), {"form": config.activation_function}
    if last.startswith("residual"):
        branch, norm = ("attn", "ln_1") if last.endswith("1") else ("mlp", "ln_2")
        out, first = acts[f"{before}.{branch}.c_proj"], f"{before}.ln_1"
        start = acts[_stream_before(first, acts)] if branch == "mlp" and first in acts else None
        return "residual", (own[full] - out, out, acts.get(f"{before}.{norm}"), start), {}
    if name == "logits" and "params/ln_f.weight" in own:
        table = own.get("params/lm_head.weight", own["params/wte.weight"])
        x = [array for key, array in acts.items() if "residual" in key][-1]
        other = own["params/wte.weight"] if "params/lm_head.weight" in own else None
        return "unembedding", (x, table, *weights("ln_f"), other), eps
    if name == "loss":
        return "cross_entropy", (acts["logits"], own["targets"]), {}
    return None


def _stream_before(norm: str, entries: Mapping[str, Array]) -> str:
    """The residual stream that a norm reads: the entry just before it."""
    return [*entries][[*entries].index(norm) - 1]


def _stream_gradient(full: str, own: Own) -> Step | None:
    """Of the stream: what comes through the next sum, and the rest, through the branch."""
    stream = [key for key in own if key.startswith("dactivations/")
              and ("residual" in key or key.endswith("embedding.sum"))]
    if full not in stream:
        return None
    n = stream.index(full)      # in the order of the backward: the sum after it comes before it
    return ("stream_gradient", (own[full] - own[stream[n - 1]], own[stream[n - 1]]), {}) if n else (
        None)


def _gradient(name: str, own: Own, config: GPT2Config) -> Step | None:
    token = own.get("dactivations/embedding.token")
    if name == "wte.weight" and token is not None:
        lookup = np.zeros_like(own[f"params/{name}"])
        np.add.at(lookup, own["ids"], token)
        return "tied_table_gradient", (own["ids"], token, own[f"grads/{name}"] - lookup), {}
    d = own.get(f"dactivations/{name.removesuffix('.bias')}")
    if name.endswith(".bias") and d is not None:
        return "bias_gradient", (d,), {}
    norm = name.removesuffix(".weight")
    if norm.endswith(("ln_1", "ln_2", "ln_f")) and name != norm and f"params/{norm}.bias" in own:
        x = own[_stream_before(f"activations/{norm}", own)]
        weight, bias, d = (own[key] for key in (
            f"params/{name}", f"params/{norm}.bias", f"dactivations/{norm}"))
        return "gain_gradient", (x, weight, bias, d), {"eps": config.layer_norm_epsilon}
    gradient = own[f"grads/{name}"]
    return ("weight_gradient", (gradient,), {}) if gradient.ndim == 2 else None
