"""GPT-2 itself: load the weights, compute, write, and read its heads

difficulty: 4/5   importance: 5/5   about 50 minutes (estimated)

STORY

Everything is there now. What is left is to put it together under the names
that GPT-2's published weights have, so that any checkpoint of it runs in your
code.

A checkpoint is a dict of arrays. Hugging Face's files hold, besides the
parameters, things that are not parameters, and sometimes a prefix:

    transformer.h.0.attn.c_attn.weight   is  h.0.attn.c_attn.weight
    transformer.h.0.attn.bias            a mask, (1, 1, P, P): not wanted
    transformer.h.0.attn.masked_bias     the number -10,000 or so: not wanted
    lm_head.weight                       wte.weight again (tied): not wanted

Mind that `attn.c_attn.bias` is a parameter. And mind the layout: GPT-2 was
written with a layer called Conv1D, which stores its matrices as (in, out),
and x @ weight is right as it is. Most other models store (out, in). Where a
matrix is square, as attn.c_proj is, a transpose raises no error; the model
then writes nonsense, and nothing says why.

The model, for ids (B, T):

    x = wte[ids] + wpe[0 ... T-1]
    for each block i = 0, 1, ...:
        y = layernorm(x, ln_1)
        q, k, v = the three thirds of linear(y, attn.c_attn)
        each of H heads takes its run of D = C / H channels of q, k and v:
            weights = softmax(q k^T / sqrt(D)), where no query sees a later key
            the head's result is weights @ v
        x = x + linear(all results side by side (B, T, C), attn.c_proj)
        y = layernorm(x, ln_2)
        x = x + linear(gelu(linear(y, mlp.c_fc)), mlp.c_proj)
    logits = layernorm(x, ln_f) @ wte^T

To write: the logits at the last position score the next token; greedy takes
the best. The position table has P rows, so the model sees at most the last P
tokens.

SHAPES

    wte.weight (V, C)    wpe.weight (P, C)    h.i.attn.c_attn.weight (C, 3C)
    logits     (B, T, V)
    weights    (L, B, H, T, T)    the attention weights of every layer and head,
                                  as the model used them

The layers imported below give (out, cache): you need the first. They are
gelu(x), layernorm(x, weight, bias), linear(x, weight, bias) and softmax(x).
"""

import math
import sys
import tempfile
from pathlib import Path

import numpy as np

from npgpt.layers.gelu import gelu_forward
from npgpt.layers.layernorm import layernorm_forward
from npgpt.layers.linear import linear_forward
from npgpt.layers.softmax import softmax_forward
from npgpt.learn import NotBegun


def parameters(tensors):
    """The parameters under GPT-2's names, from the arrays of a file."""
    # the names of a checkpoint
    # ---- your code: begins here ----
    params = {}
    for name, array in tensors.items():
        name = name.removeprefix("transformer.")
        if name.endswith((".attn.bias", ".attn.masked_bias", "lm_head.weight")):
            continue
        params[name] = array
    return params
    # ---- your code: ends here ----


def forward(params, ids, *, n_head):
    """(logits, weights): the scores of the next token, and all attention."""
    # GPT-2's forward pass
    # ---- your code: begins here ----
    def linear(x, name):
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        return linear_forward(x, weight, bias)[0]

    def norm(x, name):
        weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
        return layernorm_forward(x, weight, bias)[0]

    b, t = ids.shape
    wte, wpe = params["wte.weight"], params["wpe.weight"]
    x = wte[ids] + wpe[:t]      # (B, T, C)
    c = x.shape[-1]
    visible = np.tri(t, dtype=bool)
    all_weights = []
    layer = 0
    while f"h.{layer}.ln_1.weight" in params:
        h = f"h.{layer}"
        qkv = linear(norm(x, f"{h}.ln_1"), f"{h}.attn.c_attn")  # (B, T, 3C)
        q, k, v = (part.reshape(b, t, n_head, -1).swapaxes(1, 2)
                   for part in np.split(qkv, 3, axis=-1))       # (B, H, T, D)
        scores = q @ k.swapaxes(-1, -2) / math.sqrt(c // n_head)
        weights, _ = softmax_forward(np.where(visible, scores, -np.inf))
        all_weights.append(weights)
        mixed = (weights @ v).swapaxes(1, 2).reshape(b, t, c)   # (B, T, C)
        x = x + linear(mixed, f"{h}.attn.c_proj")
        hidden, _ = gelu_forward(linear(norm(x, f"{h}.ln_2"), f"{h}.mlp.c_fc"))
        x = x + linear(hidden, f"{h}.mlp.c_proj")
        layer += 1
    logits = norm(x, "ln_f") @ wte.T    # (B, T, V)
    return logits, np.stack(all_weights)
    # ---- your code: ends here ----


def generate(params, ids, count, *, n_head):
    """ids (T,) and `count` tokens more, each the best one: (T + count,)."""
    # writing, greedily
    # ---- your code: begins here ----
    ids = list(ids)
    longest = len(params["wpe.weight"])
    for _ in range(count):
        logits, _ = forward(params, np.array([ids[-longest:]]), n_head=n_head)
        ids.append(int(logits[0, -1].argmax()))
    return np.array(ids)
    # ---- your code: ends here ----


def read(path):
    """Given: all arrays of a .safetensors file, in float64."""
    from safetensors.numpy import load_file

    tensors = load_file(path)
    return {name: array.astype(np.float64) for name, array in tensors.items()}


def small_checkpoint(folder):
    """Given: a small GPT-2 that learns to repeat three tokens, as a file."""
    from npgpt import GPT2, GPT2Config

    model = GPT2.init(GPT2Config(
        vocab_size=10, n_positions=16, n_embd=16, n_layer=2, n_head=2))
    rng = np.random.default_rng(0)
    m = {name: np.zeros_like(p) for name, p in model.params.items()}
    v = {name: np.zeros_like(p) for name, p in model.params.items()}
    for step in range(1, 101):
        ids = np.tile(rng.integers(0, 10, (32, 3)), 6)[:, :17]
        targets = ids[:, 1:].copy()
        targets[:, :2] = -100       # the first three tokens are anybody's guess
        _, grads = model.loss_and_grads(ids[:, :-1], targets)
        for name, p in model.params.items():
            m[name] += 0.1 * (grads[name] - m[name])
            v[name] += 0.01 * (grads[name] ** 2 - v[name])
            mhat, vhat = m[name] / (1 - 0.9**step), v[name] / (1 - 0.99**step)
            p -= 0.02 * mhat / (np.sqrt(vhat) + 1e-8)
    model.save(folder)
    return Path(folder) / "model.safetensors", model


if __name__ == "__main__":
    # with the path of a model.safetensors, as `npgpt pull gpt2` gets it, this
    # runs that model
    own = [path for path in sys.argv[1:] if path.endswith(".safetensors")]
    if own:
        params = parameters(read(own[0]))
        ids = [464, 3280, 318]      # "The answer is"
        n_head = params["wte.weight"].shape[1] // 64    # D is 64 in every GPT-2
    else:
        with tempfile.TemporaryDirectory() as folder:
            path, model = small_checkpoint(folder)
            params, n_head, ids = parameters(read(path)), 2, [2, 5, 7]
            ours, _ = forward(params, np.array([ids]), n_head=n_head)
        off = np.abs(ours[0] - model.logits(ids)).max()
        print(f"logits differ from npgpt's by {off:.0e}")
    written = generate(params, ids, 9, n_head=n_head)
    print("it reads", *ids, "and writes", *written[len(ids):])
    if own:
        from npgpt.text import BPETokenizer

        print("in words:", BPETokenizer().decode(written))
    _, weights = forward(params, written[None], n_head=n_head)
    print("\nwhere the heads look: how widely, of what is possible, and the "
          "weight on ...")
    print("                    widely   itself  2 before  the first")
    for layer, heads in enumerate(weights[:, 0]):
        for head, rows in enumerate(heads):
            logs = np.log(np.where(rows > 0, rows, 1.0))
            entropy = -(rows * logs).sum() / len(rows)
            bound = math.lgamma(len(rows) + 1) / len(rows)
            itself, two_before = (np.diag(rows, -n).mean() for n in (0, 2))
            print(f"layer {layer:2}, head {head:2}  {entropy / bound:8.0%} "
                  f"{itself:8.2f}  {two_before:8.2f}  {rows[:, 0].mean():9.2f}")
