import numpy as np

from npgpt.gradcheck import check

from .pairs import layernorm_forward, layernorm_inputs, normal


def test_a_missing_factor_and_a_wrong_sign_are_both_named():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        dxhat = dout * weight
        a = dxhat.mean(axis=-1, keepdims=True)
        b = xhat * (dxhat * xhat).mean(axis=-1, keepdims=True)
        return dxhat - a + b, (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    found = check(layernorm_forward, backward, *layernorm_inputs()).findings
    assert [f.kind for f in found] == ["missing-factor", "term-sign"]
    assert "* rstd" in found[0].message and "`var`" in found[1].message
    assert all("together" in f.evidence for f in found)


def test_a_wrong_variable_and_a_forgotten_path_are_both_named():
    def backward(dout, cache):
        xhat, rstd, weight = cache
        dxhat = dout * weight
        b = xhat * (dout * xhat).mean(axis=-1, keepdims=True)
        return rstd * (dxhat - b), (dout * xhat).sum((0, 1)), dout.sum((0, 1))

    found = check(layernorm_forward, backward, *layernorm_inputs()).findings
    assert [f.kind for f in found] == ["wrong-variable", "missing-term"]
    assert "dxhat" in found[0].message and "`mean`" in found[1].message


def test_a_change_that_would_only_remove_a_term_is_not_offered():
    def backward(dout, x):
        return (dout * np.sinh(x) * np.cos(3 * x),)

    report = check(lambda x: (x**2, x), backward, normal(0, 3, 4))
    assert report.kinds == ["unexplained"]
