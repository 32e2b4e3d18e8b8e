"""check_jax on real functions of JAX; skipped where it is not installed."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = jax.numpy

from npgpt.doctor import check_jax  # noqa: E402
from npgpt.doctor.styles.jax_check import _Call  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 3))
W = np.array([0.5, -1.0, 2.0])


def with_vjp(fwd, bwd):
    @jax.custom_vjp
    def wave(x, w):
        return jnp.sin(x) * w

    wave.defvjp(fwd, bwd)
    return wave


def fwd(x, w):
    return jnp.sin(x) * w, (x, w)


def bwd(saved, dout):
    x, w = saved
    return dout * jnp.cos(x) * w, (dout * jnp.sin(x)).sum(0)


def test_a_custom_vjp_is_right_to_the_second_order():
    report = check_jax(with_vjp(fwd, bwd), jnp.asarray(X), W, second_order=True)
    assert report.ok, report
    assert [row.argument for row in report.rows] == [
        "x", "w", "x (second order)", "w (second order)"]


def test_a_wrong_rule_is_named_and_can_be_exchanged():
    wrong = with_vjp(fwd, lambda saved, dout: (2 * bwd(saved, dout)[0], bwd(saved, dout)[1]))
    report = check_jax(wrong, X, W)
    assert report.kinds == ["factor"] and report.findings[0].argument == "x"
    subject = _Call(jax, wrong, (X, W), {}).subject()
    assert subject.program.backward == "bwd"
    dout = np.ones((2, 3))
    right = subject.with_functions(bwd=bwd).gradients(dout)
    assert np.allclose(2 * right[0], subject.gradients(dout)[0])


def test_a_rule_is_read_as_source_and_the_change_is_shown():
    def forgets(saved, dout):
        x, w = saved
        return dout * jnp.cos(x), (dout * jnp.sin(x)).sum(0)

    report = check_jax(with_vjp(fwd, forgets), X, W)
    assert report.kinds == ["missing-factor"], report
    assert "`dout * jnp.cos(x) * w` would be right" in report.findings[0].message


def test_a_forward_rule_with_another_output_is_named():
    report = check_jax(with_vjp(lambda x, w: (jnp.sin(x), (x, w)), bwd), X, W)
    assert report.kinds == ["contract"] and "fwd" in report.findings[0].message


@pytest.mark.parametrize("sign, kinds", [(1, []), (-1, ["wrong-sign"])])
def test_a_custom_jvp(sign, kinds):
    @jax.custom_jvp
    def wave(x):
        return jnp.sin(x)

    @wave.defjvp
    def rule(primals, tangents):
        return wave(*primals), sign * jnp.cos(primals[0]) * tangents[0]

    assert check_jax(wave, X).kinds == kinds


def test_any_function_of_trees_and_several_outputs():
    def loss(params, ids):
        return jnp.sum(jnp.tanh(params["table"][ids] @ params["fc"]["w"]))

    params = {"table": X, "fc": {"w": X.T}}
    report = check_jax(jax.jit(loss), params, np.array([0, 1, 1]))
    assert report.ok and [row.argument for row in report.rows] == ["table", "fc.w"], report
    assert check_jax(lambda x: {"a": x * x, "b": x.sum(0)}, X).ok
    assert not check_jax(lambda x: jax.lax.stop_gradient(x) * x, X).ok


def test_float32_inside_is_checked_with_its_tolerance_and_what_f_raises_is_reported():
    report = check_jax(lambda x: jnp.sin(x.astype(jnp.float32)).sum(), X)
    assert report.ok and "float32" in report.notes[0], report
    assert check_jax(lambda x: x @ x, X).kinds == ["forward-raises"]


def test_repairs_speak_jaxs_words():
    @jax.custom_vjp
    def size(x):
        return jnp.linalg.norm(x, axis=-1)

    def squared(saved, dout):
        x, y2 = saved
        return ((dout / y2)[:, None] * x,)

    size.defvjp(lambda x: (jnp.linalg.norm(x, axis=-1), (x, (x * x).sum(-1))), squared)
    text = " ".join(str(check_jax(size, X)).split())
    assert "jnp.sqrt(y2)" in text and " np." not in text and "`np." not in text, text


def test_an_output_of_integers_has_no_gradient():
    assert check_jax(lambda x: (jnp.max(x, -1), jnp.argmax(x, -1)), X).ok
