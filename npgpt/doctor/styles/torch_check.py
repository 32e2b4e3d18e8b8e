"""PyTorch: an autograd.Function, a module with its parameters by name, or any function of tensors.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from ...arrays import Array
from ..evidence.pair import argument_names
from ..evidence.report import Report
from ..evidence.subject import CallError, Function, users_code
from ..evidence.tree import is_tree, leaves, rebuilt
from ..examine import examine
from .arguments import Arguments
from .derivative import Derivative, Graph, missing, outputs, with_second_order


def check_torch(
    function: object, *inputs: object, second_order: bool = False, **settings: object
) -> Report:
    """Examine what PyTorch's backward gives for a function of tensors, in float64.

    `function` is an autograd.Function (the class or its `apply`), a module, whose parameters are
    examined by name and of which the first wrong submodule is named, or anything that can be called
    with tensors, such as a loss of a dict of them. Copies are taken: nothing is changed. Arrays are
    tensors of their values, floats in float64, or in float32 where the function takes no others;
    other arguments stay as they are. With `second_order` the gradient of the gradient is examined
    as well. Raises ContractError, a ValueError, for inputs that are not numbers, ImportError
    without PyTorch.
    """
    try:
        import torch
    except ImportError:
        raise missing("PyTorch") from None
    call = _Call(torch, function, inputs, settings)
    report = examine(call.subject())
    if report.ok and second_order:
        return with_second_order(report, call.subject(second_order=True))
    if not report.ok and call.module is not None and report.rows:
        found = call.first_wrong()
        if found is not None:
            name, kind, below = found
            wrong = sum(not row.ok for row in report.rows)
            report.findings = [
                replace(f, argument=f"{name}.{f.argument}" if f.argument else name)
                for f in below.findings]
            report.notes.append(
                f"{name} ({kind}) is the first submodule whose own gradient is wrong, with inputs "
                f"as the whole gives it; {wrong} gradient{'s' * (wrong != 1)} of the whole may be "
                "wrong for that alone. Correct it and check again.")
    return report


class _Call(Derivative):
    """One function of tensors, and how it is called."""

    def __init__(
        self, torch: Any, function: Any, inputs: Sequence[object], settings: Mapping[str, object]
    ) -> None:
        self.torch, self.settings, self.dtype = torch, dict(settings), torch.float64
        self.module, self.kind, self.held_in = None, None, None
        owner = getattr(function, "__self__", function)
        of_its_own = inspect.isclass(owner) and issubclass(owner, torch.autograd.Function)
        if of_its_own:
            self.kind = function = owner
            plain = owner.setup_context is not torch.autograd.Function.setup_context
            labels = argument_names(owner.forward, len(inputs) + (not plain))[not plain:]
            arguments = Arguments(owner.forward, self._arrays(inputs), labels=labels)
            functions = {"forward": owner.forward, "backward": owner.backward}
        elif isinstance(function, torch.nn.Module):
            self.module = copy.deepcopy(function)
            moved = {n: p for n, p in function.named_parameters() if p.requires_grad}
            labels = ["", *argument_names(function.forward, len(inputs), settings)]
            arguments = Arguments(
                function.forward, self._arrays((moved, *inputs)), labels=labels)
            functions = {"forward": type(function).forward}
        else:
            arguments = Arguments(function, self._arrays(inputs))
            functions = {"f": function}
        self.function = function
        name = getattr(function, "__name__", type(function).__name__)
        super().__init__(arguments, functions, name)
        try:
            self.pair(functions)[0](*self.subject().copies())
        except (RuntimeError, TypeError, ValueError):
            self._only_float32()

    def _only_float32(self) -> None:
        """Compute in float32 if float64 is what the function rejects."""
        self.dtype = self.torch.float32
        try:
            with users_code():
                self.pair(self.functions)[0](*self.subject().copies())
        except CallError:
            self.dtype = self.torch.float64

    def _arrays(self, values: Sequence[object]) -> list[object]:
        """The same values, their tensors as arrays, of float64 if of floats."""
        return [rebuilt(value, (self._array(leaf) for _, leaf in leaves(value)))
                for value in values]

    def _array(self, value: Any) -> object:
        if isinstance(value, self.torch.Tensor):
            value = value.detach().cpu()
            return (value.double() if value.is_floating_point() else value).numpy().copy()
        return value

    def pair(self, functions: Mapping[str, Function]) -> tuple[Function, Function]:
        """forward and backward for arrays, through PyTorch."""
        kind = self.kind
        if kind is not None and dict(functions) != dict(self.functions):
            kind = type(kind.__name__, (kind,), {n: staticmethod(f) for n, f in functions.items()})

        def forward(*arrays: Any) -> tuple[object, object]:
            tensors = [None if a is None else self._tensor(a) for a in arrays]
            with self._settled():
                result = self._called(functions, kind, self.arguments.filled(tensors))
            outs = outputs([t for _, t in leaves(result) if isinstance(t, self.torch.Tensor)
                            and (t.is_floating_point() or t.is_complex())])
            values = tuple(t.detach().cpu().resolve_conj().numpy().astype(
                complex if t.is_complex() else float) for t in outs)
            return values if is_tree(result) else values[0], Graph((outs, tensors))

        return forward, lambda dout, graph: self._gradients(dout, *graph.parts)

    def _called(self, functions: Mapping[str, Function], kind: Any, values: list[object]) -> object:
        if kind is not None:
            return kind.apply(*values)
        if self.module is None:
            return functions["f"](*values, **self.settings)
        if self.held_in is not self.dtype:      # not each time: a large module has many parts
            self.module.to(self.dtype)
            self.held_in = self.dtype
        return self.torch.func.functional_call(
            self.module, values[0], tuple(values[1:]), self.settings)

    def _tensor(self, array: Array) -> object:
        """A tensor of its own, on the graph if of real floats."""
        kind = array.dtype.kind
        # a copy first: PyTorch cannot take negative strides
        tensor = self.torch.tensor(np.array(array), dtype=self.dtype if kind == "f" else None)
        return tensor.requires_grad_(kind == "f")

    def _gradients(self, dout: object, outs: Any, tensors: Any) -> tuple[object, ...]:
        torch = self.torch
        douts = [torch.tensor(np.array(d), dtype=o.dtype)
                 for (_, d), o in zip(leaves(dout), outs)]
        before = [d.clone() for d in douts]
        used = [(o, d) for o, d in zip(outs, douts) if o.requires_grad]
        wanted = [t for t in tensors if t is not None and t.requires_grad]
        with self._settled():
            found = torch.autograd.grad(
                [o for o, _ in used], wanted, [d for _, d in used], retain_graph=True,
                allow_unused=True) if used else [None] * len(wanted)
        for (_, d), tensor, old in zip(leaves(dout), douts, before):
            if d.flags.writeable and not torch.equal(tensor, old):  # backward wrote into it
                d[...] = tensor.double().numpy()
        given = iter(found)
        result = []
        for tensor in tensors:
            gradient = next(given) if tensor is not None and tensor.requires_grad else None
            if gradient is not None:
                result.append(gradient.detach().cpu().double().numpy())
            # None says that a tensor is not used, which is right or wrong as zero is
            elif tensor is None or not tensor.requires_grad or self.kind is not None:
                result.append(None)
            else:
                result.append(np.zeros(tuple(tensor.shape)))
        return tuple(
            None if i not in self.floats else g for i, g in enumerate(result))

    def gradient_pair(self, douts: Callable[[object], object]) -> tuple[Function, Function]:
        """forward gives the gradients for fixed douts, and backward theirs."""
        torch = self.torch

        def forward(*arrays: Any) -> tuple[object, object]:
            if any(np.iscomplexobj(a) for a in arrays):
                raise TypeError("a second derivative is taken of real numbers")
            tensors = [None if a is None else self._tensor(a) for a in arrays]
            wanted = [tensors[i] for i in self.floats]
            with self._settled():
                result = self._called(self.functions, self.kind, self.arguments.filled(tensors))
                outs = [t for _, t in leaves(result) if isinstance(t, torch.Tensor)
                        and t.is_floating_point()]
                found = torch.autograd.grad(
                    outs, wanted, [torch.tensor(douts(tuple(o.shape)), dtype=o.dtype)
                                   for o in outs], create_graph=True, allow_unused=True)
            slopes = [torch.zeros_like(t) if g is None else g for g, t in zip(found, wanted)]
            return tuple(g.detach().double().numpy() for g in slopes), Graph((slopes, tensors))

        return forward, lambda dout, graph: self._gradients(dout, *graph.parts)

    @contextmanager
    def _settled(self) -> Iterator[None]:
        """With a seed, a default dtype and one thread of PyTorch's own; afterwards as before."""
        before, threads = self.torch.get_default_dtype(), self.torch.get_num_threads()
        with self.torch.random.fork_rng(devices=[]), self.torch.enable_grad():
            # torch.manual_seed looks for other devices too, which takes a millisecond
            self.torch.default_generator.manual_seed(0)
            self.torch.set_default_dtype(self.dtype)
            self.torch.set_num_threads(1)  # two that wait for each other take longer, for so little
            try:
                yield
            finally:
                self.torch.set_default_dtype(before)
                self.torch.set_num_threads(threads)

    def first_wrong(self) -> tuple[str, str, Report] | None:
        """(name, class, report) of the first submodule whose own gradient is wrong, children first.
        """
        assert self.module is not None
        runs: list[tuple[str, Any, Any, Any]] = []

        def hook_of(name: str) -> object:
            return lambda module, args, kwargs, out: runs.append((name, module, args, kwargs))

        hooks = [module.register_forward_hook(hook_of(name), with_kwargs=True)
                 for name, module in self.module.named_modules() if name]
        try:
            with users_code():
                self.pair(self.functions)[0](*self.subject().copies())
        except CallError:
            return None
        finally:
            for hook in hooks:
                hook.remove()
        for name, module, args, kwargs in runs:
            if type(module).__module__.startswith("torch.nn.") and not list(module.children()):
                continue
            try:
                below = examine(_Call(self.torch, module, args, kwargs).subject(), thorough=False)
            except ValueError:  # it is called with something that is no array
                continue
            if not below.ok:
                return name, type(module).__name__, below
        return None
