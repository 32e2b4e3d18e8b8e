"""What a place allows: faults in loops, in numbers and indices, and two that share gradients."""

import numpy as np
import pytest

from npgpt.doctor import check, check_loss


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def gru_forward(x, wz, wr, wh):
    h = np.zeros((len(x) + 1, x.shape[1]), x.dtype)
    z, r, n = (np.zeros_like(x) for _ in range(3))
    for t in range(len(x)):
        z[t] = sigmoid(x[t] + h[t] * wz)
        r[t] = sigmoid(x[t] + h[t] * wr)
        n[t] = np.tanh(x[t] + r[t] * h[t] * wh)
        h[t + 1] = (1 - z[t]) * n[t] + z[t] * h[t]
    return h[1:], (h, z, r, n, wz, wr, wh)


GRU = """
import numpy as np

def gru_backward(dout, cache):
    h, z, r, n, wz, wr, wh = cache
    dx, dnext = np.zeros_like(dout), np.zeros(dout.shape[1])
    dwz, dwr, dwh = np.zeros_like(wz), np.zeros_like(wr), np.zeros_like(wh)
    for t in reversed(range(len(dout))):
        dh = dout[t] + dnext
        dn = dh * (1 - z[t]) * (1 - n[t] ** 2)
        dz = dh * (h[t] - n[t]) * z[t] * (1 - z[t])
        dr = dn * h[t] * wh * r[t] * (1 - r[t])
        dwh += dn * r[t] * h[t]
        dwz += dz * h[t]
        dwr += dr * h[t]
        dx[t] = dn + dz + dr
        dprev = dh * z[t]
        dprev += dn * r[t] * wh
        dprev += dz * wz
        dprev += dr * wr
        dnext = dprev
    return dx, dwz, dwr, dwh
"""


def inputs(*shapes):
    rng = np.random.default_rng(3)
    return [rng.standard_normal(shape) for shape in shapes]


def loaded(text, folder, *changes):
    """The last function of a file with changes in it."""
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path = folder / "mine.py"
    path.write_text(text)
    space = {}
    exec(compile(text, str(path), "exec"), space)
    return [f for f in space.values() if callable(f)][-1]


def test_the_loop_is_right_as_it_stands(tmp_path):
    assert check(gru_forward, loaded(GRU, tmp_path), *inputs((4, 3), 3, 3, 3)).ok


@pytest.mark.parametrize("old, new, said", [
    ("dprev += dn * r[t] * wh", "dprev += dn * wh", "`dn * r[t]` would be right"),
    ("dprev = dh * z[t]", "dprev = np.zeros_like(dh)", "dh * z[t]` would be right"),
    ("dwr += dr * h[t]", "dwr += dr * h[t + 1]", "`h[t]` would be right"),
    ("reversed(range(len(dout)))", "range(len(dout))", "reversed(range(len(dout)))"),
    ("        dnext = dprev\n", "", "`dnext = dprev` is missing"),
    ("(1 - n[t] ** 2)", "1", "n[t]"),
])
def test_a_fault_in_a_loop_is_found(old, new, said, tmp_path):
    report = check(gru_forward, loaded(GRU, tmp_path, (old, new)), *inputs((4, 3), 3, 3, 3))
    assert len(report.findings) == 1, report
    assert said in report.findings[0].message, report


def test_two_faults_that_share_a_gradient_are_both_named(tmp_path):
    def forward(x, w, v):
        a = x @ w
        s = sigmoid(a)
        return a * s * (x @ v), (x, w, v, a, s)

    text = """
def backward(dout, cache):
    x, w, v, a, s = cache
    dg = dout * a * s
    da = dout * (x @ v) * (s + a * s * (1 - s))
    dw = x.T @ da
    dv = x.T @ dg
    dx = da @ w.T + dg @ v.T
    return dx, dw, dv
"""
    given = inputs((5, 3), (3, 4), (3, 4))
    assert check(forward, loaded(text, tmp_path), *given).ok
    report = check(forward, loaded(
        text, tmp_path, ("s + a * s * (1 - s)", "s + s * (1 - s)"), (" + dg @ v.T", "")), *given)
    messages = " ".join(f.message for f in report.findings)
    assert len(report.findings) == 2, report
    assert "`a * s` would be right" in messages and "dg @ v.T` would be right" in messages


@pytest.mark.parametrize("count", ["x.shape[1]", "np.asarray(x.shape[1])"])
def test_a_count_in_the_denominator_is_found(count, tmp_path):
    def forward(x):
        m = x.shape[1] * x.shape[2]
        return x / np.sqrt((x * x).sum((1, 2), keepdims=True) / m), x

    text = f"""
import numpy as np

def backward(dout, x):
    m = {count}
    r = 1 / np.sqrt((x * x).sum((1, 2), keepdims=True) / x.shape[1] / x.shape[2])
    return (r * (dout - x * r ** 2 * (dout * x).sum((1, 2), keepdims=True) / m),)
"""
    (finding,) = check(forward, loaded(text, tmp_path), *inputs((2, 3, 5))).findings
    assert f"`m = {count}`" in finding.message
    assert "x.shape[2]` would be right" in finding.message


@pytest.mark.parametrize("wrong, said", [
    ("h[t - 1]", "h[t - 1] if t - 1 >= 0 else h0"), ("h[t]", "h[t - 1] if t - 1 >= 0 else h0")])
def test_the_first_state_of_a_loop_is_kept_elsewhere(wrong, said, tmp_path):
    def forward(x, h0, w):
        h = []
        for row in x:
            h.append(np.tanh(row + (h[-1] if h else h0) * w))
        return np.array(h), (np.array(h), h0, w)

    text = f"""
import numpy as np

def backward(dout, cache):
    h, h0, w = cache
    dx, dw, dnext = np.zeros_like(dout), np.zeros_like(w), 0
    for t in reversed(range(len(h))):
        dx[t] = (dout[t] + dnext) * (1 - h[t] ** 2)
        before = {wrong}
        dw += dx[t] * before
        dnext = dx[t] * w
    return dx, dnext, dw
"""
    (finding,) = check(forward, loaded(text, tmp_path), *inputs((4, 3), 3, 3)).findings
    assert said in finding.message and finding.kind == "wrong-index", finding


def test_a_mask_and_a_condition_are_compared_the_other_way(tmp_path):
    text = """
import numpy as np

def loss(w, x):
    h = np.maximum(x @ w, 0)
    dh = 2 * h + 1
    dh[h > 0] = 0
    return (h * h + h).sum(), x.T @ dh
"""
    (finding,) = check_loss(loaded(text, tmp_path), *inputs((3, 4), (5, 3))).findings
    assert "`h <= 0` would be right" in finding.message or "`h < 0`" in finding.message, finding


def test_what_has_no_repair_is_placed(tmp_path):
    def forward(x, w):
        h = np.sinh(x @ w)
        return h, (x, w)

    text = """
def backward(dout, cache):
    x, w = cache
    a = x @ w
    d = dout * (1 + a)
    return d @ w.T, x.T @ d
"""
    report = check(forward, loaded(text, tmp_path), *inputs((5, 4), (4, 2)))
    assert report.kinds == ["unexplained"] and report.findings[0].argument == "x, w"
    assert "The fault lies in one of lines 4, 5 of backward" in report.findings[0].message, report
