"""How the block is graded."""

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.layers.attention import multi_head_attention_backward, multi_head_attention_forward
from npgpt.layers.gelu import gelu_backward, gelu_forward
from npgpt.layers.layernorm import layernorm_backward, layernorm_forward
from npgpt.layers.linear import linear_backward, linear_forward


def shapes(c, f):
    """The parameters' shapes by name."""
    return {
        "ln_1.weight": (c,), "ln_1.bias": (c,),
        "attn.c_attn.weight": (c, 3 * c), "attn.c_attn.bias": (3 * c,),
        "attn.c_proj.weight": (c, c), "attn.c_proj.bias": (c,),
        "ln_2.weight": (c,), "ln_2.bias": (c,),
        "mlp.c_fc.weight": (c, f), "mlp.c_fc.bias": (f,),
        "mlp.c_proj.weight": (f, c), "mlp.c_proj.bias": (c,),
    }


def parameters(g, c, f):
    """Parameters of a block whose norms and biases all differ."""
    return {name: 0.5 * g.normal(*shape) + (name in ("ln_1.weight", "ln_2.weight"))
            for name, shape in shapes(c, f).items()}


def gradients(x, p, dout, *, n_head, skip="", other="", swap=False,
              middle_from=("dout", "branch"), x_from=("middle", "branch"), attention_from="middle"):
    """Every gradient of the block by name; `skip` names a step whose backward is left out, `other`
    a norm that gets the other one's cache; `..._from` what a gradient is the sum of."""
    def of(name):
        return p[f"{name}.weight"], p[f"{name}.bias"]

    def back(name, d, cache, layer):
        dx, found[f"{name}.weight"], found[f"{name}.bias"] = layer(d, cache)
        return d if skip == name else dx

    found = {}
    normed, ln_1 = layernorm_forward(x, *of("ln_1"))
    qkv, c_attn = linear_forward(normed, *of("attn.c_attn"))
    mixed, heads = multi_head_attention_forward(qkv, n_head=n_head)
    branch, attn_proj = linear_forward(mixed, *of("attn.c_proj"))
    middle = x + branch
    normed, ln_2 = layernorm_forward(middle, *of("ln_2"))
    hidden, c_fc = linear_forward(normed, *of("mlp.c_fc"))
    active, gelu = gelu_forward(hidden)
    _, mlp_proj = linear_forward(active, *of("mlp.c_proj"))

    for_1, for_2 = ln_2 if other == "ln_1" else ln_1, ln_1 if other == "ln_2" else ln_2
    dactive = back("mlp.c_proj", dout, mlp_proj, linear_backward)
    dhidden = dactive if skip == "gelu" else gelu_backward(dactive, gelu)[0]
    dnormed = back("mlp.c_fc", dhidden, c_fc, linear_backward)
    given = {"dout": dout, "branch": back("ln_2", dnormed, for_2, layernorm_backward)}
    given["middle"] = sum(given[part] for part in middle_from)
    dmixed = back("attn.c_proj", given[attention_from], attn_proj, linear_backward)
    dqkv = multi_head_attention_backward(dmixed, heads)[0]
    dnormed = back("attn.c_attn", dqkv, c_attn, linear_backward)
    given["branch"] = back("ln_1", dnormed, for_1, layernorm_backward)
    dx = sum(given[part] for part in x_from)
    if swap:
        for half in ("weight", "bias"):
            one, two = f"ln_1.{half}", f"ln_2.{half}"
            found[one], found[two] = found[two], found[one]
    return {"dx": dx} | {f"d {name}": found[name] for name in p}


def mistake(**wrong):
    """These gradients with a mistake in them."""
    return lambda x, p, dout, *, n_head: gradients(x, p, dout, n_head=n_head, **wrong)


GRADIENTS = Program("block_backward", gradients, [
    ("missing-term", mistake(middle_from=["branch"]),
     "the gradient of middle lacks the way through the second plus sign: dout itself must be added "
     "to what comes back through the feed-forward"),
    ("missing-term", mistake(middle_from=["dout"]),
     "the gradient of middle lacks the way through the feed-forward: what ln_2's backward gives "
     "must be added to dout"),
    ("missing-term", mistake(x_from=["branch"]),
     "dx lacks the way through the first plus sign: the gradient of middle must be added to what "
     "comes back through attention"),
    ("missing-term", mistake(x_from=["middle"]),
     "dx lacks the way through attention: what ln_1's backward gives must be added to the gradient "
     "of middle"),
    ("wrong-variable", mistake(x_from=["dout", "branch"]),
     "dx adds dout, where the gradient of middle belongs: x also reaches the feed-forward, through "
     "middle"),
    ("wrong-variable", mistake(attention_from="dout"),
     "attention's branch goes back from dout; it goes back from the gradient of middle, where its "
     "result was added"),
    ("wrong-variable", mistake(attention_from="dout", x_from=["dout", "branch"]),
     "the first half goes back from dout, the branch and the plus sign; both go back from the "
     "gradient of middle"),
    ("missing-term", mistake(middle_from=["branch"], x_from=["branch"]),
     "both plus signs are forgotten: at each of them dout goes to the branch and on to the stream"),
    ("accumulated-twice", mistake(middle_from=["dout", "dout", "branch"]),
     "dout is added twice to the gradient of middle"),
    ("accumulated-twice", mistake(x_from=["dout", "middle", "branch"]),
     "dout is added to dx again; the gradient of middle holds it already"),
    ("missing-factor", mistake(skip="gelu"),
     "gelu_backward is left out: what comes out of c_proj's backward is the gradient of gelu's "
     "output, and c_fc needs that of its input"),
    ("missing-factor", mistake(skip="ln_2"),
     "layernorm_backward of ln_2 does not reach the stream: its first result, not its dout, is "
     "what the branch adds to dmiddle"),
    ("missing-factor", mistake(skip="ln_1"),
     "layernorm_backward of ln_1 does not reach the stream: its first result, not its dout, is "
     "what the branch adds to dx"),
    ("missing-factor", mistake(skip="attn.c_proj"),
     "the backward of attn.c_proj does not reach the heads: its first result is their dout"),
    ("wrong-cache-key", mistake(other="ln_1"), "the backward of ln_1 gets the cache of ln_2"),
    ("wrong-cache-key", mistake(other="ln_2"), "the backward of ln_2 gets the cache of ln_1"),
    ("another-input", mistake(swap=True), "the gradients of ln_1 and ln_2 are exchanged"),
])


def grade(mine, g):
    """Values, the gradients of x and of 12 parameters, causality; batch 1 and one position."""
    x, p = g.normal(2, 3, 4), parameters(g, 4, 7)
    g.values("block", mine.block_forward, x, p, n_head=2, axes="B T C")
    backward(mine, g, x, p, 2)
    backward(mine, g, x[:1, :1], p, 1)
    g.probe("in-place", "x, dout and the parameters are left as they were",
            lambda: kept(mine, x, p))
    g.probe("sees-the-future", "a later position changes nothing at an earlier one",
            lambda: causal(mine, x, p))


def backward(mine, g, x, p, n_head):
    """Gradients that are right pass; of wrong ones, those that have no name here go to the doctor.
    """
    def block(x, p):
        return mine.block_forward(x, p, n_head=n_head)[0]

    def block_backward(x, p, dout):
        return mine.block_backward(dout, mine.block_forward(x, p, n_head=n_head)[1])

    def given(x, p, dout, *, n_head):
        dx, dp = block_backward(x, p, dout)
        return {"dx": dx} | {f"d {name}": dp[name] for name in p}

    contract(g, mine.block_forward(x, p, n_head=n_head), block_backward(x, p, x), x, p)
    report = diagnose_value(GRADIENTS, given, x, p, g.normal(*x.shape), n_head=n_head)
    if report.ok:
        g.right.append(f"the gradients of block_backward, x {x.shape}")
        return
    fault = report.findings[0]
    if fault.kind in [kind for kind, *_ in GRADIENTS.variants]:
        g.fail(fault.kind, f"block_backward: {fault.sentence}.",
               f"At {report.where}: expected {report.expected}, got {report.got}.")
    g.function(block, block_backward, x, p)


def contract(g, forward, result, x, p):
    """What is wrong with the form of the results."""
    if not isinstance(forward, tuple) or len(forward) != 2:
        g.fail("contract", "block_forward should return (out, cache).")
    if not (isinstance(result, (tuple, list)) and len(result) == 2 and isinstance(result[1], dict)):
        g.fail("contract", "block_backward should return (dx, dp), with dp a dict that has the "
               "gradient of every parameter under the parameter's name.")
    dx, dp = result
    missing = [name for name in p if dp.get(name) is None]
    if missing:
        g.fail("missing-gradient", f"block_backward: dp has no {', no '.join(missing)}; expected "
               f"the names of p.")
    extra = [name for name in dp if name not in p]
    if extra:
        g.fail("unexpected-gradient", f"block_backward: dp has {', '.join(map(str, extra))}, which "
               "is not the name of a parameter.")
    for name, wanted, got in [("dx", x, dx), *((f"dp[{n!r}]", p[n], dp[n]) for n in p)]:
        if np.shape(got) != wanted.shape:
            g.fail("wrong-shape", f"block_backward: {name} has shape {np.shape(got)}; expected "
                   f"{wanted.shape}.")


def kept(mine, x, p):
    """Which of the arrays is written to; else True."""
    dout = np.ones_like(x)
    given = {"x": x.copy(), "dout": dout} | {name: a.copy() for name, a in p.items()}
    before = {name: a.copy() for name, a in given.items()}
    _, cache = mine.block_forward(given["x"], {name: given[name] for name in p}, n_head=2)
    first = mine.block_backward(dout, cache)[0]
    changed = [name for name, a in given.items() if not np.array_equal(a, before[name])]
    if changed:
        return f"{', '.join(changed)} changed: work on a copy."
    if not np.array_equal(first, mine.block_backward(dout, cache)[0]):
        return "block_backward gives something else when it is called again: it changes the cache."
    return True


def causal(mine, x, p):
    """Whether the last position changes no other."""
    changed = x.copy()
    changed[:, -1] += 1.0
    before, after = (np.asarray(mine.block_forward(a, p, n_head=2)[0]) for a in (x, changed))
    return np.allclose(before[:, :-1], after[:, :-1], rtol=0, atol=1e-12)


def after():
    """One thing worth knowing, with its numbers."""
    c, layers = 768, 12     # GPT-2 small
    size = {name: int(np.prod(shape)) for name, shape in shapes(c, 4 * c).items()}
    block = sum(size.values())
    mlp, norms = (sum(n for name, n in size.items() if name.startswith(part))
                  for part in ("mlp", "ln"))
    return (f"A block of GPT-2 small has {block:,} parameters, {mlp / block:.0%} of them in the "
            f"feed-forward, which never sees more than one position, and {norms / block:.2%} in "
            f"its two norms. {layers} blocks are {layers * block / 1e6:.0f} million parameters; "
            f"what the model has beside them is nearly all in one table of {50257 * c / 1e6:.0f} "
            "million, which the next exercise uses twice.")
