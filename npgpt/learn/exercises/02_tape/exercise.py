"""A tape for scalars

difficulty: 3/5   importance: 5/5   about 40 minutes (estimated)

STORY

Difference quotients take two runs for every number. There is a way to get
all derivatives from one run: write down what was computed, then walk back
over what was written and apply the chain rule at every step.

Here the numbers are single ones. A Value is a number that remembers how it
was made: `parents` are the Values that it was computed from, and `pull` is a
function which hands its gradient on to them. An input was not computed: it
has no parents, and its pull is None, so there is nothing to call. Take

    b = tanh(a)        c = a * b        L = c + b

                 +------------ * --- c --- + --- L
                 |             |           |
            a ---+--- tanh --- b ----------+

L.backward() goes from right to left. Two things must be right.

What one step hands on. If out = x * y then moving x a little moves out by y
times as much: out hands out.grad * y to x. Each operation multiplies its own
slope by the gradient that came from above, and knows nothing of the rest.
A Value that is used in two places (a and b are) gets a gradient from each of
them, and the two add up: L moves on both ways when b moves.

When. b may hand on its gradient only when it has all of it, from L directly
and from c. So first L, then c, then b. A Value has its turn once, and only
after all that used it. Follow the arrows back as you meet them, and b goes too
early, or twice. One order that is always right: newest first, since a Value
is always made after its parents.

A last point: a walk which calls itself for every parent is short to write,
but Python stops at about 1,000 calls inside one another, and a long
computation is deeper. A loop with a list has no such end.

MATHEMATICS

    L itself       dL/dL = 1
    out = x + y    x gets dL/dout         y gets dL/dout
    out = x * y    x gets dL/dout * y     y gets dL/dout * x
    out = tanh(x)  x gets dL/dout * (1 - out^2)
    and every Value's gradient is the sum of all that it gets

SHAPES

    none: everything is one number; v.grad is dL/dv
"""

import itertools
import math

from npgpt.learn import NotBegun

MADE = itertools.count()


class Value:
    """A number that remembers how it was made."""

    def __init__(self, data, parents=()):
        self.data = data
        self.grad = 0.0             # dL/d(this), once L.backward() has run
        self.parents = parents      # the Values that it was computed from
        self.pull = None            # hands self.grad on; None for an input
        self.number = next(MADE)    # 0, 1, 2, ...: the order of making

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))

        def pull():
            # the gradients of a sum
            # ---- your code: begins here ----
            self.grad += out.grad
            other.grad += out.grad
            # ---- your code: ends here ----

        out.pull = pull
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def pull():
            # the gradients of a product
            # ---- your code: begins here ----
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
            # ---- your code: ends here ----

        out.pull = pull
        return out

    def tanh(self):
        out = Value(math.tanh(self.data), (self,))

        def pull():
            # the gradient of tanh
            # ---- your code: begins here ----
            self.grad += (1 - out.data**2) * out.grad
            # ---- your code: ends here ----

        out.pull = pull
        return out

    def backward(self):
        """Fill in `grad` of every Value that this one was made from."""
        # the walk back
        # ---- your code: begins here ----
        reached, waiting = {self}, [self]
        while waiting:
            for parent in waiting.pop().parents:
                if parent not in reached:
                    reached.add(parent)
                    waiting.append(parent)
        self.grad = 1.0
        for value in sorted(reached, key=lambda v: v.number, reverse=True):
            if value.pull is not None:
                value.pull()
        # ---- your code: ends here ----


if __name__ == "__main__":
    # two neurons that share their inputs learn: 1 where exactly one input is 1
    import random

    random.seed(3)
    weights = [Value(random.uniform(-1, 1)) for _ in range(9)]
    half = Value(0.5)
    for step in range(801):
        loss = Value(0.0)
        for x, y, wanted in [(0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 0)]:
            a, b, c, d, e, f, g, h, i = weights
            first = (a * Value(x) + b * Value(y) + c).tanh()
            second = (d * Value(x) + e * Value(y) + f).tanh()
            out = (g * first + h * second + i).tanh() * half + half
            gap = out + Value(-wanted)
            loss = loss + gap * gap
        for weight in weights:
            weight.grad = 0.0
        loss.backward()
        for weight in weights:
            weight.data -= 0.5 * weight.grad
        if step % 100 == 0:
            print(f"step {step:3}   loss {loss.data:.4f}")
