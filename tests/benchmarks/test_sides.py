"""The contestants at small sizes: each does the work that its row names."""


import numpy as np
import pytest

from benchmarks import sizes
from benchmarks.limits import UNITS
from benchmarks.sides import npgpt_floor, npgpt_gpt, npgpt_limits, npgpt_ops
from npgpt import GPT2Config
from npgpt.fast import scores
from npgpt.generation.fast_reader import FastReader
from npgpt.ops import TEXTBOOK as ops
from npgpt.ops import Ops
from npgpt.tape import Op

SMALL = {"vocab_size": 11, "n_positions": 24, "n_embd": 8, "n_layer": 2, "n_head": 2}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setitem(sizes.SIZES, "recipe", (SMALL, 4, 6))
    monkeypatch.setitem(sizes.STEPS, "recipe", 3)
    for name, value in {"T": 16, "C": 8, "F": 12, "V": 11, "H": 2}.items():
        monkeypatch.setitem(sizes.OP_SHAPES, name, value)
    for name in list(sizes.LIMIT_SHAPES):
        monkeypatch.setitem(sizes.LIMIT_SHAPES, name, (4, 8, 16))
    monkeypatch.setattr(npgpt_limits, "WEIGHTS_READ", (64, 16))
    monkeypatch.setattr(npgpt_limits, "_TILES", 1)
    monkeypatch.setattr(npgpt_gpt.GPT2Config, "named", lambda name: GPT2Config.from_dict(SMALL))


@pytest.fixture
def workers_close(monkeypatch):
    """A contestant's workers end with its process, which here lives on."""
    made, workers = [], npgpt_gpt.Workers
    monkeypatch.setattr(npgpt_gpt, "Workers", lambda n: made.append(workers(n)) or made[-1])
    yield
    for one in made:
        one.close()


@pytest.mark.usefixtures("workers_close")
@pytest.mark.parametrize("settings", [{}, {"recompute": True}])
def test_training_makes_as_many_updates_as_a_repetition_has_steps(monkeypatch, settings):
    seen = []
    adamw = npgpt_gpt.adamw_step
    monkeypatch.setattr(npgpt_gpt, "adamw_step", lambda *arrays, step, **settings: (
        seen.append(step), adamw(*arrays, step=step, **settings)))
    once = npgpt_gpt.prepare("train", size="recipe", **settings)
    assert once() == once() == {"per": 3}
    assert seen == [1, 2, 3, 4, 5, 6]


def test_a_short_step_is_taken_several_times_for_one_time_of_it():
    small, large = ({"vocab_size": 256, "n_embd": width, "n_layer": 4} for width in (256, 4096))
    assert sizes.steps_of("gpt2-64") == 1
    # 3.2 million weights, 256 positions: 5e9 multiplications and additions
    assert sizes.steps_of([small, 4, 64]) == 10
    assert sizes.steps_of([large, 4, 64]) == 1
    assert sizes.steps_of([small, 1, 1]) == sizes.MOST_STEPS


def read_shapes(monkeypatch):
    shapes, read = [], FastReader.read
    monkeypatch.setattr(FastReader, "read", lambda self, rows, ids, *rest: (
        shapes.append(ids.shape), read(self, rows, ids, *rest))[1])
    return shapes


def test_prefill_reads_all_tokens_at_once_again_and_again(monkeypatch):
    shapes = read_shapes(monkeypatch)
    once = npgpt_gpt.prepare("prefill", tokens=20)
    once(), once()
    assert shapes == [(1, 20)] * 2


@pytest.mark.parametrize("int8", [False, True])
def test_decoding_reads_a_prompt_and_then_its_own_tokens_one_by_one(monkeypatch, int8):
    shapes = read_shapes(monkeypatch)
    once = npgpt_gpt.prepare("decode", tokens=5, int8=int8)
    assert once() == once() == {"per": 5}
    assert shapes == [(1, 16), *[(1, 1)] * 4] * 2


def test_the_floor_has_every_matmul_of_the_linear_layers_and_the_head(monkeypatch):
    flops, matmuls = [], npgpt_floor.matmuls
    monkeypatch.setattr(npgpt_floor, "matmuls", lambda jobs: (
        flops.extend(2 * a.shape[0] * a.shape[1] * b.shape[1] for a, b, _ in jobs),
        matmuls(jobs)))
    assert npgpt_floor.prepare("recipe")() == {"per": 3}
    c, v, positions = SMALL["n_embd"], SMALL["vocab_size"], 4 * 6
    # forward, and twice as much backward
    assert sum(flops) == 3 * 3 * 2 * positions * (SMALL["n_layer"] * 12 * c * c + v * c)


def test_the_floor_has_two_matmuls_of_attention_forward_and_four_backward(monkeypatch):
    flops, matmul = [], npgpt_floor.matmul
    monkeypatch.setattr(npgpt_floor, "matmul", lambda a, b: (
        flops.append(2 * a.size * b.shape[-1]), matmul(a, b))[1])
    monkeypatch.setattr(scores, "QUERIES", 2)
    npgpt_floor.prepare("recipe")()
    # blocks of two queries against 2, 4 and 6 keys: a little more than the causal half
    assert sum(flops) == 3 * 6 * SMALL["n_layer"] * 2 * 4 * SMALL["n_embd"] * 2 * (2 + 4 + 6)


def test_the_ops_row_has_every_op_that_computes_something():
    assert {name for name, *_ in npgpt_ops.examples().values()} == set(ops.named()) - {
        "identity", "scale_queries"}


@pytest.mark.parametrize("which", ["fast", "textbook"])
def test_every_ops_forward_and_backward_are_timed_each_on_its_own(monkeypatch, which):
    """By a clock that only the ops move: a second forward, a thousand backward."""
    now, module = [0.0], getattr(npgpt_ops, which)

    def moves(call, seconds):
        def moved(*inputs, **given):
            now[0] += seconds
            return call(*inputs, **given)
        return moved

    slowed = Ops(**{
        name: Op(name, forward=moves(op.forward, 1), backward=moves(op.backward, 1000))
        for name, op in module.named().items()})
    monkeypatch.setattr(npgpt_ops, which, slowed)
    monkeypatch.setattr(npgpt_ops.time, "perf_counter", lambda: now[0])
    assert npgpt_ops.prepare(which)() == {name: [1, 1000] for name in npgpt_ops.examples()}


def test_every_limit_is_a_rate():
    rates = npgpt_limits.prepare()()
    assert set(rates) == {*sizes.LIMIT_SHAPES, *UNITS} and min(rates.values()) > 0


@pytest.mark.parametrize("name", [
    "gelu", "gelu_exact", "silu", "relu", "leaky_relu", "softmax", "residual", "layernorm",
    "linear", "weight_norm", "pad_zeros", "feed_forward", "swiglu", "attention",
    "attention_short", "causal_attention", "attention_entropy", "entropy_penalty",
    "token_embedding", "position_embedding", "unembedding", "cross_entropy", "head_and_loss"])
def test_pytorchs_column_computes_the_same(name):
    torch_ops = pytest.importorskip("benchmarks.sides.torch_ops")
    op_name, inputs, settings = npgpt_ops.examples()[name]
    op = ops.named()[op_name]
    out, cache = op.forward(*inputs, **settings)
    dout = np.random.default_rng(1).standard_normal(out.shape).astype(np.float32)
    tensors = torch_ops.tensors(name, inputs)
    theirs = torch_ops.OPS[name](*tensors)
    np.testing.assert_allclose(theirs.detach().numpy(), out, rtol=1e-4, atol=1e-6)
    theirs.backward(torch_ops.torch.from_numpy(dout))
    grads = [t.grad for t in tensors if t.is_floating_point()]
    # ids and positions have none
    computed = [grad for grad in op.backward(dout, cache) if grad is not None]
    for ours, grad in zip(computed, grads, strict=True):
        grad = grad.numpy().T if grad.shape != ours.shape else grad.numpy()
        np.testing.assert_allclose(grad, ours, rtol=1e-3, atol=1e-5)


def test_pytorch_times_the_same_ops_and_limits_and_makes_as_many_steps():
    torch_ops = pytest.importorskip("benchmarks.sides.torch_ops")
    from benchmarks.sides import torch_gpt

    assert list(torch_ops.prepare()()) == list(npgpt_ops.examples())
    assert torch_gpt.prepare("train", size="recipe", mode="eager")() == {"per": 3}


@pytest.mark.parametrize("mode", ["eager", "bf16"])
def test_transformers_give_the_last_logits_alone_and_as_many_tokens_as_asked(monkeypatch, mode):
    hugging_face = pytest.importorskip("benchmarks.sides.hugging_face")
    real, seen = hugging_face.GPT2LMHeadModel, []

    class Watched(real):
        def forward(self, *inputs, **given):
            out = super().forward(*inputs, **given)
            ids = inputs[0] if inputs else given["input_ids"]
            seen.append((ids.shape[1], out.logits.shape[1]))
            assert str(out.logits.dtype) == ("torch.bfloat16" if mode == "bf16" else
                                             "torch.float32")
            return out

    config = hugging_face.GPT2Config
    monkeypatch.setattr(hugging_face, "GPT2LMHeadModel", Watched)
    monkeypatch.setattr(hugging_face, "GPT2Config",
                        lambda **given: config(n_embd=8, n_layer=2, n_head=2, **given))
    hugging_face.prepare("prefill", 20, mode)()
    assert seen == [(20, 1)]
    seen.clear()
    assert hugging_face.prepare("decode", 5, mode)() == {"per": 5}
    assert [length for length, _ in seen] == [16, 1, 1, 1, 1]
