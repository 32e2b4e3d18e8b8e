"""How the scalar tape is graded: gradients of small expressions, beside those of a Value of our own
in which each known mistake was made."""

import contextlib
import functools
import math
import sys
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values.program import RIGHT, Variant

DEEP = 3000             # more than Python's limit of calls inside one another
DOUBLINGS, CALLS = 40, 20_000
MOST = 3000             # Values that a wrong walk may visit

NEWEST_FIRST = "give each Value one turn, after all that used it (newest first)"
IN = {"add": "__add__", "mul": "__mul__", "tanh": "tanh"}
TANH = {
    "x": (lambda x, t: 1 - x * x, "of the input x: it is 1 - out^2, of the output"),
    "tanh t": (lambda x, t: 1 - math.tanh(t)**2,
               "of the tanh of out: out.data is tanh(x) already, so 1 - out^2"),
    "1 - t": (lambda x, t: 1 - t, "as 1 - out: the out is to be squared"),
    "1 - 2t": (lambda x, t: 1 - 2 * t, "as 1 - 2 out: out is to be squared, not doubled"),
    "1 - x": (lambda x, t: 1 - x, "as 1 - x: it is 1 - out^2, of the output"),
    "t": (lambda x, t: t, "as out itself: it is 1 - out^2"),
    "t^2": (lambda x, t: t * t, "as out^2: it is 1 - out^2"),
    "1 + t^2": (lambda x, t: 1 + t * t, "as 1 + out^2: it is 1 - out^2"),
    "t^2 - 1": (lambda x, t: t * t - 1, "as out^2 - 1: the sign is wrong"),
    "sigmoid": (lambda x, t: t * (1 - t), "as out (1 - out), which is the sigmoid's"),
    "1": (lambda x, t: 1.0, "as 1: it is 1 - out^2"),
}
MUL = {
    "own": (lambda a, b: (a, b), "each factor gets its own value times the gradient; it is the "
                                 "other factor's value"),
    "out": (lambda a, b: (a * b, a * b), "the product's own value is used; the slope is the other "
                                         "factor's value"),
    "sum": (lambda a, b: (a + b, a + b), "the sum of both factors is used; the slope is the other "
                                         "factor's value"),
    "1": (lambda a, b: (1.0, 1.0), "a product hands on its gradient as it is; the slope, the other "
                                   "factor's value, is missing"),
    "a": (lambda a, b: (a, a), "both factors get self's value times the gradient; the slope is the "
                               "other factor's value"),
    "b": (lambda a, b: (b, b), "both factors get other's value times the gradient; the slope is "
                               "the other factor's value"),
}
ADD = {"other": lambda a, b: (b, a), "own": lambda a, b: (a, b),
       "half": lambda a, b: (0.5, 0.5)}


class Value:
    """A Value, with the mistakes in `wrong` made: {kind: which}."""

    def __init__(self, data, wrong, op="leaf", parents=(), slopes=()):
        self.data, self.wrong, self.grad = data, wrong, 0.0
        self.op, self.parents, self.slopes = op, parents, slopes

    def __add__(self, other):
        slopes = ADD.get(self.wrong.get("extra-factor"), lambda a, b: (1.0, 1.0))
        return Value(self.data + other.data, self.wrong, "add", (self, other),
                     slopes(self.data, other.data))

    def __mul__(self, other):
        slopes = MUL.get(self.wrong.get("another-input"), (lambda a, b: (b, a),))[0]
        return Value(self.data * other.data, self.wrong, "mul", (self, other),
                     slopes(self.data, other.data))

    def tanh(self):
        x, t = self.data, math.tanh(self.data)
        slope = TANH.get(self.wrong.get("wrong-variable"), (lambda x, t: 1 - t * t,))[0]
        return Value(t, self.wrong, "tanh", (self,), (slope(x, t),))

    def pull(self):
        """Hand on what there is."""
        def made(kind):
            return self.wrong.get(kind) in ("all", self.op)

        old = [parent.grad for parent in self.parents]
        if made("zeroed"):
            for parent in self.parents:
                parent.grad = 0.0
        for n, (parent, slope) in enumerate(zip(self.parents, self.slopes, strict=True)):
            if self.wrong.get("missing-term") == f"{self.op} {n}":
                continue
            above = 1.0 if made("missing-factor") else (
                self.parents[0].grad if made("own-gradient") else self.grad)
            part = slope + above if "wrong-operator" in self.wrong else slope * above
            if made("overwritten") or self.wrong.get("overwritten") == f"{self.op} {n}":
                parent.grad = part
            elif "stale" in self.wrong:
                parent.grad = old[n] + part
            else:
                parent.grad += -part if "wrong-sign" in self.wrong else part

    def backward(self):
        seed = self.wrong.get("zero-gradient") or self.wrong.get("seed")
        self.grad = {"0": 0.0, "data": self.data}.get(seed, 1.0)
        for value in ORDERS.get(next((self.wrong[kind] for kind in (
                "wrong-order", "accumulated-twice", "batch-dropped", "reset")
                if kind in self.wrong), ""), newest_first)(self):
            if "reset" in self.wrong:
                value.grad = 1.0
            value.pull()


def newest_first(root, seen_once=True):
    """Every Value after all that it was used in."""
    order, seen = [], set()

    def visit(value):
        if not (seen_once and value in seen) and len(order) < MOST:
            seen.add(value)
            for parent in value.parents:
                visit(parent)
            order.append(value)

    visit(root)
    return order[::-1]


def line(root, which):
    """One parent of each Value."""
    order = [root]
    while order[-1].parents:
        order.append(order[-1].parents[which])
    return order


def as_met(root, depth, first, mark):
    """Along the parents as they are met: depth or breadth first, the first or the last parent
    first; a Value is marked when it is noted, when its turn comes, or never."""
    waiting, marked, order = [root], set(), []
    while waiting and len(order) < MOST:
        value = waiting.pop(-1 if depth else 0)
        if mark == "turn" and value in marked:
            continue
        marked.add(value)
        order.append(value)
        for parent in value.parents[::-1] if depth == first else value.parents:
            if mark == "never" or parent not in marked:
                waiting.append(parent)
                if mark == "noted":
                    marked.add(parent)
    return order


ORDERS = {
    "oldest first": lambda root: newest_first(root)[::-1],
    "twice in the list": lambda root: newest_first(root, seen_once=False),
    "twice": lambda root: [value for v in newest_first(root) for value in (v, v)],
    "root": lambda root: [root],
    "first parents": lambda root: line(root, 0),
    "last parents": lambda root: line(root, -1),
    "parents": lambda root: [root, *dict.fromkeys(root.parents)],
} | {
    f"{mark}, {'depth' if depth else 'breadth'}, {'first' if first else 'last'}":
    lambda root, way=(depth, first, mark): as_met(root, *way)
    for mark in ("noted", "turn", "never") for depth in (True, False) for first in (True, False)
}


def mistakes():
    """Each as a Variant: kind, sentence, which."""
    places = {"all": "", **{op: f" in {name}" for op, name in IN.items()}}
    yield from (Variant("overwritten", f"a gradient is overwritten{where}, = where += belongs: a "
                        "Value that is used twice gets a part from each use", op)
                for op, where in places.items())
    yield from (Variant("overwritten", f"in {IN[op]} the gradient of {('self', 'other')[n]} is "
                        "overwritten, = where += belongs: a Value that is used twice gets a part "
                        "from each use", f"{op} {n}") for op in ("add", "mul") for n in (0, 1))
    yield from (Variant("zeroed", f"a parent's gradient is set to 0 before it is added to{where}: "
                        "what it got from other uses is lost", op) for op, where in places.items())
    yield Variant("zero-gradient", "every gradient stays 0: the walk begins with L's own, dL/dL, "
                  "which is 1", "0")
    yield from (Variant("own-gradient", f"self.grad is handed on{where}, where out.grad is meant: "
                        "self is one of the parents, out is the result", op)
                for op, where in places.items())
    yield from (Variant("accumulated-twice", "a Value that is used twice has its turn twice, and "
                        f"the second time hands on the first part again: {NEWEST_FIRST}", way)
                for way in ORDERS if way.startswith("never"))
    yield Variant("accumulated-twice", "a Value that is used twice stands twice in the list, and "
                  "hands on its gradient twice: note which were seen", "twice in the list")
    yield Variant("accumulated-twice", "every Value hands on its gradient twice", "twice")
    yield from (Variant("wrong-order", "a Value hands on its gradient too early, before it has all "
                        f"of it: {NEWEST_FIRST}", way)
                for way in ORDERS if way.startswith(("noted", "turn")))
    yield Variant("wrong-order", "the walk goes from the oldest Value to the newest: gradients "
                  "come from L, so turn the list round", "oldest first")
    yield from (Variant("wrong-variable", f"tanh's slope is taken {text}", n)
                for n, (_, text) in TANH.items())
    yield from (Variant("another-input", text, n) for n, (_, text) in MUL.items())
    yield from (Variant("missing-factor", f"the gradient from above, out.grad, is left out{where}: "
                        "the chain rule multiplies the slope by it", op)
                for op, where in places.items())
    yield from (Variant("missing-term", f"in {IN[op]} only {('other', 'self')[n]} gets a gradient: "
                        f"{('self', 'other')[n]} moves the result too", f"{op} {n}")
                for op in ("add", "mul") for n in (0, 1))
    yield from (Variant("extra-factor", "a sum multiplies its gradient by something: both its "
                        "slopes are 1", n) for n in ADD)
    yield from (Variant("batch-dropped", "the walk follows only one parent of each Value", way)
                for way in ("first parents", "last parents"))
    yield Variant("batch-dropped", "only the last operation hands on its gradient: every Value "
                  "that L was made from is to have its turn", "root")
    yield Variant("batch-dropped", "the walk ends after L's own parents: go on to the leaves",
                  "parents")
    yield from (Variant("reset", "every Value begins from 1, not only L: does backward call itself "
                        "for the parents, and set their gradient to 1?", way)
                for way in ORDERS if way.startswith(("never", "turn", "noted")))
    yield Variant("stale", "where both factors are the same Value, the second part overwrites the "
                  "first: add to what is there now", 1)
    yield Variant("wrong-operator", "slope and gradient are added: the chain rule multiplies", 1)
    yield Variant("wrong-sign", "the parts are subtracted: they add up", 1)
    yield Variant("seed", "the walk begins with L's value: dL/dL is 1", "data")


def _shared(a, b, c):
    d = a.tanh()
    return d * b + d


def _mirrored(a, b, c):
    d = a.tanh()
    return d + b * d


def _ladder(a, b, c):
    d = a * b
    e = d + a
    f = e * d
    return f + (f * c).tanh()


def _uneven(a, b, c):
    d = a * b
    return d + (d + c).tanh() * b * a


def _network(a, b, c):
    h = (a * b + c).tanh()
    k = (h * a + b).tanh()
    return (h * k + k) * (c * h + a).tanh()


EXPRESSIONS = {
    "L = a + b": lambda a, b, c: a + b,
    "L = a * b": lambda a, b, c: a * b,
    "L = tanh(a)": lambda a, b, c: a.tanh(),
    "L = a * b + c": lambda a, b, c: a * b + c,
    "L = tanh(a * b)": lambda a, b, c: (a * b).tanh(),
    "L = tanh(a) * tanh(b)": lambda a, b, c: a.tanh() * b.tanh(),
    "L = (a + b) * c": lambda a, b, c: (a + b) * c,
    "L = a + a": lambda a, b, c: a + a,
    "L = a * a": lambda a, b, c: a * a,
    "L = a * b + a": lambda a, b, c: a * b + a,
    "L = a + a * b": lambda a, b, c: a + a * b,
    "L = tanh(a) + a": lambda a, b, c: a.tanh() + a,
    "d = tanh(a), L = d * b + d": _shared,
    "d = tanh(a), L = d + b * d": _mirrored,
    "d = a * b, e = d + a, f = e * d, L = f + tanh(f * c)": _ladder,
    "d = a * b, L = d + tanh(d + c) * b * a": _uneven,
    "h = tanh(a * b + c), k = tanh(h * a + b), L = (h * k + k) * tanh(c * h + a)": _network,
}


def gradients(make, numbers):
    """For each expression L, and how it moves with a, b and c."""
    out = {}
    for name, build in EXPRESSIONS.items():
        leaves = [make(float(number)) for number in numbers]
        result = build(*leaves)
        result.backward()
        out[f"{name}: L"] = float(result.data)
        out |= {f"{name}: dL/d{letter}": float(leaf.grad) for letter, leaf in zip("abc", leaves)}
    return out


def ours(numbers, *, wrong=RIGHT):
    """The same by the Value above, with mistakes made."""
    return _ours(tuple(map(float, numbers)), tuple(wrong.items()))


@functools.cache
def _ours(numbers, wrong):
    return gradients(lambda number: Value(number, dict(wrong)), numbers)


def _draw(rng, settings, n):
    return (rng.uniform(0.3, 1.2, 3) * rng.choice([-1, 1], 3),), {}


def _alone(variant):
    """The same mistake as one that is not tried together with others."""
    return replace(variant, function=functools.partial(
        ours, wrong={variant.kind: variant.value}))


# two at once are looked for among these only: all pairs of all would take too long
USUAL = {("overwritten", which) for which in ("all", "add", "mul", "tanh")} | {
    ("wrong-variable", which) for which in ("x", "tanh t", "1 - t")} | {
    ("another-input", which) for which in ("own", "1")} | {
    ("missing-factor", which) for which in ("all", "tanh")} | {
    ("wrong-order", which) for which in ("oldest first", "turn, depth, first")} | {
    ("accumulated-twice", "never, depth, first")}
TAPE = Program("tape", ours, [_alone(variant) for variant in mistakes()], draw=_draw)
TWO = Program("tape", ours, [v for v in mistakes() if (v.kind, v.value) in USUAL], draw=_draw)


def grade(mine, g):
    """Values, gradients of expressions from simple to tangled, then a long and a tangled graph."""
    def value(data):
        return mine.Value(data)

    @functools.wraps(mine.Value.backward)
    def tape(numbers):
        return gradients(value, numbers)

    def simplest_wrong():
        """Where no known mistake fits: the first expression that is wrong says where to look."""
        numbers = np.array([0.5, -0.8, 1.2])
        got, want = tape(numbers), ours(numbers)
        name = next(name for name in want if not abs(got[name] - want[name]) < 1e-9)
        expression = name.partition(": ")[0]
        used = [word for sign, word in (("+", "__add__"), ("*", "__mul__"), ("tanh", "tanh"))
                if sign in expression]
        g.fail("wrong-gradient", f"The simplest expression that goes wrong is {expression}. For a "
               f"= 0.5, b = -0.8 and c = 1.2, {name.partition(': ')[2]} should be "
               f"{want[name]:.6g}; got {got[name]:.6g}. In it are {', '.join(used)} and the walk: "
               "work it out by hand and follow the code with these numbers")

    def leaves_data_alone():
        a, b = value(0.5), value(-0.8)
        (a * b + a).tanh().backward()
        return (a.data, b.data) == (0.5, -0.8)

    def is_deep():
        a = value(0.5)
        out = a
        for _ in range(DEEP):
            out = out + a
        try:
            out.backward()
        except RecursionError:
            return (f"RecursionError: the walk calls itself for each parent, and Python stops at "
                    f"{sys.getrecursionlimit():,} calls inside one another. A loop over a list of "
                    "Values has no such limit.")
        return abs(a.grad - DEEP - 1) < 1e-6 or f"dL/da is {a.grad}; expected {DEEP + 1}."

    def is_quick():
        a = value(1.0)
        out = a
        for _ in range(DOUBLINGS):
            out = out + out
        calls = 0

        def count(frame, event, argument):
            nonlocal calls
            calls += event == "call"
            if calls > CALLS:
                raise TooMany

        sys.setprofile(count)
        try:
            out.backward()
        except TooMany:
            return (f"After {calls:,} calls it was still at it: it takes every path from L to the "
                    f"leaves, and here there are 2^{DOUBLINGS}. Each Value needs one turn only.")
        finally:
            sys.setprofile(None)
        return abs(a.grad / 2.0**DOUBLINGS - 1) < 1e-9 or f"dL/da is {a.grad}."

    # what is not begun is reported in the order of the file
    for out in (value(0.5) + value(0.7), value(0.5) * value(0.7), value(0.5).tanh()):
        with contextlib.suppress(Exception):
            out.pull()
    try:
        tape(np.array([0.5, -0.8, 1.2]))
    except TypeError as error:
        if "'NoneType' object is not callable" in str(error):
            g.fail("input-without-pull", "backward: the pull of an input is called, and is None: "
                   "an input Value was not computed, so it has no parents to hand anything on to. "
                   "Leave out the Values whose pull is None")
            return
    known = TAPE
    if "unexplained" in diagnose_value(TAPE, tape).kinds:
        known = TWO
        if "unexplained" in diagnose_value(TWO, tape).kinds:
            simplest_wrong()
    g.values(known, tape)
    g.probe("in-place", "backward changes grad and leaves data alone", leaves_data_alone)
    g.probe("every-path", f"{DOUBLINGS} doublings one after the other take {DOUBLINGS} turns",
            is_quick)
    g.probe("recursion", f"a chain of {DEEP:,} operations works", is_deep)


class TooMany(Exception):
    """The walk visits more than there is."""


def after():
    """What walking back once saves."""
    return (f"Double a number {DOUBLINGS} times, and {2**DOUBLINGS:,} paths lead from the result "
            f"back to it. The chain rule sums over all of them; your walk does it in {DOUBLINGS} "
            "turns, since a Value adds up what comes from above before it hands it on. This is "
            "what makes a gradient cost about as much as the forward, and npgpt's own tape "
            "(npgpt/tape.py) does the same with arrays.")
