import numpy as np


class Value:
    """An array that remembers how it was made; each result carries a closure for the way back."""

    def __init__(self, data, parents=()):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros_like(self.data)
        self.parents = parents
        self._backward = lambda: None

    def __add__(self, other):
        out = Value(self.data + other.data, (self, other))

        def _backward():
            self.grad += out.grad
            other.grad += out.grad
        out._backward = _backward
        return out

    def __mul__(self, other):
        out = Value(self.data * other.data, (self, other))

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad
        out._backward = _backward
        return out

    def tanh(self):
        t = np.tanh(self.data)
        out = Value(t, (self,))

        def _backward():
            self.grad += (1 - t ** 2) * out.grad
        out._backward = _backward
        return out

    def backward(self, seed):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for p in v.parents:
                    visit(p)
                order.append(v)
        visit(self)
        for v in order:
            v.grad = np.zeros_like(v.data)
        self.grad = np.array(seed)
        for v in reversed(order):
            v._backward()


USE = {
    "inputs": "a=(N=3,D=4) b=(N,D)",
    "forward": "va, vb = Value(a), Value(b)\n"
               "h = (va * vb + va).tanh()\n"
               "result = h * h + vb\n"
               "out = result.data",
    "backward": "result.backward(dout)\nda, db = va.grad, vb.grad",
}
