"""JAX: functions with a custom_vjp or a custom_jvp, or any function of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..evidence.report import Finding, Report
from ..evidence.subject import CallError, Function, users_code
from ..evidence.tree import is_tree, leaves, rebuilt
from ..examine import examine
from .arguments import Arguments
from .derivative import Derivative, Graph, missing, with_second_order


def check_jax(f: Callable[..., object], *inputs: object, second_order: bool = False,
              **settings: object) -> Report:
    """Examine what jax.vjp gives for a function of arrays, in float64.

    `f` may have a rule of its own, by custom_vjp or custom_jvp, and take dicts and lists of arrays.
    Of a custom_vjp it is also examined that its forward rule gives what f gives. With
    `second_order` the gradient of the gradient is examined as well. Raises ContractError, a
    ValueError, for inputs that are not numbers, ImportError without JAX.
    """
    try:
        import jax
    except ImportError:
        raise missing("JAX") from None
    call = _Call(jax, f, inputs, settings)
    report = examine(call.subject())
    if other := call.other_output():
        report.findings.insert(0, other)
    if report.ok and second_order:
        return with_second_order(report, call.subject(second_order=True))
    return report


class _Call(Derivative):
    """One function, and how it is called."""

    def __init__(
        self, jax: Any, f: Any, inputs: tuple[object, ...], settings: Mapping[str, object]
    ) -> None:
        self.jax, self.f, self.settings = jax, f, dict(settings)
        at_top = hasattr(jax, "enable_x64")  # which an older version has not
        self.float64 = jax.enable_x64 if at_top else jax.experimental.enable_x64
        plain = getattr(f, "fun", f)
        rules = {name: getattr(f, name) for name in ("fwd", "bwd", "jvp")
                 if getattr(f, name, None) is not None and plain is not f}
        arrays = [rebuilt(value, (self._array(leaf) for _, leaf in leaves(value)))
                  for value in inputs]
        super().__init__(Arguments(plain, arrays), {"f": plain, **rules},
                         getattr(plain, "__name__", type(plain).__name__))

    def _array(self, value: object) -> object:
        return np.asarray(value) if isinstance(value, self.jax.Array) else value

    def _function(self, functions: Mapping[str, Function]) -> object:
        """f, made again where other functions are in place of its own."""
        if dict(functions) == dict(self.functions):
            return self.f
        if len(functions) == 1:
            return functions["f"]
        made = type(self.f)(functions["f"], nondiff_argnums=self.f.nondiff_argnums)
        if "jvp" in functions:
            made.defjvp(functions["jvp"])
        else:
            made.defvjp(functions["fwd"], functions["bwd"])
        return made

    def _of_floats(self, f: Any, arrays: Any) -> tuple[Any, list[object]]:
        """A function of the float arrays alone, which gives its outputs in a row; and these."""
        def of_floats(*moved: object) -> object:
            values = list(arrays)
            for i, value in zip(self.floats, moved):
                values[i] = value
            result = f(*self.arguments.filled(values), **self.settings)
            outs = [self.jax.numpy.asarray(leaf) for _, leaf in leaves(result)]
            return tuple(outs) if is_tree(result) else outs[0]

        return of_floats, [self.jax.numpy.asarray(arrays[i]) for i in self.floats]

    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """forward and backward for arrays, through JAX."""
        f = self._function(functions)

        def forward(*arrays: object) -> tuple[object, object]:
            with self.float64(True):
                of_floats, moved = self._of_floats(f, arrays)
                return self._numpy(of_floats(*moved)), Graph((of_floats, moved, len(arrays)))

        return forward, self._gradients

    def _gradients(self, dout: object, graph: Graph) -> tuple[object, ...]:
        of_floats, moved, count = graph.parts
        with self.float64(True):
            out, backward = self.jax.vjp(of_floats, *moved)
            douts = rebuilt(out, (self.jax.numpy.asarray(d, leaf.dtype) for (_, d), (_, leaf)
                                  in zip(leaves(dout), leaves(out))))
            found = backward(douts)
        result: list[object] = [None] * count
        for i, gradient in zip(self.floats, found):
            result[i] = np.asarray(gradient, np.float64)
        return tuple(result)

    def gradient_pair(self, douts: Callable[[object], object]) -> tuple[Function, Function]:
        """forward gives the gradients for fixed douts, and backward theirs."""
        jax = self.jax

        def forward(*arrays: Any) -> tuple[object, object]:
            if any(np.iscomplexobj(a) for a in arrays):
                raise TypeError("a second derivative is taken of real numbers")
            with self.float64(True):
                of_floats, moved = self._of_floats(self.f, arrays)

                def gradient(*values: object) -> object:
                    out, backward = jax.vjp(of_floats, *values)
                    return backward(rebuilt(out, (
                        jax.numpy.asarray(douts(leaf.shape), leaf.dtype)
                        for _, leaf in leaves(out))))

                return self._numpy(gradient(*moved)), Graph((gradient, moved, len(arrays)))

        return forward, self._gradients

    def _numpy(self, out: object) -> object:
        arrays = (np.asarray(leaf) for _, leaf in leaves(out))
        return rebuilt(out, (a.astype(complex if a.dtype.kind == "c" else float) for a in arrays))

    def other_output(self) -> Finding | None:
        """A finding where the forward rule of a custom_vjp gives another output than f."""
        if "fwd" not in self.functions or len(self.f.nondiff_argnums):
            return None
        subject = self.subject()
        try:
            with users_code(), self.float64(True):
                values = self.arguments.filled(subject.copies())
                one = self.functions["f"](*values, **self.settings)
                other = self.functions["fwd"](*values, **self.settings)[0]
                alike = all(np.allclose(a, b, rtol=1e-6, atol=1e-12) for (_, a), (_, b)
                            in zip(leaves(one), leaves(other), strict=True))
        except CallError:  # the examination reports what f raises
            return None
        return None if alike else Finding(
            "contract", "", "the forward rule, fwd, gives another output than the function itself.",
            evidence="the same inputs, without and with a gradient taken")
