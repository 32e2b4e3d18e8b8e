"""What of PyTorch and JAX a file holds: found, given inputs by its header, and examined."""

import textwrap

import numpy as np
import pytest

from npgpt.doctor import examine_file
from npgpt.doctor.styles.framework_targets import check_of, rules


def reports_of(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    return {report.op: report for report in examine_file(path)}


def test_what_belongs_to_no_framework_has_no_check_here():
    assert check_of(np.sin) is None and check_of(dict) is None and check_of(3) is None
    assert rules(dict) == []


def test_an_autograd_function_of_a_file_is_examined_with_its_header(tmp_path):
    pytest.importorskip("torch")
    reports = reports_of(tmp_path, """
        import torch

        class Square(torch.autograd.Function):
            # gradcheck: x=(2,3) scale=3.0
            @staticmethod
            def forward(ctx, x, scale):
                ctx.save_for_backward(x)
                ctx.scale = scale
                return x * x * scale

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return g * x * ctx.scale, None

        # gradcheck: x=(2,3) target=const(2,3)
        class Miss(torch.autograd.Function):
            @staticmethod
            def forward(x, target):
                return (x - target) ** 2

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*inputs)

            @staticmethod
            def backward(ctx, g):
                x, target = ctx.saved_tensors
                return 2 * g * (x - target), None

        class Bare(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x.clone()

            @staticmethod
            def backward(ctx, g):
                return g

        class Net(torch.nn.Module):
            def forward(self, x):
                return Square.apply(x, 2.0)
        """)
    assert list(reports) == ["Square", "Miss", "Bare"]
    assert reports["Square"].kinds == ["factor"] and "`2 * g * x" in str(reports["Square"])
    assert reports["Miss"].ok and [row.argument for row in reports["Miss"].rows] == ["x"]
    # none is left out in silence
    assert reports["Bare"].kinds == ["undecided"] and "no shape for x" in str(reports["Bare"])


def test_a_function_of_jax_with_rules_of_its_own_is_no_pair_but_one_function(tmp_path):
    pytest.importorskip("jax")
    reports = reports_of(tmp_path, """
        import jax
        import jax.numpy as jnp

        # gradcheck: x=(3,4)
        @jax.custom_vjp
        def cube(x):
            return x ** 3

        def cube_fwd(x):
            return x ** 3, x

        def cube_bwd(x, g):
            return (2 * x ** 2 * g,)

        cube.defvjp(cube_fwd, cube_bwd)

        def plain_sine(x):
            return jnp.sin(x)

        # gradcheck: x=(2,3)
        sine = jax.custom_jvp(plain_sine)

        @sine.defjvp
        def sine_jvp(primals, tangents):
            (x,), (t,) = primals, tangents
            return jnp.sin(x), jnp.cos(x) * t
        """)
    assert list(reports) == ["cube", "sine"] and reports["sine"].ok
    assert "`3 * x ** 2 * g` would be right" in " ".join(str(reports["cube"]).split())
