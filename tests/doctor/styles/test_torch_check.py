"""check_torch on real functions and modules of PyTorch; skipped where it is not installed."""

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from npgpt.doctor import check_torch, constant  # noqa: E402
from npgpt.doctor.styles.torch_check import _Call  # noqa: E402
from npgpt.gradcheck.pair import ContractError  # noqa: E402


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return x.exp() * weight

    @staticmethod
    def backward(ctx, dout):
        x, weight = ctx.saved_tensors
        return dout * x.exp() * weight, (dout * x.exp()).sum(0)


class Doubled(Scaled):
    @staticmethod
    def backward(ctx, dout):
        dx, dweight = Scaled.backward(ctx, dout)
        return dx, 2 * dweight


class Apart(torch.autograd.Function):
    """forward without ctx."""

    @staticmethod
    def forward(x, weight):
        return x * weight

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx, dout):
        x, weight = ctx.saved_tensors
        return dout * weight, (dout * x).sum(0)


class WrongSquare(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, dout):
        return dout * ctx.saved_tensors[0]


class Square(torch.nn.Module):
    def forward(self, x):
        return WrongSquare.apply(x)


@pytest.fixture
def x():
    return torch.tensor(np.random.default_rng(0).standard_normal((2, 3)), dtype=torch.float32)


@pytest.mark.parametrize("function", [Scaled, Scaled.apply, Apart, Apart.apply])
def test_a_function_is_right_with_the_names_of_its_forward(function, x):
    report = check_torch(function, x, torch.ones(3), second_order=True)
    assert report.ok, report
    assert [row.argument for row in report.rows] == [
        "x", "weight", "x (second order)", "weight (second order)"]


def test_a_wrong_backward_is_named_and_can_be_exchanged(x):
    report = check_torch(Doubled, x, torch.ones(3))
    assert report.kinds == ["factor"] and report.findings[0].argument == "weight"
    subject = _Call(torch, Doubled, (x, torch.ones(3)), {}).subject()
    assert subject.program.functions["backward"] is Doubled.backward
    other = subject.with_functions(backward=Scaled.backward)
    dout = np.ones((2, 3))
    assert np.allclose(2 * other.gradients(dout)[1], subject.gradients(dout)[1])


def test_backward_is_read_as_source_and_the_change_is_shown(x):
    class Forgets(Scaled):
        @staticmethod
        def backward(ctx, dout):
            x, weight = ctx.saved_tensors
            return dout * x.exp(), (dout * x.exp()).sum(0)

    report = check_torch(Forgets, x, torch.tensor([0.5, -1.0, 2.0]))
    assert report.kinds == ["missing-factor"], report
    assert "`dout * x.exp() * weight` would be right" in report.findings[0].message


def test_a_second_derivative_that_is_cut_off_is_wrong_though_the_first_is_right(x):
    class Cut(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx, dout):
            return dout * 3 * ctx.saved_tensors[0].detach() ** 2

    assert check_torch(Cut, x).ok
    report = check_torch(Cut, x, second_order=True)
    assert [f.argument for f in report.findings] == ["x (second order)"]


def test_none_of_a_function_is_a_missing_gradient_unless_the_input_is_a_constant(x):
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, pred, target):
            ctx.save_for_backward(pred, target)
            return ((pred - target) ** 2).mean()

        @staticmethod
        def backward(ctx, dout):
            pred, target = ctx.saved_tensors
            return dout * 2 * (pred - target) / pred.numel(), None

    assert check_torch(Loss, x, torch.ones(2, 3)).kinds == ["missing-gradient"]
    assert check_torch(Loss, x, constant(torch.ones(2, 3))).ok


@pytest.mark.parametrize("module, shape", [
    (lambda: torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Dropout()), (2, 3)),
    (lambda: torch.nn.LSTM(3, 4), (5, 2, 3)),
    (lambda: torch.nn.BatchNorm1d(3), (4, 3)),
])
def test_a_module_has_a_row_for_every_parameter_and_is_not_changed(module, shape):
    module = module()
    before = copy.deepcopy(module.state_dict())
    report = check_torch(module, torch.ones(shape) + torch.rand(shape))
    assert report.ok, report
    names = [name for name, _ in module.named_parameters()]
    assert [row.argument for row in report.rows][:-1] == names
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert next(module.parameters()).dtype == torch.float32


def test_the_first_submodule_whose_gradient_is_wrong_is_named(x):
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Sequential(torch.nn.Tanh(), Square()),
        torch.nn.Linear(4, 2))
    report = check_torch(net, x)
    assert report.kinds == ["factor"], report
    assert report.findings[0].argument == "1.1.x"
    assert "1.1 (Square) is the first submodule" in report.notes[-1]
    assert {row.argument for row in report.rows if not row.ok} == {"0.weight", "0.bias", "input"}


def test_any_function_of_tensors_or_of_a_dict_of_them(x):
    def loss(params, y):
        return (params["a"] * params["b"]["c"]).tanh().sum() + y.sum() * 0

    report = check_torch(loss, {"a": x, "b": {"c": x + 1}}, torch.arange(3))
    assert report.ok and [row.argument for row in report.rows] == ["a", "b.c"], report
    assert not check_torch(lambda x: (x.detach() * x).sum(), x).ok
    assert check_torch(lambda x: {"a": x * x, "b": x.sum(0)}, x).ok


def test_a_function_that_takes_float32_alone_is_checked_and_says_so(x):
    weight = torch.ones(3, 4)
    report = check_torch(lambda x: torch.relu(x @ weight), x)
    assert report.ok and "float32" in report.notes[0], report
    assert not check_torch(lambda x: Doubled.apply(x, torch.ones(3)) * weight[0, :3] + (
        WrongSquare.apply(x.float())), x).ok


def test_the_state_of_pytorch_is_as_before(x):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    check_torch(torch.nn.Dropout(), x)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32


def test_what_is_no_tensor_is_a_contract_error(x):
    with pytest.raises(ContractError):
        check_torch(lambda x: x, torch.ones(2, dtype=torch.complex64))
    assert check_torch(lambda x: x @ x, x).kinds == ["forward-raises"]


def test_a_mask_that_is_drawn_in_the_order_of_memory_is_no_fault_of_a_layout():
    assert check_torch(torch.nn.Dropout(0.5), torch.randn(6, 5, dtype=torch.float64)).ok


@pytest.mark.parametrize("f, x", [
    (lambda x: x.sum().item(), torch.ones(3)), (lambda x: x * x, torch.arange(6))])
def test_a_function_without_a_tensor_of_floats_as_its_output_is_told_so(f, x):
    with pytest.raises(ContractError, match="no array of floats"):
        check_torch(f, x)


def test_repairs_speak_pytorchs_words(x):
    class Sums(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            y = x.softmax(-1)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx, dout):
            (y,) = ctx.saved_tensors
            return y * (dout - (dout * y).sum(0, keepdim=True))

    class Log(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return 2 * torch.exp(x / 2)

        @staticmethod
        def backward(ctx, dout):
            (x,) = ctx.saved_tensors
            return dout * torch.cosh(x) / torch.cosh(x)

    text = " ".join(str(check_torch(Sums, x)).split())
    assert "dim=-1" in text and "axis=" not in text.split("would be right")[0], text
    text = " ".join(str(check_torch(Log, x)).split())
    assert "np." not in text, text


def test_a_term_is_found_among_the_methods_of_tensors(x):
    class Pair(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.sin(), x * x

        @staticmethod
        def backward(ctx, a, b):
            (x,) = ctx.saved_tensors
            return a * x.cos() + b * x

    assert "`2 * b * x` would be right" in " ".join(str(check_torch(Pair, x)).split())


def test_a_backward_that_writes_into_what_it_is_given_is_named(x):
    class Ramp(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, dout):
            dout[ctx.saved_tensors[0] < 0] = 0
            return dout

    report = check_torch(Ramp, x)
    assert report.kinds == ["in-place"] and report.findings[0].argument == "dout", report


@pytest.mark.parametrize("cut, repair", [
    (lambda x: x / x.norm().detach(), "`x.norm()` would be right"),
    (lambda x: x / x.norm().data, "`x.norm()` would be right"),
])
def test_a_cut_is_found_at_its_place(cut, repair, x):
    report = check_torch(cut, x)
    assert report.kinds == ["missing-term"] and repair in " ".join(str(report).split()), report


def test_no_grad_is_found_at_its_place(x):
    def scaled(x):
        with torch.no_grad():
            size = x.norm()
        return x / size

    report = check_torch(scaled, x)
    assert "`torch.enable_grad()` would be right" in " ".join(str(report).split()), report
