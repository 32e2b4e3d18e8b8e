"""How GPT-2 is graded: names, then the forward with every known mistake, then the writing."""

import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values import attention, layers
from npgpt.doctor.values.program import Variant, accepted, variants

L, V, P, C, H = 2, 19, 6, 12, 3


def checkpoint(rng, prefix="transformer."):
    """A dict as Hugging Face's files hold it, of a small GPT-2, and the parameters in it."""
    from npgpt import GPT2Config
    from npgpt.params import parameter_shapes

    config = GPT2Config(vocab_size=V, n_positions=P, n_embd=C, n_layer=L, n_head=H)
    params = {name: 0.4 * rng.standard_normal(shape) + (
        ".ln_" in "." + name and name.endswith("weight"))
        for name, shape in parameter_shapes(config).items()}
    tensors = {prefix + name: array for name, array in params.items()}
    for i in range(L):
        tensors[f"{prefix}h.{i}.attn.bias"] = np.tri(P)[None, None]
        tensors[f"{prefix}h.{i}.attn.masked_bias"] = np.array(-1e4)
    if prefix:
        tensors["lm_head.weight"] = params["wte.weight"]
    return tensors, params


def right(params, ids, *, n_head, eps=1e-5, wrong={}):
    """(logits, weights) of GPT-2; `wrong` names the mistakes to make."""
    x = layers.embedding(ids, params["wte.weight"], params["wpe.weight"], wrong=wrong)
    seen = []
    order = range(L - 1, -1, -1) if "blocks-reversed" in wrong else range(L)
    for i in order:
        i = 0 if "one-block-for-all" in wrong else i
        block = {name.removeprefix(f"h.{i}."): p for name, p in params.items()
                 if name.startswith(f"h.{i}.")}
        y = x if "ln_1-left-out" in wrong or "norm-after-residual" in wrong else layers.layernorm(
            x, block["ln_1.weight"], block["ln_1.bias"], wrong=wrong)
        bias = None if "c_attn-bias-forgotten" in wrong else block["attn.c_attn.bias"]
        qkv = layers.linear(y, block["attn.c_attn.weight"], bias, wrong=wrong)
        heads = {"one-head": 1, "head-count-for-size": C // n_head}
        h = next((heads[kind] for kind in heads if kind in wrong), n_head)
        q, k = (attention.split_heads(qkv, which, n_head=h, wrong=wrong) for which in "qk")
        seen.append(attention.attention_weights(q, k, width=C, wrong=wrong))
        x = attention.block(x, block, n_head=n_head, wrong=wrong)
        if "final-norm-in-each-block" in wrong:
            x = layers.layernorm(x, params["ln_f.weight"], params["ln_f.bias"])
        if "last-block-left-out" in wrong:
            break
    wte = params["wte.weight"]
    logits = layers.unembedding(x, wte, params["ln_f.weight"], params["ln_f.bias"], wrong=wrong)
    return logits, np.stack(seen)


def _run_forward(function, inputs, settings):
    params, ids = copy.deepcopy(inputs)
    out = function(params, ids, **accepted(function, settings))
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        return {"": out}
    return {**{f"attention weights of layer {i}": np.asarray(w) for i, w in enumerate(out[1])},
            "logits": np.asarray(out[0])}


def _draw_forward(rng, given, n):
    _, params = checkpoint(rng)
    return (params, rng.integers(0, V, (2 + n % 2, P - 1 - n % 2))), {"n_head": H}


def _batch_first(params, ids, *, n_head):
    """The axes of layers and sequences swapped."""
    logits, weights = right(params, ids, n_head=n_head)
    return logits, weights.swapaxes(0, 1)


_LEFT_OUT = {"norm-left-out", "tied-but-untied", "positions-by-id"}
FORWARD = Program("forward", right, [
    *(v for v in variants(
        "embedding", "residual", "block", "unembedding", "layernorm", "gelu", "attention_weights",
        "causal_attention", "merge_heads", "split_heads", "multi_head_attention", "linear")
      if v.kind not in _LEFT_OUT),
    Variant("one-block-for-all", "every layer computes with the weights of the first block"),
    Variant("blocks-reversed", "the blocks come in reverse order"),
    ("layers-second", _batch_first, "the weights have the axes (B, L, H, T, T): layers come "
     "first"),
    Variant("final-norm-in-each-block", "ln_f comes after every block: it comes once, at the "
            "end"),
    Variant("last-block-left-out", "only the first block is computed"),
], draw=_draw_forward, run=_run_forward)


# the first part that is wrong, and where the mistake then lies
_BEFORE = [
    "wrong are the attention weights of the first layer already: look at the embedding, at ln_1 "
    "and c_attn, at the heads, the scale, the mask, softmax, and at the order of the axes",
    "the weights of the first layer are right, those of the second are not: look at what comes "
    "after them in a block, from weights @ v to the second residual connection",
    "all attention weights are right, the logits are not: look at what comes after the last block, "
    "or after the weights in it",
]


def _where(mine):
    """What the first wrong part says, where no known mistake fits."""
    inputs, settings = _draw_forward(np.random.default_rng(3), {}, 0)
    expected, got = (_run_forward(f, inputs, settings) for f in (right, mine))
    for (name, value), words in zip(expected.items(), _BEFORE):
        if name not in got or got[name].shape != value.shape:
            return None
        if not np.allclose(got[name], value):
            return words
    return None


def written(params, ids, count, *, n_head, wrong=""):
    """The ids and `count` more, greedily; `wrong` is a mistake to make."""
    ids, new = [int(i) for i in ids], []
    for _ in range(count - (wrong == "one-token-less") + (wrong == "one-token-more")):
        window = {"window-at-the-start": ids[:P], "last-token-only": ids[-1:],
                  "window-short": ids[-(P - 1):]}.get(wrong, ids[-P:])
        if wrong == "window-restarts" and len(ids) > P:
            window = ids[P * ((len(ids) - 1) // P):]
        if wrong == "written-not-read":
            window = ids[:len(ids) - len(new)][-P:]
        scores = right(params, np.array([window]), n_head=n_head)[0][0]
        row = {"first-position-scored": 0, "last-but-one-scored": -2 if len(window) > 1 else -1}
        scores = scores[row.get(wrong, -1)]
        new.append(int(scores.argmin() if wrong == "worst-taken" else scores.argmax()))
        ids.append(new[-1])
    return {"prompt-left-out": new, "result-cropped": ids[-P:]}.get(wrong, ids)


def _run_written(function, inputs, settings):
    params, ids, count = copy.deepcopy(inputs)
    out = function(params, ids, count, **settings)
    return None if out is None else np.asarray(out).astype(float).reshape(-1)


def _draw_written(rng, given, n):
    _, params = checkpoint(rng)
    return (params, rng.integers(0, V, 3 + n), 8 + n), {"n_head": H}


def _draw_short(rng, given, n):
    """A text that the position table is long enough for."""
    _, params = checkpoint(rng)
    return (params, rng.integers(0, V, 2 + n % 2), 3), {"n_head": H}


_WRITTEN = [
    ("window-at-the-start", "the model sees the first tokens of a long text: it is to see the last "
     "ones, as many as the position table has rows"),
    ("last-token-only", "the model sees the newest token only: it is to see all before it too"),
    ("window-short", "the window is one too short: the position table has a row for one more"),
    ("window-restarts", "the window begins afresh where the position table ends: it is to hold the "
     "last tokens, as many as the table has rows"),
    ("written-not-read", "the model never sees what it wrote: the next token depends on all before "
     "it"),
    ("first-position-scored", "the next token is taken from the scores of the first position: "
     "those of the last position are about it"),
    ("last-but-one-scored", "the next token is taken from the last position but one: the scores of "
     "the last position are about it"),
    ("worst-taken", "the token with the lowest score is taken"),
    ("prompt-left-out", "only the new tokens are given: the ids come first"),
    ("result-cropped", "the result is cropped to the window: crop only what the model sees"),
    ("one-token-less", "one token is missing at the end"),
    ("one-token-more", "there is one token too many"),
]


def _write_variant(kind, sentence):
    return kind, lambda *inputs, **settings: written(*inputs, **settings, wrong=kind), sentence


WRITTEN = Program("generate", written, [_write_variant(*one) for one in _WRITTEN],
                  draw=_draw_written, run=_run_written)


def _grade_names(mine, g):
    """The names, then the layout; both with and without the prefix."""
    for prefix in ("transformer.", ""):
        tensors, params = checkpoint(np.random.default_rng(5), prefix)
        got = mine.parameters(dict(tensors))
        if not isinstance(got, dict):
            return g.fail("not-a-dict", f"parameters gives a {type(got).__name__}; expected a dict "
                          "of arrays by name")
        missing = [name for name in params if name not in got]
        more = [str(name) for name in got if name not in params]
        if any(name.startswith("transformer.") for name in more):
            return g.fail("prefix-kept", "parameters: the prefix is still there, as in "
                          f"{more[0]}: expected {more[0].removeprefix('transformer.')}")
        if missing and all(name.endswith("c_attn.bias") for name in missing):
            return g.fail("c_attn-bias-lost", f"parameters: {missing[0]} is lost: the mask is "
                          "called h.0.attn.bias, with a point before attn")
        if any(name.endswith((".attn.bias", "masked_bias")) for name in more):
            return g.fail("masks-kept", f"parameters: {more[0]} is no parameter, but a mask: leave "
                          "it out")
        if "lm_head.weight" in more:
            return g.fail("tied-head-kept", "parameters: lm_head.weight is a second copy of "
                          "wte.weight: leave it out, the head is tied")
        if missing or more:
            return g.fail("wrong-names", "parameters: " + (
                f"{missing[0]} is missing" if missing else f"{more[0]} is not a parameter"))
        for name, p in params.items():
            array = np.asarray(got[name])
            if array.shape == p.T.shape and np.allclose(array, p.T) and not (
                    array.shape == p.shape and np.allclose(array, p)):
                return g.fail("conv1d-transposed", f"parameters: {name} is transposed: the file "
                              "holds it as (in, out) already, and x @ weight is right as it is")
            if array.shape != p.shape:
                return g.fail("wrong-shape", f"parameters: {name} has shape {array.shape}; "
                              f"expected {p.shape}")
            if not np.allclose(array, p):
                return g.fail("wrong-array", f"parameters: {name} holds other numbers than the "
                              "file has under this name")
    g.right.append("the names and shapes of a checkpoint")
    return None


def _beyond(mine):
    """What happens where the position table ends."""
    _, params = checkpoint(np.random.default_rng(5))
    mine.generate(params, np.array([1, 2]), 2, n_head=H)
    try:
        mine.generate(params, np.array([1, 2, 3]), P + 2, n_head=H)
    except Exception as error:
        return (f"It raised {type(error).__name__}: the position table has {P} rows, and the model "
                "can see that many tokens, the last ones.")
    return True


def _causal(mine):
    _, params = checkpoint(np.random.default_rng(5))
    ids = np.array([[1, 2, 3, 4, 5]])
    other = np.array([[1, 2, 3, 9, 5]])
    a, b = (mine.forward(params, x, n_head=H)[0] for x in (ids, other))
    return bool(np.allclose(a[:, :3], b[:, :3])) and not np.allclose(a[:, 3:], b[:, 3:])


def _from_a_file(mine):
    """npgpt's own file, read by the learner's code."""
    from npgpt import GPT2, GPT2Config

    model = GPT2.init(GPT2Config(vocab_size=V, n_positions=P, n_embd=C, n_layer=L, n_head=H),
                      dtype=np.float64)
    with tempfile.TemporaryDirectory() as folder:
        model.save(folder)
        params = mine.parameters(mine.read(Path(folder) / "model.safetensors"))
    ids = np.array([[3, 1, 4]])
    return bool(np.allclose(mine.forward(params, ids, n_head=H)[0], model.logits(ids)))


def grade(mine, g):
    """Names, forward, causality, writing, and a file that npgpt wrote."""
    _grade_names(mine, g)
    names_right = not g.findings
    if diagnose_value(FORWARD, mine.forward).kinds == ["unexplained"] and (
            found := _where(mine.forward)):
        g.fail("first-wrong-part", f"forward: {found}")
    else:
        g.values(FORWARD, mine.forward)
    if len(g.findings) > (not names_right):     # what writes uses forward
        return
    g.probe("sees-the-future", "a later token changes nothing before it", lambda: _causal(mine))
    g.values(replace(WRITTEN, draw=_draw_short), mine.generate)
    g.probe("window-overflow", "it writes on where the position table ends", lambda: _beyond(mine))
    g.values(WRITTEN, mine.generate)
    if g.findings:
        return
    g.probe("another-model", "a file written by npgpt gives npgpt's logits",
            lambda: _from_a_file(mine))


def after():
    """How large GPT-2 is, counted."""
    from npgpt import GPT2Config
    from npgpt.params import parameter_shapes

    shapes = parameter_shapes(GPT2Config.named("gpt2"))
    total = sum(int(np.prod(shape)) for shape in shapes.values())
    table = int(np.prod(shapes["wte.weight"]))
    square = sum(len(shape) == 2 and shape[0] == shape[1] for shape in shapes.values())
    return (f"What you wrote is all of GPT-2: {total / 1e6:.1f} million numbers in {len(shapes)} "
            f"arrays, {table / total:.0%} of them in the table of tokens, which is used twice. "
            f"{square} of its matrices are square, one in each block, so that loading them "
            "transposed raises no error. Get the weights with `npgpt pull gpt2`, give this file "
            "the path of model.safetensors, and your code runs them.")
