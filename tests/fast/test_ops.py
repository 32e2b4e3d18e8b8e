"""Every fast op against its textbook: values, gradients, and the layer contract.

The gradient check of every fast op is in tests/selfcheck/test_check.py.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import npgpt
from npgpt.config import ACTIVATIONS
from npgpt.fast.ops import FAST as fast
from npgpt.ops import TEXTBOOK as textbook
from npgpt.selfcheck.cases import Case, FixedUniform, cases
from npgpt.tape import Tape

from ..wrong_shapes import WRONG_SHAPES

TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


def run(op, inputs, settings, dout_seed=0):
    """out, and the gradients for a random dout."""
    out, cache = op.forward(*inputs, **copy.deepcopy(settings))
    dout = np.random.default_rng(dout_seed).standard_normal(out.shape).astype(out.dtype)
    return out, dense(op.backward(dout, cache)), dout, cache


def dense(grads):
    """A sparse gradient is an array as soon as it is asked for one."""
    return tuple(None if g is None else np.asarray(g) for g in grads)


def assert_close(got, wanted, tolerance, what, floor=1e-3):
    assert got.shape == wanted.shape, what
    assert got.dtype == wanted.dtype, what
    gap = np.linalg.norm((got - wanted).astype(np.float64))
    size = np.linalg.norm(wanted.astype(np.float64)) + np.sqrt(wanted.size) * floor
    assert gap <= tolerance * size, f"{what}: {gap / size:.1e}"


def assert_same_meaning(name, inputs, settings, tolerance, floor=1e-3):
    out, grads, _, _ = run(textbook.named()[name], inputs, settings)
    fast_out, fast_grads, _, _ = run(fast.named()[name], inputs, settings)
    assert_close(fast_out, out, tolerance, f"{name} out", floor)
    assert len(fast_grads) == len(grads)
    for i, (fast_grad, grad) in enumerate(zip(fast_grads, grads)):
        assert (fast_grad is None) == (grad is None), f"{name} gradient {i}"
        if grad is not None:
            assert_close(fast_grad, grad, tolerance, f"{name} gradient {i}", floor)


def ids(case: Case) -> str:
    return case.label


def with_strides(array):
    """The same numbers, every second one of a larger array, axes stored backwards."""
    if array is None or array.ndim == 0 or array.size == 0:
        return array
    wide = np.full([2 * n for n in array.shape[::-1]], 99, array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)].T
    view[...] = array
    return view


def test_every_file_is_named_like_the_layer_it_speeds_up_and_names_its_textbook():
    folder = Path(npgpt.__file__).parent
    layers = {path.stem for path in folder.glob("layers/*.py")}
    kernels = [path for path in folder.glob("fast/*.py")
               if path.stem not in ("__init__", "ops", "blocks", "scores", "activations")]
    assert {path.stem for path in kernels} <= layers
    assert [path.name for path in kernels
            if f"Textbook   npgpt.layers.{path.stem}\n" not in path.read_text("utf-8")] == []


def test_what_is_not_quicker_is_the_textbooks():
    """Measured by `python -m benchmarks --only ops`, all but identity, which computes nothing."""
    same = {name for name, op in fast.named().items() if op is textbook.named()[name]}
    assert same == {"identity", "residual", "weight_norm", "pad_zeros", "scale_queries",
                    "entropy_penalty", "low_rank_update", "low_rank"}
    assert all(op.name == name for name, op in fast.named().items())


@pytest.mark.smoke
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [0, 1, 2])
def test_every_op_means_what_its_textbook_means(dtype, batch):
    for case in cases(dtype=dtype, batch=batch):
        assert_same_meaning(case.op_name, case.inputs, case.settings, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_strided_input_gives_the_same_as_contiguous(dtype):
    for case in cases(dtype=dtype):
        inputs = [with_strides(a) for a in case.inputs]
        assert_same_meaning(case.op_name, inputs, case.settings, TOLERANCE[dtype])


@pytest.mark.parametrize("case", cases(), ids=ids)
def test_inputs_are_never_written_to_and_backward_gives_the_same_twice(case):
    frozen = [None if a is None else a.copy() for a in case.inputs]
    for array in frozen:
        if array is not None:
            array.flags.writeable = False
    out, first, dout, cache = run(fast.named()[case.op_name], frozen, case.settings)
    dout.flags.writeable = False
    before = [None if g is None else g.copy() for g in first]
    second = dense(fast.named()[case.op_name].backward(dout, cache))
    for a, b in zip(before, second):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


# cases whose forward is a kernel of this room; a rate of 0 passes anything through
KERNELS = [case for case in cases()
           if fast.named()[case.op_name].forward.__module__.startswith("npgpt.fast")
           and case.settings.get("rate") != 0.0]


@st.composite
def calls(draw, name):
    """Inputs and settings for one op: sizes from 0 on, both types, contiguous or not."""
    b, t, past = draw(st.integers(0, 3)), draw(st.integers(0, 9)), draw(st.integers(0, 4))
    h, d, f = draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(0, 7))
    vocab, c = draw(st.integers(1, 9)), draw(st.integers(0, 6))
    if name in ("softmax", "layernorm", "weight_norm"):
        c = max(c, 1)           # the textbook has no maximum, mean or direction of nothing
    dtype = draw(st.sampled_from(["float32", "float64"]))
    bias = draw(st.booleans())
    activation = draw(st.sampled_from(list(ACTIVATIONS)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    def maybe(*shape):
        return normal(*shape) if bias else None

    def integers(below, *shape):
        return rng.integers(0, below, shape)

    x, slope = normal(b, t, c), np.array([0.3], dtype)
    source = {"rate": 0.3, "rng": FixedUniform(draw(st.integers(0, 9)))} if bias else {}
    targets = np.where(rng.random((b, t)) < 0.2, -100, integers(vocab, b, t))
    network = [x, normal(c, f), maybe(f), normal(f, c), maybe(c)]
    learned = [slope] if activation == "leaky_relu" else []
    inputs, given_settings = {
        "leaky_relu": ([x, slope], {}),
        "residual": ([x, normal(b, t, c)], {}),
        "dropout": ([x], source or {"rate": 0.0}),
        # a single channel has variance 0, and rstd = 1 / sqrt(eps) magnifies every rounding
        "layernorm": ([x, normal(c), normal(c)], {"eps": 1e-1}),
        "linear": ([x, normal(c, f), maybe(f)], {}),
        "weight_norm": ([normal(c, f) + 1, normal(f)], {}),
        "pad_zeros": ([normal(c)], {"size": c + f}),
        "scale_queries": ([normal(b, t, 3 * c)], {"factor": 0.7}),
        "low_rank_update": ([normal(c, f), normal(c, h), normal(h, f)], {"scale": 0.5}),
        "low_rank": ([x, normal(c, h), normal(h, f)], {"scale": 0.5}),
        "token_embedding": ([integers(vocab, b, t), normal(vocab, c)], {}),
        "position_embedding": ([x, normal(t + past, c), np.arange(t) + past], {}),
        "unembedding": ([x, normal(vocab, c)], {}),
        "causal_attention": ([normal(b, h, t, d), normal(b, h, t + past, d),
                              normal(b, h, t + past, f)], source),
        "multi_head_attention": ([normal(b, t, 3 * h * d)], {"n_head": h, **source}),
        "attention_entropy": ([normal(b, t, 3 * h * d)], {"n_head": h}),
        "entropy_penalty": ([normal(h), normal(h)],
                            {"weight": 0.7, "tolerance": 0.1, "bound": 2.0}),
        "cross_entropy": ([normal(b, t, vocab), targets], {}),
        "linear_cross_entropy": ([x, normal(vocab, c), targets], {}),
        "feed_forward": ([*network, *learned], {"activation": activation}),
        "swiglu": ([x, normal(c, f), maybe(f), *network[1:]], {}),
    }.get(name, ([x], {}))
    if activation == "swiglu" and name == "feed_forward":
        given_settings["activation"] = "silu"
    if draw(st.booleans()):
        inputs = [with_strides(a) for a in inputs]
    return inputs, given_settings, dtype


@pytest.mark.parametrize("name", list(textbook.named()))
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_every_op_is_its_textbook_for_any_sizes_types_and_strides(name, data):
    inputs, given_settings, dtype = data.draw(calls(name))
    # values of unit scale: a gradient of exactly 0 is a difference of such, and rounds as they do
    assert_same_meaning(name, inputs, given_settings, 2 * TOLERANCE[dtype], floor=0.5)


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["gelu", "gelu_exact", "relu", "silu", "softmax"])
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_elementwise_ops_agree_for_any_shape_and_size(name, data):
    shape = tuple(data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=4)))
    scale = data.draw(st.sampled_from([1e-4, 1.0, 30.0]))
    dtype = data.draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x = (rng.standard_normal(shape) * scale).astype(dtype)
    assert_same_meaning(name, [x], {}, TOLERANCE[dtype])


@given(
    rows=st.integers(0, 700), width=st.integers(1, 300),
    dtype=st.sampled_from(["float32", "float64"]),
)
@settings(max_examples=20, deadline=None)
def test_layernorm_agrees_across_the_borders_of_its_blocks(rows, width, dtype):
    rng = np.random.default_rng(rows * 1000 + width)
    x, weight, bias = (
        rng.standard_normal(shape).astype(dtype) for shape in ((rows, width), width, width)
    )
    # a single channel has variance 0, and rstd = 1 / sqrt(eps) magnifies every rounding
    assert_same_meaning("layernorm", [x, weight, bias], {"eps": 1e-2}, 5 * TOLERANCE[dtype])


@pytest.mark.smoke
@given(
    b=st.integers(1, 3), h=st.integers(1, 5), t=st.integers(1, 290),
    past=st.sampled_from([0, 1, 37]), d=st.integers(1, 9),
    scale=st.sampled_from([1.0, 60.0]), rate=st.sampled_from([0.0, 0.3]),
)
@settings(max_examples=25, deadline=None)
def test_attention_agrees_across_stacks_blocks_and_both_ways_of_exp(b, h, t, past, d, scale, rate):
    rng = np.random.default_rng(t * 100 + h)
    q = rng.standard_normal((b, h, t, d)) * scale
    k, v = rng.standard_normal((2, b, h, t + past, d))
    source = {"rate": rate, "rng": np.random.default_rng(7)} if rate else {}
    assert_same_meaning("causal_attention", [q, k, v], source, 1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_attention_survives_scores_of_ten_thousand(dtype):
    rng = np.random.default_rng(0)
    q, k, v = rng.standard_normal((3, 1, 2, 40, 4)).astype(dtype)
    # one key of the future has by far the largest score: it must not decide the maximum
    k[:, :, -1] *= 1e3
    inputs = [q * np.asarray(100, dtype), k * np.asarray(100, dtype), v]
    out, grads, _, _ = run(textbook.causal_attention, inputs, {})
    fast_out, fast_grads, _, _ = run(fast.causal_attention, inputs, {})
    assert_close(fast_out, out, 20 * TOLERANCE[dtype], "out")
    # weights are 0 or 1, so dq and dk are differences of equal numbers: as exact as their terms
    terms = [np.abs(inputs[1]).max(), np.abs(inputs[0]).max(), 1.0]
    for fast_grad, grad, term in zip(fast_grads, grads, terms):
        assert np.abs(fast_grad - grad).max() <= 20 * TOLERANCE[dtype] * term


def test_attention_saves_no_square_of_the_context():
    t, h = 640, 3
    qkv = np.random.default_rng(0).standard_normal((1, t, 3 * h * 8)).astype(np.float32)
    for rate in (0.0, 0.2):
        source = {"rate": rate, "rng": np.random.default_rng(0)} if rate else {}
        _, cache = fast.multi_head_attention.forward(qkv, n_head=h, **source)
        assert biggest_array(cache) < t * t


def biggest_array(cache):
    if isinstance(cache, np.ndarray):
        return cache.nbytes
    if isinstance(cache, dict):
        cache = list(cache.values())
    if isinstance(cache, (tuple, list)):
        return max((biggest_array(part) for part in cache), default=0)
    return 0


@pytest.mark.parametrize("name", ["causal_attention", "dropout"])
def test_dropout_without_a_generator_or_with_an_impossible_rate_is_rejected(name):
    x = np.ones((1, 2, 3, 4))
    inputs = [x] * (3 if name == "causal_attention" else 1)
    with pytest.raises(ValueError, match="pass rng="):
        fast.named()[name].forward(*inputs, rate=0.5)
    with pytest.raises(ValueError, match=r"\[0, 1\).*got 1.5"):
        fast.named()[name].forward(*inputs, rate=1.5, rng=np.random.default_rng(0))


@pytest.mark.smoke
def test_large_arrays_on_threads_agree_with_the_textbook(two_threads):
    rng = np.random.default_rng(3)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    x, c, f, v = normal(5, 111, 80), 80, 700, 1001
    targets = rng.integers(0, v, (5, 111))
    targets[1, 4:9] = -100
    examples = [
        ("gelu", [normal(600, 700)], {}),
        ("softmax", [normal(600, 700)], {}),
        ("dropout", [normal(601, 703)], {"rate": 0.3, "rng": np.random.default_rng(0)}),
        ("layernorm", [normal(700, 600), normal(600), normal(600)], {}),
        ("linear", [x, normal(c, f), normal(f)], {}),
        ("unembedding", [x, normal(v, c)], {}),
        ("feed_forward", [x, normal(c, f) * 0.1, normal(f), normal(f, c) * 0.03, normal(c)], {}),
        ("linear_cross_entropy", [x, normal(v, c) * 0.1, targets], {}),
        ("cross_entropy", [normal(5, 111, v), targets], {}),
        ("multi_head_attention", [normal(3, 200, 3 * 64)], {"n_head": 4}),
        ("token_embedding", [rng.integers(0, 50, (5, 111)), normal(50, c)], {}),
    ]
    for name, inputs, given_settings in examples:
        assert_same_meaning(name, inputs, given_settings, 5e-5)


def test_logits_of_a_thousand_and_targets_all_ignored_give_loss_and_gradients():
    x = np.array([[1000.0, 0.0], [0.0, 1000.0]])
    weight = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    for targets in (np.array([0, 0]), np.array([-100, -100])):
        assert_same_meaning("linear_cross_entropy", [x, weight, targets], {}, 1e-12)


def test_the_loss_without_a_tape_is_the_loss_with_one():
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((4, 9, 6)), rng.standard_normal((11, 6))
    targets = rng.integers(0, 11, (4, 9))
    targets[0, :3] = -100
    taped = fast.linear_cross_entropy(Tape().watch(x), weight, targets)
    plain = fast.linear_cross_entropy(x, weight, targets)
    np.testing.assert_allclose(plain, taped.value, rtol=1e-14)
    assert plain.shape == ()


@pytest.mark.parametrize("case", KERNELS, ids=ids)
def test_a_kernel_rejects_complex_input_and_says_who_takes_it(case):
    inputs = [
        a.astype(complex) if a is not None and a.dtype.kind == "f" else a for a in case.inputs
    ]
    with pytest.raises(TypeError, match="the textbook's ops take complex numbers"):
        fast.named()[case.op_name].forward(*inputs, **copy.deepcopy(case.settings))


@pytest.mark.parametrize("op, inputs, settings, says", WRONG_SHAPES)
def test_wrong_shapes_are_rejected_in_the_words_of_the_textbook(op, inputs, settings, says):
    errors = []
    for ops in (textbook, fast):
        with pytest.raises(ValueError) as error:
            ops.named()[op](*inputs, **settings)
        errors.append(str(error.value))
    assert errors[0] == errors[1] and says in errors[0]


@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool])
@pytest.mark.parametrize("op, settings", [
    ("dropout", {"rate": 0.5, "rng": np.random.default_rng(0)}), ("gelu", {}), ("softmax", {}),
])
def test_integers_and_half_precision_are_rejected(op, settings, dtype):
    with pytest.raises(TypeError, match=f"float32 or float64, got {np.dtype(dtype)}$"):
        fast.named()[op](np.ones((2, 3), dtype), **settings)


FLOATS = [(case, i) for case in cases() for i, a in enumerate(case.inputs)
          if a is not None and a.dtype.kind == "f"
          and sum(b is not None and b.dtype.kind == "f" for b in case.inputs) > 1]


@pytest.mark.parametrize("case, one", FLOATS, ids=lambda value: getattr(value, "label", value))
@pytest.mark.parametrize("narrow, wide", [("float32", "float64"), ("float64", "float32")])
def test_one_array_of_another_type_gives_the_wider_type(case, one, narrow, wide):
    inputs = [a if a is None or a.dtype.kind != "f" else a.astype(narrow if i == one else wide)
              for i, a in enumerate(case.inputs)]
    outs, grads = [], []
    for ops in (fast, textbook):
        op = ops.named()[case.op_name]
        out, cache = op.forward(*inputs, **copy.deepcopy(case.settings))
        outs.append(out)
        grads.append(dense(op.backward(np.ones_like(out), cache)))
    # where a part of the work is done in the narrower type, its digits are all there are
    assert_close(*outs, 5e-6, case.label)
    for got, wanted in zip(*grads, strict=True):
        if got is not None:
            np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case, one", [
    (case, i) for case in KERNELS for i, a in enumerate(case.inputs)
    if a is not None and a.dtype.kind == "f"
], ids=lambda value: getattr(value, "label", value))
@pytest.mark.parametrize("dtype", ["complex128", "float16", "int64"])
def test_one_array_of_an_unfit_type_is_rejected_wherever_it_stands(case, one, dtype):
    inputs = list(case.inputs)
    inputs[one] = inputs[one].astype(dtype)
    with pytest.raises(TypeError, match=f"float32 or float64, got {dtype}"):
        fast.named()[case.op_name].forward(*inputs, **copy.deepcopy(case.settings))


@pytest.mark.parametrize("case", [case for case in cases() if fast.named()[case.op_name].frozen],
                         ids=ids)
def test_with_frozen_weights_an_op_gives_the_same_and_x_the_same_gradient(case):
    op = fast.named()[case.op_name]
    out, grads, dout, _ = run(op, case.inputs, case.settings)
    tape = Tape()
    x = tape.watch(case.inputs[0])
    made = op(x, *case.inputs[1:], **case.settings)
    assert tape.entries[-1].op is op.frozen
    np.testing.assert_allclose(made.value, out, rtol=1e-13)
    np.testing.assert_allclose(tape.backward(made, dout)[x], grads[0], rtol=1e-10, atol=1e-14)
