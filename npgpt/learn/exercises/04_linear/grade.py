"""How linear is graded."""


def grade(mine, g):
    """The forward, then the gradients with sizes that all differ, and with one sequence."""
    x, weight, bias = g.normal(2, 4, 3), g.normal(3, 5), g.normal(5)
    g.values("linear", mine.linear_forward, x, weight, bias, axes="B T O")
    g.gradient(mine.linear_forward, mine.linear_backward, x, weight, bias)
    # in and out of one length, where a wrong transposition has the right shape
    g.gradient(mine.linear_forward, mine.linear_backward, x, g.normal(3, 3), g.normal(3))
    for b, t in ((1, 4), (2, 1)):
        g.gradient(mine.linear_forward, mine.linear_backward, g.normal(b, t, 3), weight, bias)


def after():
    """What forward and backward cost."""
    from npgpt.config import GPT2Config
    from npgpt.params import parameter_shapes

    shapes = parameter_shapes(GPT2Config.named("gpt2"))
    block = [shape for name, shape in shapes.items() if name.startswith("h.0.") and len(shape) == 2]
    weights = sum(a * b for a, b in block)
    return (f"One block of GPT-2 has {len(block)} linear layers with {weights:,} weights. The "
            "forward is one matmul, the backward two of the same size, one for dx and one for "
            "dweight: hence the rule that a training step costs three forwards, or "
            f"{3 * 2 * weights:,} operations for each token and block.")
