"""What do the usual gradient checks let through? Wrong and right answers under each one's rule.

    python -m benchmarks.checkers [--write] [--every N]

The rules are written from their description, each in a few lines, and differ in what they ask for:
how the output becomes a number, which elements are moved, by how much, and what may differ. Every
rule has the same answers before it:

    wrong    npgpt's layers with a broken backward (`benchmarks.mutants`), and the mistakes in
             students' code (`benchmarks.students`); only those whose gradient differs from the
             right one by more than DIFFERS of its length, or has another shape
    right    npgpt's layers, students' right pieces, and functions at points where a gradient is
             awkward: zero, at a kink, masked with -inf, saturated, beside the edge of a domain

A rule *lets through* a wrong answer that it accepts, and *accuses* a right one that it does not;
where the check itself raises, it does not accept.
"""

from __future__ import annotations

import argparse
import copy
import json
import platform
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from npgpt.gradcheck import check_function

from .awkward import POINTS
from .charts import check_chart
from .mutant_cases import CASES
from .mutants import catalogue
from .readme import ROOT, put_section
from .students.faults import FAULTS
from .students.piece import Inputs, backward, forward, inputs_of, is_loss, pieces

RESULTS = Path(__file__).parent / "results" / "checkers.json"
CHART = RESULTS.with_suffix(".svg")
PAGE = ROOT / "npgpt" / "gradcheck" / "README.md"
DIFFERS = 1e-6
SEEDS = 5       # random inputs of each of npgpt's layers
TOKENS = 1000   # in the mean that makes a second answer of each


@dataclass(frozen=True)
class Answer:
    """f(*arrays) -> out, and gradients(dout, *arrays), a list; `truth` is right ones, if known."""

    name: str
    f: Callable[..., Any]
    gradients: Callable[..., Sequence[Any]]
    arrays: tuple[Any, ...]
    truth: Callable[..., Sequence[Any]] | None = None

    def out(self, *arrays: Any) -> Any:
        """What f gives for copies of the arrays, as an array."""
        return np.asarray(self.f(*(a.copy() for a in arrays)))

    def given(self, dout: Any) -> Sequence[Any]:
        """The gradients for a dout, at the arrays."""
        return self.gradients(np.array(dout), *(a.copy() for a in self.arrays))

    def moved(self, i: int, step: Any) -> tuple[Any, ...]:
        """The arrays with one of them moved."""
        return (*self.arrays[:i], self.arrays[i] + step, *self.arrays[i + 1:])

    def slope(self, dout: Any, i: int, index: tuple[int, ...], h: float) -> float:
        """The central difference of sum(dout * out) for one element."""
        step = np.zeros(self.arrays[i].shape)
        step[index] = h
        above, below = (self.out(*self.moved(i, s)) for s in (step, -step))
        return float(np.sum(dout * (above - below)) / (2 * h))

    def elements(self, i: int) -> list[tuple[int, ...]]:
        """The indices of one array."""
        return list(np.ndindex(self.arrays[i].shape))


Rule = Callable[[Answer, np.random.Generator], bool]


def _dout(out: Any, rng: np.random.Generator) -> Any:
    return rng.standard_normal(out.shape) if out.ndim else np.ones(())


def ten_elements(limit: float) -> Rule:
    """cs231n: ten random elements of each array, central differences with h = 1e-5, and
    |a - n| / max(1e-8, |a| + |n|) at most `limit`."""
    def rule(answer: Answer, rng: np.random.Generator) -> bool:
        dout = _dout(answer.out(*answer.arrays), rng)
        given = answer.given(dout)
        for i in range(len(answer.arrays)):
            elements = answer.elements(i)
            for k in rng.integers(0, len(elements), 10):
                n, a = answer.slope(dout, i, elements[k], 1e-5), given[i][elements[k]]
                if not abs(a - n) / max(1e-8, abs(a) + abs(n)) <= limit:
                    return False
        return True
    return rule


def one_element(answer: Answer, rng: np.random.Generator) -> bool:
    """minitorch: the output is summed; one random element of each array, 1e-2 absolute and
    relative."""
    dout = np.ones(answer.out(*answer.arrays).shape)
    given = answer.given(dout)
    for i in range(len(answer.arrays)):
        elements = answer.elements(i)
        index = elements[rng.integers(len(elements))]
        if not np.isclose(given[i][index], answer.slope(dout, i, index, 1e-6), 1e-2, 1e-2):
            return False
    return True


def summed(answer: Answer, rng: np.random.Generator) -> bool:
    """DeZero: the output is summed; every element, h = 1e-4, 1e-5 absolute and 1e-4 relative."""
    dout = np.ones(answer.out(*answer.arrays).shape)
    return all(
        np.allclose(given, np.reshape([answer.slope(dout, i, index, 1e-4)
                                       for index in answer.elements(i)], answer.arrays[i].shape),
                    1e-4, 1e-5)
        for i, given in enumerate(answer.given(dout)))


def reference(answer: Answer, rng: np.random.Generator) -> bool:
    """CS336: a right implementation's gradients for the same dout, 1e-2 absolute, 1e-4 relative."""
    dout = _dout(answer.out(*answer.arrays), rng)
    truth = (answer.truth or answer.gradients)(dout, *answer.arrays)
    return all(np.allclose(a, t, 1e-4, 1e-2) for a, t in zip(answer.given(dout), truth))


def torch_slow(answer: Answer, rng: np.random.Generator) -> bool:
    """torch.autograd.gradcheck: every entry of the Jacobian, h = 1e-6, 1e-5 absolute and 1e-3
    relative, and backward gives the same twice."""
    out = answer.out(*answer.arrays)
    units = np.eye(max(out.size, 1)).reshape(-1, *out.shape)
    rows = [_zeros_for_none(answer, answer.given(unit)) for unit in units]
    again = _zeros_for_none(answer, answer.given(units[0]))
    if any(a.shape != x.shape for a, x in zip(again, answer.arrays)):
        return False
    if any(not np.array_equal(a, b) for a, b in zip(rows[0], again)):
        return False
    for i in range(len(answer.arrays)):
        for index in answer.elements(i):
            step = np.zeros(answer.arrays[i].shape)
            step[index] = 1e-6
            above, below = (answer.out(*answer.moved(i, s)) for s in (step, -step))
            numeric = ((above - below) / 2e-6).reshape(-1)
            if not np.allclose([row[i][index] for row in rows], numeric, 1e-3, 1e-5):
                return False
    return True


def torch_fast(answer: Answer, rng: np.random.Generator) -> bool:
    """Its fast mode: v'Ju for one u and one v of non-negative entries and length 1; the absolute
    tolerance of 1e-5 is multiplied by the sums of their entries."""
    out = answer.out(*answer.arrays)
    v = _unit(rng, out.shape)
    given = _zeros_for_none(answer, answer.given(v))
    for i, (a, x) in enumerate(zip(given, answer.arrays)):
        u = _unit(rng, x.shape)
        above, below = (answer.out(*answer.moved(i, s * 1e-6 * u)) for s in (1, -1))
        numeric = np.sum(v * (above - below) / 2e-6)
        if a.shape != x.shape or not np.isclose(
                np.sum(a * u), numeric, 1e-3, 1e-5 * u.sum() * v.sum()):
            return False
    return True


def one_direction(answer: Answer, rng: np.random.Generator) -> bool:
    """JAX's check_grads, and much like it HIPS autograd's: all arrays moved at once along one
    random direction, h = 1e-4, 1e-5 absolute and relative."""
    dout = rng.standard_normal(answer.out(*answer.arrays).shape)
    moves = [rng.standard_normal(x.shape) for x in answer.arrays]
    above, below = (answer.out(*(x + s * v for x, v in zip(answer.arrays, moves)))
                    for s in (1e-4, -1e-4))
    given = sum(np.sum(a * v) for a, v in zip(answer.given(dout), moves))
    return bool(np.isclose(given, np.sum(dout * (above - below) / 2e-4), 1e-5, 1e-5))


def ours(answer: Answer, rng: np.random.Generator) -> bool:
    """npgpt.gradcheck."""
    def grad(*arrays: Any) -> Any:
        x, dout = arrays[:len(answer.arrays)], arrays[len(answer.arrays):]
        return tuple(answer.gradients(dout[0] if dout else np.ones(()), *x))
    return check_function(answer.f, grad, *answer.arrays).ok


def _zeros_for_none(answer: Answer, given: Sequence[Any]) -> list[Any]:
    return [np.zeros(x.shape) if a is None else np.asarray(a)
            for a, x in zip(given, answer.arrays, strict=True)]


def _unit(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    entries = rng.uniform(0, 1, shape)
    return entries / np.linalg.norm(entries)


RULES: dict[str, tuple[str, Rule]] = {
    "cs231n, 1e-7": ("ten elements, relative error of 1e-7 (\"be happy\")", ten_elements(1e-7)),
    "cs231n, 1e-4": ("ten elements, relative error of 1e-4 (\"okay\" with kinks)",
                     ten_elements(1e-4)),
    "minitorch": ("one element, a sum as the loss, 1e-2", one_element),
    "DeZero": ("every element, a sum as the loss, 1e-4 and 1e-5", summed),
    "CS336": ("a reference, 1e-2 absolute", reference),
    "gradcheck": ("torch.autograd.gradcheck: the Jacobian, 1e-3 and 1e-5", torch_slow),
    "gradcheck, fast": ("its fast mode: one direction, 1e-3 and more than 1e-5", torch_fast),
    "check_grads": ("JAX: one direction of all inputs at once, 1e-5", one_direction),
    "npgpt": ("npgpt.gradcheck", ours),
}


def accepts(rule: Rule, answer: Answer) -> bool:
    """Whether a rule accepts an answer; a check that raises does not."""
    try:
        with np.errstate(all="ignore"):
            return bool(rule(answer, np.random.default_rng(0)))
    except Exception:   # the answer's code, or the check because of it
        return False


def of_pair(
    name: str, pair: tuple[Callable[..., Any], Callable[..., Any]], inputs: tuple[Any, ...],
    settings: dict[str, Any],
) -> Answer:
    """A pair under the layer contract, as a function of its float arrays."""
    floats = [i for i, x in enumerate(inputs) if x is not None and np.asarray(x).dtype.kind == "f"]

    def run(*arrays: Any) -> Any:
        merged = [copy.deepcopy(x) for x in inputs]
        for i, x in zip(floats, arrays):
            merged[i] = x
        return pair[0](*merged, **copy.deepcopy(settings))

    def gradients(dout: Any, *arrays: Any) -> list[Any]:
        given = pair[1](dout, run(*arrays)[1])
        given = given if isinstance(given, tuple) else (given,)
        return [given[i] for i in floats]

    return Answer(name, lambda *arrays: run(*arrays)[0], gradients,
                  tuple(np.asarray(inputs[i]) for i in floats))


def of_piece(name: str, module: ModuleType, inputs: Inputs) -> Answer:
    """A student's piece, as a function of its float arrays; several outputs are joined."""
    def run(arrays: tuple[Any, ...]) -> tuple[Any, dict[str, Any]]:
        values = {**inputs.values, **dict(zip(inputs.floats, arrays))}
        return forward(module, Inputs(values, inputs.floats, inputs.sizes))

    def f(*arrays: Any) -> Any:
        out = run(arrays)[0]
        return np.concatenate([np.ravel(o) for o in out]) if isinstance(out, tuple) else out

    def gradients(dout: Any, *arrays: Any) -> list[Any]:
        out, names = run(arrays)
        if isinstance(out, tuple):
            cuts = np.cumsum([np.size(o) for o in out])[:-1]
            dout = tuple(d.reshape(np.shape(o)) for d, o in zip(np.split(dout, cuts), out))
        elif not np.ndim(out):
            dout = float(dout)
        grads = backward(module, names, dout)
        times = dout if is_loss(module) else 1.0
        return [None if grads[n] is None else grads[n] * times for n in inputs.floats]

    return Answer(name, f, gradients, tuple(inputs.values[n] for n in inputs.floats))


def wrong_answers(folder: Path) -> Iterator[tuple[str, Answer]]:
    """(where it is from, a wrong answer)."""
    for mutant, pair in catalogue(folder):
        inputs, settings = mutant.case.inputs(0)
        right = of_pair("", mutant.case.functions(), inputs, settings)
        answer = of_pair(mutant.id, pair, inputs, settings)
        if differs(answer, right):
            yield "layers", replace(answer, truth=right.gradients)
            yield "mean", in_a_mean(replace(answer, truth=right.gradients))
    for fault in FAULTS:
        right_module, module = fault.piece.load(folder), fault.faulty.load(folder)
        right = of_piece("", right_module, inputs_of(right_module, fault.inputs))
        answer = of_piece(fault.id, module, inputs_of(module, fault.inputs))
        if differs(answer, right):
            yield "students", replace(answer, truth=right.gradients)
            yield "mean", in_a_mean(replace(answer, truth=right.gradients))


def right_answers(folder: Path) -> Iterator[tuple[str, Answer]]:
    """(where it is from, a right answer)."""
    for case in CASES:
        for seed in range(SEEDS):
            inputs, settings = case.random_inputs(seed)
            answer = of_pair(f"{case.name}, seed {seed}", case.functions(), inputs, settings)
            yield "layers", answer
            yield "mean", in_a_mean(answer)
    for piece in pieces().values():
        module = piece.load(folder)
        answer = of_piece(piece.name, module, inputs_of(module))
        yield "students", answer
        yield "mean", in_a_mean(answer)
    for name, f, grad, arrays in POINTS:
        yield "awkward", Answer(name, f, grad, arrays)


def in_a_mean(answer: Answer) -> Answer:
    """The same as a part of a loss that is the mean over TOKENS: out and gradients are small."""
    def small(gradients: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        return lambda dout, *arrays: gradients(np.asarray(dout / TOKENS), *arrays)

    return Answer(
        f"{answer.name}, in a mean", lambda *arrays: answer.f(*arrays) / TOKENS,
        small(answer.gradients), answer.arrays, small(answer.truth) if answer.truth else None)


def differs(answer: Answer, right: Answer) -> bool:
    """Whether some gradient is another than the right one; False for what raises: that is seen."""
    try:
        with np.errstate(all="ignore"):
            dout = _dout(right.out(*right.arrays), np.random.default_rng(1))
            pairs = list(zip(answer.given(dout), right.given(dout)))
    except Exception:   # Python itself names such a mistake
        return False
    return any(
        a is None or np.shape(a) != np.shape(t) or not np.linalg.norm(np.subtract(a, t)) <= DIFFERS
        * (np.linalg.norm(t) + 1e-300) for a, t in pairs)


def measured(answers: Iterator[tuple[str, Answer]], every: int, counts_as: bool) -> dict[str, Any]:
    """Counts by source, and for each rule the names of the answers where it is mistaken."""
    result: dict[str, Any] = {"answers": {}, "rules": {rule: {} for rule in RULES}, "ours": []}
    for k, (source, answer) in enumerate(answers):
        if k % every:
            continue
        result["answers"][source] = result["answers"].get(source, 0) + 1
        for name, (_, rule) in RULES.items():
            if accepts(rule, answer) == counts_as:
                row = result["rules"][name]
                row[source] = row.get(source, 0) + 1
                result["ours"] += [answer.name] * (name == "npgpt")
    return result


def section(result: dict[str, Any]) -> str:
    """The exhibit in the check's README."""
    wrong, right = result["let_through"], result["accused"]
    totals = [sum(part["answers"].values()) for part in (wrong, right)]
    rows = []
    for name, (sentence, _) in RULES.items():
        cells = [str(part["rules"][name].get(source, 0))
                 for part in (wrong, right) for source in part["answers"]]
        rows.append(f"| {name} | {sentence} | {' | '.join(cells)} |")
    head = [f"{source}: {n}" for part in (wrong, right) for source, n in part["answers"].items()]
    head[0], head[len(wrong["answers"])] = f"wrong: {head[0]}", (
        f"right: {head[len(wrong['answers'])]}")
    return f"""
## What the usual checks let through

{totals[0]:,} wrong gradients and {totals[1]:,} right ones under the rules of the checks that people
use (`python -m benchmarks.checkers --write`; the rules are written from their description). The
first columns have how many wrong ones are accepted: npgpt's layers with a broken backward, mistakes
in students' code, and both again as parts of a loss that is the mean over {TOKENS:,} tokens. The
last ones have how many right ones are rejected: of the same, and of functions at awkward points
(zero, a kink, -inf, saturated, steep).

![wrong ones let through, right ones accused](../../benchmarks/results/{CHART.name})

| check | what it asks | {" | ".join(head)} |
|---|---|{"---:|" * len(head)}
{chr(10).join(rows)}

A sum as the loss cannot see a wrong softmax or LayerNorm. A sample of elements misses an error in
the others; one direction sees it, but not where the tolerance is wide. An absolute tolerance
accepts whatever is small, and in a mean over many tokens every gradient is. A step that is right
for most functions is wrong where one is steep, kinked or masked: there a right gradient is
rejected. (A reference rejects no right one: it is the right one.)
{_own(wrong["ours"])}"""


def _own(let_through: list[str]) -> str:
    """What npgpt.gradcheck itself lets through, by the piece of code."""
    names = sorted({name.partition(":")[0] for name in let_through})
    if not names:
        return ""
    return f"""
`npgpt.gradcheck` lets through {len(let_through)}, in {" and ".join(names)}: of equal maxima each
gets the whole gradient. At a kink it judges each element for itself, and for itself either slope
counts.
"""


def main() -> int:
    """Run every answer under every rule, print the table, and write it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checkers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--every", type=int, default=1, metavar="N",
                        help="only every Nth answer, for a quick look")
    parser.add_argument("--write", action="store_true",
                        help=f"write {RESULTS.name}, the chart, and npgpt/gradcheck/README.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        result = {
            "let_through": measured(wrong_answers(folder), args.every, True),
            "accused": measured(right_answers(folder), args.every, False),
            "python": platform.python_version(), "numpy": np.__version__,
        }
    print(section(result))
    print("npgpt lets through:", *result["let_through"]["ours"], sep="\n    ", file=sys.stderr)
    print("npgpt accuses:", *result["accused"]["ours"], sep="\n    ", file=sys.stderr)
    if args.write:
        RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        CHART.write_text(check_chart(result), encoding="utf-8")
        put_section("checkers", section(result), PAGE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
