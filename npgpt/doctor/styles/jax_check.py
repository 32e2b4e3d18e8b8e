"""JAX: functions with a custom_vjp or a custom_jvp, or any function of arrays."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..evidence.report import Finding, Report
from ..evidence.subject import CallError, Function, users_code
from ..evidence.tree import is_tree, leaves, rebuilt
from ..examine import examine
from ..repairs.worlds import OutChanged
from .arguments import Arguments
from .derivative import Derivative, Graph, missing, with_second_order
from .jax_calls import Compiled, Jax, Rules, alike


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
        self, jax: Jax, f: Jax, inputs: tuple[object, ...], settings: Mapping[str, object]
    ) -> None:
        self.jax, self.settings = jax, dict(settings)
        at_top = hasattr(jax, "enable_x64")  # which an older version has not
        self.float64 = jax.enable_x64 if at_top else jax.experimental.enable_x64
        f = self._plain(f)
        plain: Jax = self._plain(getattr(f, "fun", f))
        rules = {name: self._plain(getattr(f, name)) for name in ("fwd", "bwd", "jvp")
                 if getattr(f, name, None) is not None and hasattr(f, "fun")}
        self.f = f
        if any(getattr(f, name) is not rule for name, rule in rules.items()):
            self.f = self._made({"f": plain, **rules})
        arrays = [rebuilt(value, (self._array(leaf) for _, leaf in leaves(value)))
                  for value in inputs]
        super().__init__(Arguments(plain, arrays), {"f": plain, **rules},
                         getattr(plain, "__name__", type(plain).__name__))

    def _array(self, value: object) -> object:
        return np.asarray(value) if isinstance(value, self.jax.Array) else value

    def _plain(self, f: Jax) -> Jax:
        """A function without its jax.jit, in which no change of its code would be seen."""
        while isinstance(f, type(self.jax.jit(len))):
            f = f.__wrapped__
        return f

    def function(self, functions: Mapping[str, Function]) -> Jax:
        """f, made again where other functions are in place of its own."""
        if dict(functions) == dict(self.functions):
            return self.f
        return functions["f"] if len(functions) == 1 else self._made(functions)

    def _made(self, functions: Mapping[str, Function]) -> Jax:
        made = type(self.f)(functions["f"], nondiff_argnums=self.f.nondiff_argnums)
        if "jvp" in functions:
            made.defjvp(functions["jvp"])
        else:
            made.defvjp(functions["fwd"], functions["bwd"])
        return made

    def filled(self, arrays: Jax, moved: Sequence[object]) -> list[Jax]:
        """The arrays with others for those of floats."""
        values = list(arrays)
        for i, value in zip(self.floats, moved):
            values[i] = value
        return values

    def of_floats(self, f: Jax, arrays: Jax) -> tuple[Jax, list[object]]:
        """A function of the float arrays alone, which gives its outputs in a row; and these."""
        def called(*moved: object) -> object:
            values = self.filled(arrays, moved)
            result = f(*self.arguments.filled(values), **self.settings)
            outs = [self.jax.numpy.asarray(leaf) for _, leaf in leaves(result)]
            return tuple(outs) if is_tree(result) else outs[0]

        return called, [self.jax.numpy.asarray(arrays[i]) for i in self.floats]

    def kinds(self, arrays: Sequence[Jax]) -> tuple[object, object]:
        """The shapes of floats with the values of others, and the dtypes: what compiled code is
        good for."""
        shapes = tuple(a if a is None else a.shape if i in self.floats
                       else (a.shape, a.dtype, a.tobytes()) for i, a in enumerate(arrays))
        return shapes, tuple(a if a is None else a.dtype for a in arrays)

    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """forward and backward for arrays, through JAX."""
        made = _Pair(self, functions)
        return made.forward, made.backward

    def pulled(self, of_floats: Jax, douts: Sequence[object], moved: Jax) -> tuple[Jax, list[Jax]]:
        """What a function gives, and its gradients by JAX."""
        out, pull = self.jax.vjp(of_floats, *moved)
        return out, list(pull(rebuilt(out, iter(douts))))

    def douts(self, dout: object, out: object) -> list[object]:
        """The douts of all outputs in a row, as JAX takes them."""
        return [self.jax.numpy.asarray(d, leaf.dtype) if leaf.dtype.kind not in "iub"
                else np.zeros(leaf.shape, self.jax.dtypes.float0)
                for (_, d), (_, leaf) in zip(leaves(dout), leaves(out))]

    def placed(self, found: Sequence[object], count: int) -> tuple[object, ...]:
        """One gradient for each of `count` arrays, None for those without."""
        result: list[object] = [None] * count
        for i, gradient in zip(self.floats, found):
            result[i] = np.asarray(gradient, np.float64)
        return tuple(result)

    def gradient_pair(self, douts: Callable[[object], object]) -> tuple[Function, Function]:
        """forward gives the gradients for fixed douts, and backward theirs."""
        calls = Compiled(self.jax, self.functions.values())

        def forward(*arrays: Jax) -> tuple[object, object]:
            if any(np.iscomplexobj(a) for a in arrays):
                raise TypeError("a second derivative is taken of real numbers")
            with self.float64(True):
                of_floats, moved = self.of_floats(self.f, arrays)

                def gradient(*values: object) -> object:
                    out, pull = self.jax.vjp(of_floats, *values)
                    parts = [np.asarray(douts(leaf.shape)) for _, leaf in leaves(out)]
                    return pull(rebuilt(out, iter(self.douts(rebuilt(out, iter(parts)), out))))

                found = calls(*self.kinds(arrays), gradient, moved)
                return self.numpy(found), Graph((gradient, moved, len(arrays), found))

        def backward(dout: object, graph: Graph) -> tuple[object, ...]:
            gradient, moved, count, before = graph.parts
            with self.float64(True):
                found = self.pulled(gradient, self.douts(dout, before), moved)[1]
            return self.placed(found, count)

        return forward, backward

    def numpy(self, out: object) -> object:
        arrays = (np.asarray(leaf) for _, leaf in leaves(out))
        return rebuilt(out, (a.astype(complex if a.dtype.kind == "c" else float) for a in arrays))

    def other_output(self) -> Finding | None:
        """A finding where the forward rule of a custom_vjp gives another output than f."""
        if "fwd" not in self.functions:
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


class _Pair:
    """forward and backward of one function, made of these `functions`."""

    def __init__(self, call: _Call, functions: Mapping[str, Function]) -> None:
        self.call, self.f = call, call.function(functions)
        self.calls = Compiled(call.jax, functions.values())
        self.back = Compiled(call.jax, functions.values(), at_home=False)
        self.rules: Rules | None = None
        self.same_out = False
        if "bwd" in functions and not self.f.symbolic_zeros:
            with contextlib.suppress(TypeError):    # not called as f is: JAX says so too
                self.rules = Rules(call.jax, self.f, functions, call.arguments, call.settings)
        self.tried = False

    def forward(self, *arrays: object) -> tuple[object, object]:
        """(out, what backward needs)."""
        call = self.call
        with call.float64(True):
            of_floats, moved = call.of_floats(self.f, arrays)
            out = self.calls(*call.kinds(arrays), of_floats, moved)
            return call.numpy(out), Graph((of_floats, moved, arrays, out))

    def backward(self, dout: object, graph: Graph) -> tuple[object, ...]:
        """The gradients for one dout."""
        call, (of_floats, moved, arrays, before) = self.call, graph.parts

        def by_jax(douts: list[object], *values: object) -> tuple[object, list[object]]:
            return call.pulled(of_floats, douts, values)

        def by_rules(douts: list[object], *values: object) -> tuple[object, list[object]]:
            assert self.rules is not None
            out, found = self.rules(douts, call.filled(arrays, values))
            return out, [found[i] for i in call.floats]

        with call.float64(True):
            douts = call.douts(dout, before)
            if self.rules is not None and not self.tried:
                self._try(by_jax, by_rules, [douts, *moved], before)
            out, found = self.back(
                *call.kinds(arrays), by_rules if self.rules else by_jax, [douts, *moved])
            if self.same_out and not alike(before, out, 1e-9):
                raise OutChanged
        return call.placed(found, len(arrays))

    def _try(self, by_jax: Function, by_rules: Function, values: Jax, before: object) -> None:
        """Do the rules alone give what JAX makes of them, to the last bit?"""
        self.tried = True
        one = by_jax(*values)
        try:
            out, found = by_rules(*values)
        except Exception:       # whatever the rules do that JAX allows and this does not
            self.rules = None
            return
        self.same_out = alike(before, out, 1e-9)
        if not alike(one[1], found, 0.0):
            self.rules = None
