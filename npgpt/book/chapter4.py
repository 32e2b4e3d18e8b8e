"""Chapter 4, the model: LayerNorm, GELU, shortcuts, parameter counts, and GPT-2 before training."""

from __future__ import annotations

from typing import Iterator

import numpy as np

from .. import model as _model
from ..budget import budget
from ..layers.contract import Array
from ..ops import TEXTBOOK as ops
from ..tape import Tape, Var
from .figures import Figure, Parts, at
from .generator import TorchGenerator
from .initialise import GPT_CONFIG_124M, gpt2, gpt2_config
from .story import decode, encode
from .writing import write

BATCH = ("Every effort moves you", "Every day holds a")
# of rows and columns too long to print, the book prints these
ENDS = (0, 1, 2, -3, -2, -1)
MEGABYTE = 1024 * 1024


def _batch() -> Array:
    return np.stack([encode(text) for text in BATCH])


def _without_blocks() -> Iterator[Figure]:
    batch, rng = _batch(), TorchGenerator(123)
    yield at("4.1")("ids of the batch", "6109 3626 6100 345\n6109 1110 6622 257", batch)
    figure = at("4.1", "listing 4.1")
    vocab, c = GPT_CONFIG_124M["vocab_size"], GPT_CONFIG_124M["emb_dim"]
    tokens = rng.randn(vocab, c)
    positions = rng.randn(GPT_CONFIG_124M["context_length"], c)
    head, _ = rng.linear(c, vocab, bias=False)
    x = ops.position_embedding(ops.token_embedding(batch, tokens), positions, np.arange(4))
    x = ops.dropout(x, rate=GPT_CONFIG_124M["drop_rate"], rng=rng)
    scores = ops.unembedding(x, head.T)
    yield figure("without blocks: shape of the logits", "2 4 50257", scores.shape)
    yield figure("without blocks: logits, dropout on", """
        -1.2034 0.3201 -0.7130 -1.5548 -0.2390 -0.4667
        -0.1192 0.4539 -0.4432 0.2392 1.3469 1.2430
        0.5307 1.6720 -0.4695 1.1966 0.0111 0.5835
        0.0139 1.6754 -0.3388 1.1586 -0.0435 -1.0400
        -1.0908 0.1798 -0.9484 -1.6047 0.2439 -0.4530
        -0.7860 0.5581 -0.0610 0.4835 -0.0077 1.6621
        0.3567 1.2698 -0.6398 -0.0162 -0.1296 0.3717
        -0.2407 -0.7349 -0.5102 2.0057 -0.3694 0.1814""", scores[..., ENDS])


def _layernorm() -> Iterator[Figure]:
    figure, rng = at("4.2"), TorchGenerator(123)
    x = rng.randn(2, 5)
    out = ops.relu(ops.linear(x, *rng.linear(5, 6)))
    yield figure("linear layer and ReLU", """
        0.2260 0.3470 0.0000 0.2216 0.0000 0.0000
        0.2133 0.2394 0.0000 0.5198 0.3297 0.0000""", out)
    yield figure("means", "0.1324 0.2170", out.mean(axis=-1))
    yield figure("variances", "0.0231 0.0398", out.var(axis=-1, ddof=1))
    normed = (out - out.mean(axis=-1, keepdims=True)) / out.std(axis=-1, ddof=1, keepdims=True)
    yield figure("normalised", """
        0.6159 1.4126 -0.8719 0.5872 -0.8719 -0.8719
        -0.0189 0.1121 -1.0876 1.5173 0.5647 -1.0876""", normed)
    yield figure("means", "0.0000 0.0000", normed.mean(axis=-1))
    yield figure("variances", "1.0000 1.0000", normed.var(axis=-1, ddof=1))
    figure = at("4.2", "listing 4.2")
    normed = ops.layernorm(x, np.ones(5, np.float32), np.zeros(5, np.float32))
    yield figure("means after LayerNorm", "0.0000 0.0000", normed.mean(axis=-1))
    yield figure("variances after LayerNorm", "1.0000 1.0000", normed.var(axis=-1))


def _gelu() -> Iterator[Figure]:
    figure = at("4.3", "figure 4.8")
    # the book draws these curves and prints no number; PyTorch computed the ones here
    x = np.linspace(-3, 3, 100, dtype=np.float32)[::11]
    yield figure("GELU, every eleventh point drawn", """
        -0.0036 -0.0225 -0.0798 -0.1588 -0.1232
        0.2102 0.8412 1.5869 2.3108 2.9964""", ops.gelu(x), source="PyTorch")
    yield figure("ReLU, every eleventh point drawn", """
        0.0000 0.0000 0.0000 0.0000 0.0000
        0.3333 1.0000 1.6667 2.3333 3.0000""", ops.relu(x), source="PyTorch")
    fine = np.linspace(-3, 3, 60001)
    yield figure("where GELU is level", "-0.75", fine[np.argmin(ops.gelu(fine))])


def _shortcuts() -> Iterator[Figure]:
    figure = at("4.4", "listing 4.5")
    yield figure("mean gradient per layer, no shortcuts", """
        0.00020173587836325169
        0.00012011159560643137
        0.0007152039906941354
        0.0013988736318424344
        0.005049645435065031""", _mean_gradients(shortcuts=False))
    yield figure("mean gradient per layer, shortcuts", """
        0.22169792652130127
        0.20694106817245483
        0.32896995544433594
        0.2665732204914093
        1.3258540630340576""", _mean_gradients(shortcuts=True))


def _mean_gradients(shortcuts: bool) -> list[float]:
    """Mean size of the weight gradients of five small layers, for the squared error to 0."""
    rng = TorchGenerator(123)
    sizes = (3, 3, 3, 3, 3, 1)
    tape = Tape()
    x: Array | Var = np.array([[1.0, 0.0, -1.0]], np.float32)
    weights = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        weight, bias = rng.linear(n_in, n_out)
        weights.append(tape.watch(weight))
        activated = ops.gelu(ops.linear(x, weights[-1], bias))
        x = ops.residual(x, activated) if shortcuts and n_in == n_out else activated
    assert isinstance(x, Var)
    grads = tape.backward(x, 2 * x.value)
    return [float(np.abs(grads[weight]).mean()) for weight in weights]


def _counts() -> Iterator[Figure]:
    figure, c = at("4.6", "exercise 4.1"), GPT_CONFIG_124M["emb_dim"]
    yield figure("parameters of a feed-forward network", "4,722,432", 8 * c * c + 5 * c)
    yield figure("parameters of an attention", "2,360,064", 4 * c * c + c)
    for name, (emb_dim, n_layers, n_heads), untied, tied, megabytes in (
        ("small", (768, 12, 12), "163,009,536", "124,412,160", "621.83"),
        ("medium", (1024, 24, 16), "406,212,608", "354,749,440", "1549.58"),
        ("large", (1280, 36, 20), "838,220,800", "773,891,840", "3197.56"),
        ("xl", (1600, 48, 25), "1,637,792,000", "1,557,380,800", "6247.68"),
    ):
        config = gpt2_config({**GPT_CONFIG_124M, "emb_dim": emb_dim, "n_layers": n_layers,
                              "n_heads": n_heads})
        cost = budget(config)
        figure = at("4.6", "" if name == "small" else "exercise 4.2")
        yield figure(f"parameters, {name}", untied, cost.parameters)
        yield figure(f"with one table for both ends, {name}", tied,
                     budget(config.replace(tie_word_embeddings=True)).parameters)
        yield figure(f"megabytes of float32, {name}", megabytes, cost.parameter_bytes / MEGABYTE)


def _whole_model() -> Iterator[Figure]:
    batch, rng = _batch(), TorchGenerator(123)
    model = gpt2(GPT_CONFIG_124M, rng)
    x = TorchGenerator(123).rand(2, 4, 768)
    attend = _model.full_attention(model.config)
    yield at("4.5", "listing 4.6")(
        "shape after a block", "2 4 768",
        _model.block(model.params, 0, x, model.config, attend=attend).shape)
    figure = at("4.6", "listing 4.7")
    scores = _model.logits(model.params, batch, model.config, rng=rng)
    yield figure("logits before training, dropout on", """
        0.3613 0.4222 -0.0711 0.3483 0.4661 -0.2838
        -0.1792 -0.5660 -0.9485 0.0477 0.5181 -0.3168
        0.7120 0.0332 0.1085 0.1018 -0.4327 -0.2553
        -1.0076 0.3418 -0.1190 0.7195 0.4023 0.0532
        -0.2564 0.0900 0.0335 0.2659 0.4454 -0.6806
        0.1230 0.3653 -0.2074 0.7705 0.2710 0.2246
        1.0558 1.0318 -0.2800 0.6936 0.3205 -0.3178
        -0.1565 0.3926 0.3288 1.2630 -0.1858 0.0388""", scores[..., ENDS])
    yield figure("shape of the logits", "2 4 50257", scores.shape)
    yield from _counts()
    prompt = encode("Hello, I am")
    yield at("4.7")("ids of a prompt", "15496 11 314 716", prompt)
    figure = at("4.7", "listing 4.8")
    written = write(model, prompt, 6)
    yield figure("ids written before training",
                 "15496 11 314 716 27018 24086 47843 30961 42348 7267", written)
    yield figure("how many they are", "10", len(written))
    yield figure("as text", "Hello, I am Featureiman Byeswickattribute argue", decode(written))


PARTS: Parts = {
    "4.1": _without_blocks, "4.2": _layernorm, "4.3": _gelu, "4.4": _shortcuts,
    "4.5 4.6 4.7": _whole_model,
}
"""Every number that the chapter prints."""
