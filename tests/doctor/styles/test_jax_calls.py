"""What JAX's check compiles, and the rules that it calls itself; skipped where JAX is missing."""

import numpy as np
import pytest

jax = pytest.importorskip("jax")
jnp = jax.numpy

from npgpt.doctor import check_jax  # noqa: E402
from npgpt.doctor.styles.jax_calls import MANY, PLAIN, Compiled, alike  # noqa: E402
from npgpt.doctor.styles.jax_check import _Call  # noqa: E402

X = np.random.default_rng(0).standard_normal((2, 3))


class Counted:
    """A function that knows how often Python ran it."""

    def __init__(self, f):
        self.f, self.runs = f, 0

    def __call__(self, x):
        self.runs += 1
        return self.f(x)


def after_many(f, other=X):
    """A function called often for X, and then once more; and how often Python ran it then."""
    compiled, f = Compiled(jax, [f]), Counted(f)
    for _ in range(MANY + 2):
        compiled("shapes", "dtypes", f, [X])
    before = f.runs
    return compiled("shapes", "dtypes", f, [other]), f.runs - before


def test_what_is_called_often_is_compiled():
    result, runs = after_many(lambda x: jnp.sin(x) * 2, X + 1)
    assert runs == 0 and np.allclose(result, 2 * np.sin(X + 1), rtol=1e-6)


@pytest.mark.parametrize("f", [
    lambda x: jnp.sin(x) if x.sum() > -100 else x,      # Python's if on a value
    lambda x: x + np.random.default_rng().normal(),     # drawn anew
])
def test_what_cannot_be_compiled_or_gives_something_else_then_stays_as_it_is(f):
    assert after_many(f)[1] == 1


def double(x):
    return 2 * x


def test_other_code_is_run_though_compiled_code_is_there():
    compiled = Compiled(jax, [double])
    for _ in range(MANY + 2):
        compiled("shapes", "dtypes", double, [X])
    code = double.__code__
    double.__code__ = (lambda x: 3 * x).__code__
    try:
        assert np.array_equal(compiled("shapes", "dtypes", double, [X]), 3 * X)
        assert np.allclose(compiled("other", "dtypes", double, [X[:1]]), 3 * X[:1])
    finally:
        double.__code__ = code
    assert np.allclose(compiled("shapes", "dtypes", double, [X]), 2 * X)


def test_the_first_calls_show_what_differs_from_call_to_call():
    rng = np.random.default_rng(0)
    assert check_jax(lambda x: x * rng.normal(), X).kinds == ["not-repeatable"]
    assert PLAIN < MANY


def test_alike_is_the_same_but_for_the_last_digits():
    assert alike(X, X * (1 + 1e-15)) and not alike(X, X * (1 + 1e-9))
    assert alike((X, {"a": X}), (X, {"a": X})) and not alike((X, X), (X,))
    assert not alike(X + 1e-20j * X, X + 2e-20j * X)
    assert not alike(X, X.astype(np.float32)) and not alike(X, np.where(X > 0, np.nan, X))


def tangent(n, flip=1):
    @jax.custom_vjp
    def f(tree, ids, shape=(3,)):
        return {"y": jnp.tanh(tree["w"])[ids], "n": tree["b"] * n}

    def fwd(tree, ids, shape=(3,)):
        y = jnp.tanh(tree["w"])
        return {"y": y[ids], "n": tree["b"] * n}, (y, ids)

    def bwd(saved, dout):
        y, ids = saved
        d = jnp.zeros_like(y).at[ids].add(dout["y"])
        return {"w": flip * d * (1 - y * y), "b": dout["n"] * n}, None, None

    f.defvjp(fwd, bwd)
    return f


def test_the_rules_alone_give_what_jax_makes_of_them():
    tree, ids = {"w": X, "b": np.ones(3)}, np.array([1, 1, 0])
    subject = _Call(jax, tangent(2.0), (tree, ids), {}).subject()
    made = subject.forward.__self__
    subject.gradients(np.ones(12))
    assert made.rules is not None
    first = subject.gradients(np.arange(12.0))
    made.rules = None
    for a, b in zip(first, subject.gradients(np.arange(12.0))):
        assert a is b or np.array_equal(a, b)
    assert check_jax(tangent(2.0), tree, ids).ok
    assert check_jax(tangent(2.0, -1), tree, ids).kinds == ["wrong-sign"]


def test_a_rule_under_jit_is_read_as_well():
    @jax.jit
    def bwd(saved, dout):
        return (dout * saved,)

    f = jax.custom_vjp(lambda x: jnp.sin(x))
    f.defvjp(jax.jit(lambda x: (jnp.sin(x), jnp.cos(x))), bwd)
    assert check_jax(f, X).ok

    @jax.jit
    def forgets(saved, dout):
        return (dout + saved,)

    f.defvjp(jax.jit(lambda x: (jnp.sin(x), jnp.cos(x))), forgets)
    report = check_jax(f, X)
    assert report.kinds == ["wrong-variable"] and "of forgets has" in str(report), report


def test_a_cut_in_a_plain_function_is_found_at_its_place():
    def f(x):
        scale = jax.lax.stop_gradient(jnp.exp(x))
        return x * scale

    report = check_jax(f, X)
    assert report.kinds == ["missing-term"], report
    assert "`scale = jnp.exp(x)` would be right" in " ".join(str(report).split()), report
