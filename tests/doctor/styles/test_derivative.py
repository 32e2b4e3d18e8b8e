"""What PyTorch's and JAX's checks share, with a derivative in plain NumPy in their place."""

import copy

import numpy as np
import pytest

from npgpt.doctor.examine import examine
from npgpt.doctor.styles.arguments import Arguments
from npgpt.doctor.styles.derivative import Derivative, Graph, missing, with_second_order

from ..pairs import normal

X = normal(0, 2, 3)


class Cube(Derivative):
    """x**3, whose gradient's gradient is `factor` times the true one."""

    def __init__(self, factor):
        super().__init__(Arguments(lambda x: x, (X,)), {"f": lambda x: x**3}, "cube")
        self.factor = factor

    def pair(self, functions):
        return (lambda x: (functions["f"](x), Graph((x,))),
                lambda dout, graph: (3 * dout * graph.parts[0] ** 2,))

    def gradient_pair(self, douts):
        v = douts(X.shape)
        return (lambda x: ((3 * v * x**2,), x),
                lambda dout, x: (self.factor * 6 * dout[0] * v * x,))


@pytest.mark.parametrize("factor, names", [(1, []), (2, ["x (second order)"])])
def test_the_gradients_gradient_has_rows_and_findings_of_its_own(factor, names):
    cube = Cube(factor)
    report = examine(cube.subject())
    assert report.ok, report
    report = with_second_order(report, cube.subject(second_order=True))
    assert [row.argument for row in report.rows] == ["x", "x (second order)"]
    assert [finding.argument for finding in report.findings] == names


def test_a_graph_is_not_copied_and_a_missing_framework_names_the_extra():
    graph = Graph((np.ones(2),))
    assert copy.deepcopy(graph) is graph
    assert "npgpt[frameworks]" in str(missing("JAX"))
