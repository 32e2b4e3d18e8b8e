"""How accumulation is graded: against the whole batch, and by replaying what people write."""

import copy
from dataclasses import replace

import numpy as np

from npgpt.doctor import Program, diagnose_value
from npgpt.doctor.values.catalogue import PROGRAMS
from npgpt.doctor.values.training import accumulate


def _sum(grads, weights):
    return {name: sum(w * g[name] for w, g in zip(weights, grads)) for name in grads[0]}


def last_weighted(grads, counts):
    """The last micro-batch alone, with its weight."""
    return _sum(grads[-1:], [counts[-1] / sum(counts)])


def last_of_k(grads, counts):
    """The last micro-batch alone, divided by their number."""
    return _sum(grads[-1:], [1 / len(counts)])


def all_but_last(grads, counts):
    """All but the last, divided by all tokens."""
    return _sum(grads[:-1], [n / sum(counts) for n in counts[:-1]])


def all_but_first(grads, counts):
    """All but the first, divided by all tokens."""
    return _sum(grads[1:], [n / sum(counts) for n in counts[1:]])


def running_average(grads, counts):
    """Halfway between what there is and the next, each time."""
    out = grads[0]
    for g in grads[1:]:
        out = _sum([out, g], [0.5, 0.5])
    return out


def halved_from_zero(grads, counts):
    """Halfway between what there is, zero at first, and the next, each time."""
    return running_average([_sum(grads[:1], [0.0]), *grads], counts)


def not_weighted(grads, counts):
    """The means added, and divided by all tokens."""
    return _sum(grads, [1 / sum(counts)] * len(counts))


def divided_again(grads, counts):
    """Each mean divided by its own number of tokens."""
    return _sum(grads, [1 / n for n in counts])


def inverse_weights(grads, counts):
    """Weights that are the wrong way up."""
    inverse = [1 / n for n in counts]
    return _sum(grads, [w / sum(inverse) for w in inverse])


_LAST = "the gradient is zeroed (or overwritten) at each micro-batch: only the last counts"
ACCUMULATE = replace(PROGRAMS["accumulate"], variants=[
    *PROGRAMS["accumulate"].variants,
    ("zeroed-each-time", last_weighted, _LAST), ("zeroed-each-time", last_of_k, _LAST),
    ("last-batch-lost", all_but_last, "the last micro-batch is lost"),
    ("first-batch-lost", all_but_first, "the first micro-batch is lost: its gradient is "
     "overwritten, or the loop begins at the second"),
    ("running-average", running_average, "each new gradient counts as much as all before it "
     "together: the average of two, again and again, is not the average of all"),
    ("running-average", halved_from_zero, "each new gradient counts as much as all before it "
     "together: the average of two, again and again, is not the average of all"),
    ("not-weighted", not_weighted, "the micro-batches' means are divided by the number of all "
     "tokens: multiply each by its own number first"),
    ("divided-twice", divided_again, "each gradient is divided by its number of tokens again: it "
     "is a mean already"),
    ("weights-inverted", inverse_weights, "the weights are the wrong way up: more tokens must "
     "weigh more"),
])


def right(grads, counts, *, size):
    """The accumulated gradient of each step of `size` micro-batches, and of what is left."""
    return [accumulate(grads[i:i + size], counts[i:i + size]) for i in range(0, len(grads), size)]


def last_group_lost(grads, counts, *, size):
    """Whole groups only."""
    return right(grads, counts, size=size)[:len(grads) // size]


def never_zeroed(grads, counts, *, size):
    """Each step holds all steps before it, too."""
    ends = [*range(size, len(grads), size), len(grads)]
    return [accumulate(grads[:end], counts[:end]) for end in ends]


def sums_run_on(grads, counts, *, size):
    """The accumulated gradient is added to the one of the step before."""
    steps = right(grads, counts, size=size)
    return [{name: sum(step[name] for step in steps[:n]) for name in steps[0]}
            for n in range(1, len(steps) + 1)]


def first_of_one(grads, counts, *, size):
    """A step at the first micro-batch already."""
    return [accumulate(grads[:1], counts[:1]), *right(grads[1:], counts[1:], size=size)]


def first_of_one_last_lost(grads, counts, *, size):
    """A step at the first micro-batch already, and whole groups only."""
    whole = 1 + (len(grads) - 1) // size * size
    return first_of_one(grads[:whole], counts[:whole], size=size)


def groups_overlap(grads, counts, *, size):
    """A step at every micro-batch, of the `size` that begin there."""
    return [accumulate(grads[i:i + size], counts[i:i + size]) for i in range(len(grads))]


def one_too_many(grads, counts, *, size):
    """Groups of one more."""
    return right(grads, counts, size=size + 1)


def as_count(grads, counts, *, size):
    """`size` taken for the number of steps."""
    return right(grads, counts, size=-(-len(grads) // size))


def dealt(grads, counts, *, size):
    """Micro-batches dealt to the steps in turn."""
    steps = -(-len(grads) // size)
    return [accumulate(grads[n::steps], counts[n::steps]) for n in range(steps)]


def last_one_carried(grads, counts, *, size):
    """What is left is put into the last whole group."""
    whole = len(grads) // size
    ends = [n * size for n in range(whole)] + [len(grads)]
    return [accumulate(grads[a:b], counts[a:b]) for a, b in zip(ends, ends[1:])]


def of_means(grads, counts, *, size):
    """A mean of means in each group."""
    return right(grads, [1] * len(grads), size=size)


def by_size(grads, counts, *, size):
    """A mean of means, divided by `size` where fewer are left."""
    return [{name: sum(g[name] for g in grads[i:i + size]) / size for name in grads[0]}
            for i in range(0, len(grads), size)]


def all_at_once(grads, counts, *, size):
    """One step for everything."""
    return [accumulate(grads, counts)]


def one_each(grads, counts, *, size):
    """A step for each micro-batch."""
    return grads


def whole_groups_overlap(grads, counts, *, size):
    """A step for each whole group, wherever it begins."""
    return groups_overlap(grads, counts, size=size)[:len(grads) - size + 1]


def last_step_only(grads, counts, *, size):
    """The last step alone."""
    return right(grads, counts, size=size)[-1:]


def of_all_tokens(grads, counts, *, size):
    """Each group divided by the tokens of all groups."""
    return [_sum(grads[i:i + size], [n / sum(counts) for n in counts[i:i + size]])
            for i in range(0, len(grads), size)]


def counts_not_cut(grads, counts, *, size):
    """Each group with the counts of the first."""
    return [_sum(grads[i:i + size], [n / sum(counts) for n in counts])
            for i in range(0, len(grads), size)]


def counts_of_first(grads, counts, *, size):
    """Each group with the counts of the first, and their sum."""
    return [accumulate(grads[i:i + size], counts[:len(grads[i:i + size])])
            for i in range(0, len(grads), size)]


def _run(function, inputs, settings):
    grads, counts = copy.deepcopy(inputs)
    out = function(grads, counts, **settings)
    return None if out is None else [*out]      # a generator is as good as a list


def _draw(rng, given, n):
    k, size = [(7, 3), (6, 2), (5, 4), (4, 3)][n % 4]
    shapes = {"weight": (2, 3 + n), "bias": (4,)}
    grads = [{name: rng.standard_normal(shape) for name, shape in shapes.items()}
             for _ in range(k)]
    return (grads, [int(c) for c in rng.permutation([3, 7, 12, 20, 5, 9, 2])[:k]]), {"size": size}


GROUPS = Program("accumulate_in_groups", right, [
    ("last-group-lost", last_group_lost, "the last group is lost: where fewer micro-batches than "
     "size are left, they make a step as well"),
    ("groups-never-zeroed", never_zeroed, "each step contains the ones before it: what was "
     "accumulated must be set to zero after each step"),
    ("groups-never-zeroed", sums_run_on, "each step's gradient is added to the one of the step "
     "before: what was accumulated must be set to zero after each step"),
    ("first-group-of-one", first_of_one, "the first step comes one micro-batch after the start: "
     "with i counted from 0, the end of a group is where (i + 1) % size is 0"),
    ("first-group-of-one", first_of_one_last_lost, "the first step comes one micro-batch after "
     "the start, and the last group is lost: with i counted from 0, the end of a group is where "
     "(i + 1) % size is 0, or at the last i"),
    ("groups-overlap", groups_overlap, "the groups overlap: each micro-batch belongs to one step"),
    ("size-one-more", one_too_many, "the groups hold size + 1 micro-batches"),
    ("size-for-steps", as_count, "size is taken for the number of steps: it is that of "
     "micro-batches in a step"),
    ("groups-dealt", dealt, "the micro-batches are dealt to the steps in turn: a group is a run "
     "of neighbours"),
    ("last-group-joined", last_one_carried, "the micro-batches that are left are put into the "
     "last whole group: they are a step of their own"),
    ("mean-of-batch-means", of_means, "each step is the mean of its micro-batches' means: each "
     "token must weigh the same"),
    ("one-step", all_at_once, "everything makes one step: size micro-batches make one"),
    ("step-per-micro-batch", one_each, "each micro-batch makes a step: size of them make one"),
    ("groups-overlap", whole_groups_overlap, "the groups overlap: each micro-batch belongs to one "
     "step"),
    ("last-step-only", last_step_only, "only the last step is given: a list of all of them is "
     "meant"),
    ("divided-by-all-tokens", of_all_tokens, "each step is divided by the tokens of all steps: "
     "it is the mean over its own tokens"),
    ("counts-not-cut", counts_not_cut, "each group is cut from grads, but not from counts"),
    ("counts-not-cut", counts_of_first, "each group has the counts of the first group"),
    ("divided-by-size", by_size, "each step is divided by size, also the last, which has fewer"),
], draw=_draw, run=_run)


def _weights(mine):
    """The weight that each of three micro-batches has in the result, if it is a sum of them."""
    rng = np.random.default_rng(1)
    grads = [{"a": rng.standard_normal((4, 5))} for _ in range(3)]
    got = np.asarray(mine(copy.deepcopy(grads), [2, 3, 5])["a"], float).ravel()
    columns = np.stack([g["a"].ravel() for g in grads], axis=1)
    weights, _, _, _ = np.linalg.lstsq(columns, got, rcond=None)
    if not np.allclose(columns @ weights, got):
        return None
    return ", ".join(f"{w:.3g}" for w in weights.round(9))


def _whole_batch(mine):
    """Whether four rows of 6, 4, 2 and 1 tokens give the gradient of all 13 at once."""
    params, x, targets = _example()
    whole = _mean_gradient(params, x, targets)
    rows = [_mean_gradient(params, x[i:i + 1], targets[i:i + 1]) for i in range(4)]
    got = mine.accumulate(rows, [6, 4, 2, 1])
    return all(np.allclose(got[name], g, rtol=1e-9, atol=1e-12) for name, g in whole.items())


def _example():
    rng = np.random.default_rng(3)
    params = {"weight": rng.standard_normal((5, 7)), "bias": rng.standard_normal(7)}
    targets = rng.integers(0, 7, (4, 6))
    for row, length in enumerate((6, 4, 2, 1)):
        targets[row, length:] = -100
    return params, rng.standard_normal((4, 6, 5)), targets


def _mean_gradient(params, x, targets):
    from npgpt.layers.cross_entropy import linear_cross_entropy_backward as backward
    from npgpt.layers.cross_entropy import linear_cross_entropy_forward as forward

    _, cache = forward(x, params["weight"].T, targets)
    _, dweight, _ = backward(np.float64(1.0), cache)
    return {"weight": dweight.T}


def _unchanged(mine):
    rng = np.random.default_rng(0)
    grads = [{"a": rng.standard_normal((2, 3))} for _ in range(3)]
    before = copy.deepcopy(grads)
    first, second = mine.accumulate(grads, [1, 2, 3]), mine.accumulate(grads, [1, 2, 3])
    if not all((a["a"] == b["a"]).all() for a, b in zip(grads, before)):
        return "It wrote into the gradients of the micro-batches; begin the sum with new zeros."
    return bool(np.allclose(first["a"], second["a"]))


def grade(mine, g):
    """The weights, the whole batch as the judge, and the groups."""
    if diagnose_value(ACCUMULATE, mine.accumulate).kinds == ["unexplained"] and (
            found := _weights(mine.accumulate)):
        g.fail("wrong-weights", "accumulate: it weighs three micro-batches of 2, 3 and 5 tokens by "
               f"{found}; expected 0.2, 0.3, 0.5, so that each token weighs the same")
    else:
        g.values(ACCUMULATE, mine.accumulate)
    g.probe("in-place", "the gradients given are unchanged, and a second call says the same",
            lambda: _unchanged(mine))
    if g.findings:          # the groups may use accumulate
        return
    g.probe("not-the-whole-batch", "micro-batches of 6, 4, 2 and 1 tokens give the gradient of "
            "all 13 tokens at once", lambda: _whole_batch(mine))
    if diagnose_value(GROUPS, mine.accumulate_in_groups).kinds == ["wrong-count"]:
        (grads, counts), settings = _draw(np.random.default_rng(0), {}, 0)
        found = len(_run(mine.accumulate_in_groups, (grads, counts), settings))
        g.fail("wrong-number-of-steps", f"accumulate_in_groups: {found} steps for "
               f"{len(grads)} micro-batches in groups of {settings['size']}; expected "
               f"{len(right(grads, counts, **settings))}")
    else:
        g.values(GROUPS, mine.accumulate_in_groups)


def after():
    """How far the mean of means is from the truth, measured."""
    params, x, targets = _example()
    whole = _mean_gradient(params, x, targets)["weight"]
    rows = [_mean_gradient(params, x[i:i + 1], targets[i:i + 1])["weight"] for i in range(4)]
    off = np.linalg.norm(sum(rows) / 4 - whole) / np.linalg.norm(whole)
    cosine = (sum(rows) * whole).sum() / np.linalg.norm(sum(rows)) / np.linalg.norm(whole)
    return ("With rows of 6, 4, 2 and 1 tokens the mean of means is off by "
            f"{off:.0%} of the gradient's length, and points {np.degrees(np.arccos(cosine)):.0f} "
            "degrees away from it. No loss curve shows that: it still goes down. Comparing with "
            "the whole batch, on a tiny model in float64, does.")
