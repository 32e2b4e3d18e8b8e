"""Layer objects in the styles that people write them in."""

import numpy as np
import pytest

from npgpt.doctor import check_layer
from npgpt.doctor.styles.layer import layer_subject
from npgpt.gradcheck.pair import ContractError

from ..pairs import normal

X = normal(0, 2, 3)


class Linear:
    """self.dW beside self.W."""

    def __init__(self):
        self.W, self.b = normal(1, 3, 4), normal(2, 4)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.of_weight(dout), dout.sum(0)
        return dout @ self.W.T

    def of_weight(self, dout):
        return self.x.T @ dout


class Adding(Linear):
    """Dicts, whose gradients are added to."""

    def __init__(self):
        self.params = {"W": normal(1, 3, 4), "b": normal(2, 4)}
        self.grads = {"dW": np.ones((3, 4)), "b": np.ones(4)}

    W = property(lambda self: self.params["W"])
    b = property(lambda self: self.params["b"])

    def backward(self, dout):
        self.grads["dW"] += self.of_weight(dout)
        self.grads["b"] += dout.sum(0)
        return dout @ self.W.T


class Lists(Linear):
    """Lists of parameters, which attributes of their own repeat."""

    def __init__(self):
        super().__init__()
        self.params, self.grads = [self.W, self.b], [None, None]

    def backward(self, dout):
        self.grads = [self.of_weight(dout), dout.sum(0)]
        return dout @ self.W.T


class Tuples(Linear):
    def backward(self, dout):
        return dout @ self.W.T, self.of_weight(dout), dout.sum(0)


class Named(Linear):
    def backward(self, dout):
        return dout @ self.W.T, {"b": dout.sum(0), "W": self.of_weight(dout)}


class Steps(Linear):
    """backward also makes the step."""

    def backward(self, dout, learning_rate):
        dx = dout @ self.W.T
        self.W -= learning_rate * self.of_weight(dout)
        self.b -= learning_rate * dout.sum(0)
        return dx


class Box:
    def __init__(self, data):
        self.data, self.grad = data, np.zeros_like(data)


class Boxes(Linear):
    """Objects with .data and .grad."""

    def __init__(self):
        self.weight, self.bias = Box(normal(1, 3, 4)), Box(normal(2, 4))

    W = property(lambda self: self.weight.data)
    b = property(lambda self: self.bias.data)

    def backward(self, dout):
        self.weight.grad += self.of_weight(dout)
        self.bias.grad += dout.sum(0)
        return dout @ self.W.T


class Inside(Linear):
    """Layers in a list inside of a layer."""

    def __init__(self):
        self.layers = [Linear()]

    def forward(self, x):
        return self.layers[0].forward(x)

    def backward(self, dout):
        return self.layers[0].backward(dout)


STYLES = {
    Linear: ["W", "b"], Adding: ["params[W]", "params[b]"], Lists: ["W", "b"],
    Tuples: ["W", "b"], Named: ["W", "b"], Steps: ["W", "b"],
    Boxes: ["weight.data", "bias.data"], Inside: ["layers[0].W", "layers[0].b"],
}


@pytest.mark.parametrize("style", STYLES)
def test_every_style_is_right_with_its_parameters_by_name(style):
    layer = style()
    report = check_layer(layer, X)
    assert report.ok and report.notes == [], report
    assert [row.argument for row in report.rows] == ["x", *STYLES[style]]
    assert "x" not in vars(layer), "the layer itself was run"


@pytest.mark.parametrize("style", STYLES)
def test_a_wrong_gradient_is_seen_in_every_style(style, monkeypatch):
    monkeypatch.setattr(Linear, "of_weight", lambda self, dout: -self.x.T @ dout)
    report = check_layer(style(), X)
    assert report.kinds == ["wrong-sign"]
    assert report.findings[0].argument == STYLES[style][0]


def test_methods_can_be_exchanged_in_the_subject_alone():
    layer = Linear()
    subject, _ = layer_subject(layer, (X,), {})
    dout = normal(3, 2, 4)
    other = subject.with_functions(of_weight=lambda self, dout: 2 * (self.x.T @ dout))
    assert np.array_equal(other.gradients(dout)[1], 2 * subject.gradients(dout)[1])
    assert type(layer) is Linear and subject.program.backward == "backward"


def test_a_forgotten_gradient_is_a_finding_and_a_running_mean_a_note():
    class Forgets(Linear):
        def backward(self, dout):
            self.dW = self.x.T @ dout
            return dout @ self.W.T

    report = check_layer(Forgets(), X)
    assert report.kinds == ["missing-gradient"] and report.findings[0].argument == "b"

    class Shifts:
        def __init__(self):
            self.running_mean, self.count = normal(4, 3), np.ones(3)

        def forward(self, x):
            return x - self.running_mean

        def backward(self, dout):
            return dout

    report = check_layer(Shifts(), X)
    assert report.ok
    assert report.notes == ["backward leaves no gradient for running_mean: taken for constant."]


def test_a_loss_whose_backward_takes_no_dout_or_ignores_it_is_right():
    class Loss:
        def forward(self, x, targets):
            e = np.exp(x - x.real.max(1, keepdims=True))
            self.p, self.targets = e / e.sum(1, keepdims=True), targets
            return -np.log(self.p[np.arange(len(x)), targets]).mean()

        def backward(self, dout=1):
            d = self.p.copy()
            d[np.arange(len(d)), self.targets] -= 1
            return d / len(d)

    assert check_layer(Loss(), X, np.array([2, 0])).ok

    class Bare(Loss):
        def backward(self):
            return super().backward()

    assert check_layer(Bare(), X, np.array([2, 0])).ok


def test_several_outputs_come_back_as_one_dout_or_as_several():
    class Two:
        def forward(self, x):
            self.x = x
            return x.sum(0), 2 * x

        def backward(self, douts):
            return douts[0] + 2 * douts[1]

    class Spread(Two):
        def backward(self, dsum, ddouble):
            return dsum + 2 * ddouble

    assert check_layer(Two(), X).ok and check_layer(Spread(), X).ok


def test_random_numbers_of_the_global_generator_are_the_same_in_every_run():
    class Dropout:
        def forward(self, x, train):
            self.mask = 2.0 * (np.random.rand(*x.shape) > 0.5) if train else 1.0
            return x * self.mask

        def backward(self, dout):
            return dout * self.mask

    before = np.random.get_state()[1].copy()
    assert check_layer(Dropout(), X, train=True).ok
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("layer, says", [
    (object(), "got object with no methods"),
    (type("Half", (), {"forward": lambda self, x: x})(), "got Half with forward"),
])
def test_an_object_without_the_methods_is_one_sentence(layer, says):
    with pytest.raises(ContractError, match="methods forward.x. and backward.dout.") as caught:
        check_layer(layer, X)
    assert says in str(caught.value)


def test_what_the_layer_raises_is_reported():
    assert check_layer(Linear(), normal(0, 2, 5)).kinds == ["forward-raises"]


@pytest.mark.parametrize("name", ["gamma", "scale", "U", "alpha", "g", "theta", "b2", "embedding"])
def test_a_parameter_without_a_gradient_is_a_finding_that_says_where_it_would_be(name):
    class Scaled:
        def __init__(self):
            setattr(self, name, np.array([1.5, 0.5, 2.0]))

        def forward(self, x):
            self.x = x
            return x * getattr(self, name)

        def backward(self, dout):
            return dout * getattr(self, name)

    (finding,) = check_layer(Scaled(), np.ones((2, 3))).findings
    assert finding.kind == "missing-gradient" and f"self.d{name}, " in finding.message
    with pytest.raises(ContractError, match=r"give an instance, Scaled\(\.\.\.\)"):
        check_layer(Scaled, np.ones((2, 3)))


def test_a_parameter_in_a_dict_without_a_gradient_is_a_finding():
    class Net:
        def __init__(self):
            self.params = {"W": normal(0, 3, 4), "b": normal(1, 4), "mask": np.ones(4)}
            self.grads = {}

        def forward(self, x):
            self.x = x
            return (x @ self.params["W"] + self.params["b"]) * self.params["mask"]

        def backward(self, dout):
            self.grads["W"] = self.x.T @ (dout * self.params["mask"])
            return (dout * self.params["mask"]) @ self.params["W"].T

    report = check_layer(Net(), normal(2, 2, 3))
    assert [(f.kind, f.argument) for f in report.findings] == [("missing-gradient", "params[b]")]
    assert "such as in grads[b]" in report.findings[0].message
    assert report.notes == ["backward leaves no gradient for params[mask]: taken for constant."]
