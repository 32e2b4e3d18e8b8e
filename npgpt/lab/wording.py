"""Numbers as a report writes them, and the answer in a few careful sentences."""

from __future__ import annotations

import math
from typing import Sequence

from ..probe.entropy import quartiles
from . import paper
from .results import Results
from .statistics import Estimate, exp
from .summary import SIGNIFICANT, Pair, Summary

# what a verdict on the first comparison says, and how claims with it are listed
_SENTENCES = {
    "points that way": "At this scale the numbers point that way: {though}",
    "points the other way": "At this scale the numbers point the other way: {though}",
    "points to lower": "At this scale the numbers point one way: {though}",
    "points to higher": "At this scale the numbers point one way: {though}",
    "confirms": "At this scale it holds: the perplexity is {way}, and the whole 95 % interval is "
                "on that side of zero.",
    "contradicts": "At this scale it does not hold: the perplexity is not {claim}, and the whole "
                   "95 % interval is on the other side of zero.",
    "cannot tell": "At this scale these seeds cannot tell: the 95 % interval of the difference "
                   "contains zero.",
    "lower": "At this scale the perplexity is {way}, and the whole 95 % interval is on that side "
             "of zero.",
}
_SENTENCES["higher"] = _SENTENCES["lower"]
_UNSURE = f"but not surely (Holm's p is not below {SIGNIFICANT:g})"
_CLAIMS = {
    "confirms": "hold", "points that way": f"seem to hold, {_UNSURE}",
    "points the other way": f"seem not to hold, {_UNSURE}", "contradicts": "do not hold",
    "cannot tell": "cannot be decided",
}


def figure(value: float, digits: int = 3) -> str:
    """A number with a true minus sign, or NaN."""
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
    """Digits after the point at which not all of the values look like zero; 6 at most."""
    return next((digits for digits in range(least, 7)
                 if any(round(value, digits) for value in values if math.isfinite(value))), least)


def p_text(p: float) -> str:
    """A p value in two digits; tiny ones as < 0.0001."""
    return "–" if math.isnan(p) else "< 0.0001" if p < 1e-4 else f"{p:.2g}"


def fraction(value: float) -> str:
    """A fraction of 1 in whole percent: 26 %."""
    return "NaN" if math.isnan(value) else f"{100 * value:.0f} %"


def change(found: Estimate, digits: int = 2) -> str:
    """A change in percent with its interval: −8.16 % (−9.10 to −7.21); `digits` or more."""
    digits = enough_digits([found.mean, found.low, found.high], digits)
    mean, low, high = (percent(value, digits) for value in (found.mean, found.low, found.high))
    return mean if math.isnan(found.low) else f"{mean} ({low[:-2]} to {high[:-2]})"


def verdict(pair: Pair) -> str:
    """The verdict on one comparison, as a table's cell."""
    if len(pair.seeds) < 2:
        return "cannot tell (too few seeds)"
    found = pair.verdict
    if found.startswith("points"):
        return f"{found} (Holm p = {p_text(pair.holm)})"
    return {"confirms": f"confirmed: {pair.way}", "contradicts": f"the opposite: {pair.way}"}.get(
        found, found)


def answer_parts(results: Results, summary: Summary) -> list[str]:
    """The first comparison in a few sentences that claim no more than the numbers do.

    The first two are the gist.
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
    broken = [f"“{arm.name}” diverged with {_seeds(len(arm.diverged))}" for arm in arms
              if arm.diverged]
    if not pair.seeds:
        return [f"Cannot tell: {' and '.join(broken)}." if broken else
                f"Cannot tell yet: no seed has both “{pair.arm}” and “{pair.against}”."]
    printed = "" if pair.paper is None else f"; the paper: {percent(100 * pair.paper)}"
    first, second = (math.fsum(exp(arm.losses[s]) for s in pair.seeds) / len(pair.seeds)
                     for arm in arms)
    numbers = (f"“{pair.arm}” reaches perplexity {figure(first)}, “{pair.against}” "
               f"{figure(second)}: {change(pair.percent)} over {_seeds(len(pair.seeds))}"
               f"{printed}.")
    if len(pair.seeds) < 2:
        return ["Cannot tell from one seed.", numbers]
    though = (f"the perplexity is {pair.way} and the whole 95 % interval on that side of zero, but "
              f"corrected for all comparisons ({len(summary.pairs)}) it is not sure: Holm's p is "
              f"{p_text(pair.holm)}.")
    sentence = _SENTENCES[pair.verdict].format(way=pair.way, claim=pair.claim, though=though)
    return [sentence, numbers, *(f"{words}." for words in broken)]


def _entropy(summary: Summary, pair: Pair) -> str:
    if pair.entropy is None or summary.bound is None:
        return ""
    arms = [summary.arm(name) for name in (pair.arm, pair.against)]
    levels = [fraction(summary.mean_fraction(arm)) for arm in arms]
    way = ("not surely different" if not pair.entropy.excludes_zero else
           "lower" if pair.entropy.mean < 0 else "higher")
    # all heads of all seeds, as in the table: a mean over seeds would hide some
    top = [quartiles(arm.all_heads, summary.bound).overload for arm in arms]
    printed = [arm.paper.quartiles[3] for arm in arms if arm.paper and arm.paper.quartiles]
    beside = f" (the paper: {printed[0]} % and {printed[1]} %)" if len(printed) == 2 else ""
    return (f"The attention entropy of the first is {way}: {levels[0]} of its bound against "
            f"{levels[1]}; {fraction(top[0])} and {fraction(top[1])} of the heads are in its "
            f"highest quarter{beside}.")


def _others(summary: Summary) -> list[str]:
    """The other claims, by verdict."""
    found: dict[str, list[str]] = {}
    for pair in summary.pairs[1:]:
        if pair.claim is not None and len(pair.seeds) > 1:
            found.setdefault(pair.verdict, []).append(
                f"“{pair.arm}” {pair.claim} than “{pair.against}”")
    listed = [f"{words}: {'; '.join(found[verdict])}" for verdict, words in _CLAIMS.items()
              if verdict in found]
    return [f"{'These' if n else 'Of the other claims these'} {each}."
            for n, each in enumerate(listed)]


def _scale(results: Results, summary: Summary) -> str:
    settings = results["settings"]
    model, train = settings["model"], settings["train"]
    tokens = (train["max_steps"] * train["batch_size"] * train["grad_accumulation"]
              * (train["sequence_length"] or model["n_positions"]))
    beside = f"; the paper has {paper.SCALE}" if summary.with_paper else ""
    return (f"The scale is {model['n_layer']} layers of {model['n_embd']} channels and "
            f"{tokens / 1e6:.3g} million tokens{beside}. Larger models may differ.")


def _seeds(n: int) -> str:
    return "one seed" if n == 1 else f"{n} seeds"
