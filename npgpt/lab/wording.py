"""Numbers as a report writes them, and the answer in a few careful sentences."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from ..probe.entropy import quartiles
from . import paper
from .statistics import Estimate
from .summary import SURE, Pair, Summary


def figure(value: float, digits: int = 3) -> str:
    """A number with a true minus sign; NaN as such."""
    return "NaN" if math.isnan(value) else f"{value:.{digits}f}".replace("-", "−")


def interval(found: Estimate, digits: int = 3) -> str:
    """Mean and 95 % interval: 3.412 (3.398 to 3.426); the mean alone for one seed."""
    if found.n == 0:
        return "–"
    mean = figure(found.mean, digits)
    if math.isnan(found.low):
        return f"{mean} (one seed)" if found.n == 1 else mean
    return f"{mean} ({figure(found.low, digits)} to {figure(found.high, digits)})"


def percent(value: float, digits: int = 2) -> str:
    """A change in percent, always with its sign: +2.53 %."""
    return "–" if math.isnan(value) else f"{value:+.{digits}f} %".replace("-", "−")


def enough_digits(values: Sequence[float], least: int = 2) -> int:
    """Digits after the point with which not all of the values look like zero; 6 at most."""
    return next((digits for digits in range(least, 7)
                 if any(round(value, digits) for value in values if math.isfinite(value))), least)


def p_text(p: float) -> str:
    """A p value in two digits, and no smaller than can be meant."""
    return "–" if math.isnan(p) else "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def share(value: float) -> str:
    """A share of 1 in whole percent."""
    return "NaN" if math.isnan(value) else f"{100 * value:.0f} %"


def quoted(name: str) -> str:
    """An arm's name in a sentence."""
    return f"“{name}”"


def pair_name(pair: Pair) -> str:
    """The two arms of a comparison."""
    return f"{pair.arm} / {pair.against}"


def difference(pair: Pair) -> str:
    """The difference of perplexity with its interval: −8.16 % (−9.10 to −7.21)."""
    mean, low, high = pair.percent
    digits = enough_digits(pair.percent)
    if math.isnan(low):
        return percent(mean, digits)
    return f"{percent(mean, digits)} ({percent(low, digits)[:-2]} to {percent(high, digits)[:-2]})"


def verdict(pair: Pair) -> str:
    """The verdict on one comparison, as the table says it."""
    if len(pair.seeds) < 2:
        return "cannot tell (too few seeds)"
    way = "lower" if pair.nats.difference.mean < 0 else "higher"
    said = {"confirms": f"confirmed: {way}", "contradicts": f"the opposite: {way}"}.get(
        pair.verdict, pair.verdict)
    return f"{said} (Holm p = {p_text(pair.holm)})" if said.startswith("points") else said


def answer_parts(results: dict[str, Any], summary: Summary) -> list[str]:
    """The first comparison in a few sentences that claim no more than the numbers do.

    The first two are the gist of it.
    """
    parts = []
    ended = sum(run["status"] in ("done", "diverged") for run in results["runs"])
    if not results["complete"]:
        parts.append(f"Not finished: {ended} of {len(results['runs'])} runs have ended.")
    if not summary.pairs:
        return [*parts, "There is one arm and nothing to compare it with."]
    pair = summary.pairs[0]
    parts += [*_main(summary, pair), _entropy(summary, pair), *_others(summary),
              _scale(results, summary)]
    return list(filter(None, parts))


def _main(summary: Summary, pair: Pair) -> list[str]:
    arms = [summary.arm(name) for name in (pair.arm, pair.against)]
    broken = [f"{quoted(arm.name)} diverged with {_seeds(len(arm.diverged))}" for arm in arms
              if arm.diverged]
    if not pair.seeds:
        return [f"Cannot tell: {' and '.join(broken)}." if broken else
                f"Cannot tell yet: no seed has both {quoted(pair.arm)} and "
                f"{quoted(pair.against)}."]
    printed = "" if pair.paper is None else f"; the paper: {percent(100 * pair.paper)}"
    means = [math.fsum(math.exp(arm.losses[s]) for s in pair.seeds) / len(pair.seeds)
             for arm in arms]
    numbers = (f"{quoted(pair.arm)} reaches perplexity {figure(means[0])}, "
               f"{quoted(pair.against)} {figure(means[1])}: {difference(pair)} over "
               f"{_seeds(len(pair.seeds))}{printed}.")
    if len(pair.seeds) < 2:
        return ["Cannot tell from one seed.", numbers]
    way = "lower" if pair.nats.difference.mean < 0 else "higher"
    though = (f"the perplexity is {way} and the whole 95 % interval on that side of zero, but "
              f"corrected for all comparisons ({len(summary.pairs)}) it is not sure: Holm's p is "
              f"{p_text(pair.holm)}.")
    said = {
        "points that way": f"At this scale the numbers point that way: {though}",
        "points the other way": f"At this scale the numbers point the other way: {though}",
        f"points to {way}": f"At this scale the numbers point one way: {though}",
        "confirms": f"At this scale it holds: the perplexity is {pair.claim}, and the whole 95 % "
                    f"interval is on that side of zero.",
        "contradicts": f"At this scale it does not hold: the perplexity is not {pair.claim}, and "
                       f"the whole 95 % interval is on the other side of zero.",
        "cannot tell": "At this scale these seeds cannot tell: the 95 % interval of the difference "
                       "holds zero.",
    }.get(pair.verdict, f"At this scale the perplexity is {pair.verdict}, and the whole 95 % "
                        f"interval is on that side of zero.")
    return [said, numbers, *(f"{words}." for words in broken)]


def _entropy(summary: Summary, pair: Pair) -> str:
    if pair.entropy is None or summary.bound is None:
        return ""
    arms = [summary.arm(name) for name in (pair.arm, pair.against)]
    means = [summary.mean_entropy(arm) for arm in arms]
    assert means[0] is not None and means[1] is not None
    levels = [share(float(mean.mean()) / summary.bound) for mean in means if mean is not None]
    found = pair.entropy.difference
    sure = (("lower" if found.mean < 0 else "higher") if found.excludes_zero
            else "not surely different")
    # all heads of all seeds, as in the table: a mean over seeds would hide some
    top = [quartiles(np.concatenate([e.ravel() for e in arm.entropy.values()]),
                     summary.bound).overload for arm in arms]
    printed = [arm.paper.quartiles[3] for arm in arms if arm.paper and arm.paper.quartiles]
    beside = f" (the paper: {printed[0]} % and {printed[1]} %)" if len(printed) == 2 else ""
    return (f"The attention entropy of the first is {sure}: {levels[0]} of its bound against "
            f"{levels[1]}; {share(top[0])} and {share(top[1])} of the heads are in its highest "
            f"quarter{beside}.")


def _others(summary: Summary) -> list[str]:
    """The other claims, by what became of them."""
    unsure = f"but not surely (Holm's p is not below {SURE:g})"
    words = {"confirms": "hold", "points that way": f"seem to hold, {unsure}",
             "points the other way": f"seem not to hold, {unsure}",
             "contradicts": "do not hold", "cannot tell": "cannot be told"}
    found: dict[str, list[str]] = {}
    for pair in summary.pairs[1:]:
        if pair.claim is not None and len(pair.seeds) > 1:
            found.setdefault(pair.verdict, []).append(
                f"{quoted(pair.arm)} {pair.claim} than {quoted(pair.against)}")
    told = [f"{words[verdict]}: {'; '.join(found[verdict])}" for verdict in words
            if verdict in found]
    return [f"{'These' if n else 'Of the other claims these'} {each}."
            for n, each in enumerate(told)]


def _scale(results: dict[str, Any], summary: Summary) -> str:
    settings = results["settings"]
    model, train = settings["model"], settings["train"]
    tokens = (train["max_steps"] * train["batch_size"] * train["grad_accumulation"]
              * (train["sequence_length"] or model["n_positions"]))
    beside = f"; the paper has {paper.SCALE}" if any(arm.paper for arm in summary.arms) else ""
    return (f"The scale is {model['n_layer']} layers of {model['n_embd']} channels and "
            f"{tokens / 1e6:.3g} million tokens{beside}. Larger models may differ.")


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"
