"""The `gradcheck` fixture for pytest: a wrong gradient fails the test with the doctor's report.

def test_my_layer(gradcheck):
    gradcheck(my_forward, my_backward, x, weight, eps=1e-5)
    gradcheck.function(f, grad, x)
    gradcheck.layer(MyLayer(3, 4), x)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .evidence.report import Report


class GradcheckFixture:
    """Call it with a pair; each method fails the test with the report, or returns the report."""

    def __call__(
        self,
        forward: Callable[..., object],
        backward: Callable[..., object],
        *inputs: object,
        **settings: object,
    ) -> Report:
        """As npgpt.doctor.examine."""
        return _passed("check", forward, backward, *inputs, **settings)

    def function(self, f: Callable[..., object], grad: Callable[..., object], *x: object) -> Report:
        """As npgpt.doctor.check_function."""
        return _passed("check_function", f, grad, *x)

    def scalar(self, f: Callable[..., object], params: object, grads: object) -> Report:
        """As npgpt.doctor.check_scalar."""
        return _passed("check_scalar", f, params, grads)

    def layer(self, layer: object, *inputs: object, **settings: object) -> Report:
        """As npgpt.doctor.check_layer."""
        return _passed("check_layer", layer, *inputs, **settings)

    def loss(self, f: Callable[..., object], *given: object, **settings: object) -> Report:
        """As npgpt.doctor.check_loss."""
        return _passed("check_loss", f, *given, **settings)

    def torch(self, function: object, *inputs: object, **settings: object) -> Report:
        """As npgpt.doctor.check_torch."""
        return _passed("check_torch", function, *inputs, **settings)

    def jax(self, f: Callable[..., object], *inputs: object, **settings: object) -> Report:
        """As npgpt.doctor.check_jax."""
        return _passed("check_jax", f, *inputs, **settings)


def _passed(name: str, *arguments: object, **settings: object) -> Report:
    from npgpt import doctor as face  # late: every run of pytest loads this plugin

    report: Report = getattr(face, name)(*arguments, **settings)
    if not report.ok:
        pytest.fail(str(report), pytrace=False)
    return report


@pytest.fixture
def gradcheck() -> GradcheckFixture:
    """Examine gradients: gradcheck(forward, backward, *inputs, **settings)."""
    return GradcheckFixture()
