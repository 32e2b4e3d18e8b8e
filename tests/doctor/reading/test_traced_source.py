import ast

import numpy as np
import pytest

from benchmarks.mutant_cases import CASES
from npgpt.doctor import check, check_function, examine
from npgpt.doctor.evidence.subject import Subject
from npgpt.doctor.reading.traced_source import program

from ..pairs import normal


def written(name, *inputs, forward, backward):
    """The text of a program that was written down from a call, or None."""
    subject = Subject(forward, backward, inputs, {})
    subject.readable = False
    found = program(subject, name)
    return found and "\n".join(map(ast.unparse, found.functions[found.name].body))


@pytest.mark.parametrize("case", [case for case in CASES if not case.more], ids=lambda c: c.name)
def test_the_backward_of_every_layer_is_written_down_as_it_is(case):
    arrays, settings = case.inputs(0)
    forward, backward = case.functions()
    subject = Subject(forward, backward, arrays, settings)
    subject.readable = False
    source = program(subject, "backward")
    out, cache = subject.run()
    for given, true in zip(source.build()(out, cache), subject.call_backward(out, cache)):
        assert given is true is None or np.allclose(given, true, rtol=1e-12)


def test_names_and_lines_are_those_of_the_function():
    space = {"np": np}
    exec("""def backward(dout, cache):
    xhat, rstd, weight = cache
    dxhat = dout * weight
    dxhat -= dxhat.mean(-1, keepdims=True)
    dx = rstd * (dxhat - xhat * (dxhat * xhat).mean(-1, keepdims=True))
    return dx,""", space)
    x, w = normal(0, 3, 4), normal(1, 4)
    subject = Subject(lambda x: (x, (x, x[:, :1], w)), space["backward"], [x], {})
    source = program(subject, "backward")
    body = source.functions["backward"].body
    assert [ast.unparse(line) for line in body][-3:-1] == [
        "dxhat = dout * weight", "dxhat -= dxhat.mean(-1, keepdims=True)"]
    assert [source.line("backward", line) for line in body][-3:] == [3, 4, 5]


def test_rows_added_to_a_new_array_are_followed():
    def backward(dout, cache):
        ids, shape = cache
        dtable = np.zeros(shape)
        dtable[ids] += dout
        return None, dtable

    ids = np.array([0, 2, 2])
    text = written("backward", ids, normal(0, 3, 4), forward=lambda i, t: (t[i], (i, t.shape)),
                   backward=backward)
    assert "dtable[ids] += dout" in text and "dtable = np.zeros((3, 4))" in text


def test_what_leaves_the_arrays_is_not_believed():
    def backward(dout, x):
        return (2 * x * np.array([float(d) for d in dout]),)

    assert written(
        "backward", normal(0, 5), forward=lambda x: (x * x, x), backward=backward) is None


def test_a_method_and_an_object_as_the_cache_are_followed():
    class Square:
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self, dout):
            return dout * self.x

    def forward(x):
        layer = Square()
        return layer.forward(x), layer

    report = check(forward, lambda dout, layer: layer.backward(dout), normal(0, 2, 3))
    assert report.kinds == ["factor"]


W, G = normal(5, 4, 4), normal(6, 4)


def softmax(x):
    e = np.exp(x - x.real.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v):
    p = softmax(q @ k.swapaxes(-1, -2) / 2.0)
    return p @ v, (q, k, v, p)


def attention_backward(dout, cache):
    q, k, v, p = cache
    dp = dout @ v.swapaxes(-1, -2)
    ds = p * (dp - (dp * p).sum(-1, keepdims=True)) / 2.0
    return ds @ k, ds @ q, p.swapaxes(-1, -2) @ dout  # dK without its transpose


def rows(dout, cache):
    ids, shape = cache
    dtable = np.zeros(shape)
    dtable[ids] = dout
    return None, dtable


@pytest.mark.parametrize("forward, backward, inputs, kind", [
    (lambda x, w: (x @ w, (x, w)), lambda d, c: (d @ c[1], c[0].T @ d),
     (normal(0, 3, 4), W), "transposed"),
    (lambda x: (softmax(x),) * 2, lambda d, s: (d * s * (1 - s),), (normal(0, 3, 4),),
     "softmax-diagonal"),
    (lambda x, g: (x * x * g, (x, g)), lambda d, c: (2 * d * c[0], (d * c[0] ** 2).sum(0)),
     (normal(0, 3, 4), G), "missing-factor"),
    (lambda x: (np.tanh(x),) * 2, lambda d, t: (d * (1 - t),), (normal(0, 3, 4),),
     "missing-factor"),
    (attention, attention_backward, [normal(k, 3, 4) for k in range(3)], "transposed"),
    (lambda i, t: (t[i], (i, t.shape)), rows, (np.array([0, 2, 2]), normal(0, 3, 4)),
     "repeated-ids-overwritten"),
], ids=["dx = dout @ W", "softmax's diagonal", "gain", "1 - t", "dK", "last write"])
def test_faults_without_readable_source_are_named(forward, backward, inputs, kind):
    subject = Subject(forward, backward, inputs, {})
    subject.readable = False
    assert examine(subject).kinds == [kind]


def square_loss(x):
    return (x * x).sum()


def square_grad(x):
    twice = 3 * x
    return twice


def test_a_lambda_without_source_is_seen_through_to_the_functions_that_it_calls():
    space = {"square_loss": square_loss, "square_grad": square_grad}
    f, grad = (eval(f"lambda x: {name}(x)", space) for name in ("square_loss", "square_grad"))
    found = check_function(f, grad, normal(0, 2, 3)).findings[0]
    line = square_grad.__code__.co_firstlineno + 1
    assert f"line {line} of square_grad has" in found.message.replace("Line", "line")
