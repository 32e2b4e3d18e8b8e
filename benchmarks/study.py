"""The README's section on GPT-2 without LayerNorm, from a study that was run.

    npgpt lab run relu-revival                          forty minutes or more on two cores
    python -m benchmarks.study studies/relu-revival     results, pictures and the README's section
    python -m benchmarks.study                          the section again, from the results here
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

from npgpt.lab.pictures import draw_all
from npgpt.lab.results import load_results
from npgpt.lab.summary import ArmSummary, Pair, Summary, summarise
from npgpt.lab.wording import answer_parts, difference, figure, interval, p_text, percent, verdict
from npgpt.probe.entropy import quartiles

from .readme import put_section

RESULTS = Path(__file__).parent / "results"
KEPT = RESULTS / "relu-revival.json"
PICTURES = {"perplexity": "study-perplexity.svg", "heat-maps": "study-entropy.svg"}


def main() -> None:
    """Keep a study's results, draw its pictures, and write the README's section."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=KEPT,
                        help="a study's folder or results.json")
    results = load_results(parser.parse_args().study)
    text = json.dumps(results, allow_nan=False)
    KEPT.write_text(text + "\n", encoding="utf-8")
    summary = summarise(results)
    pictures = draw_all(results, summary)
    for name, file in PICTURES.items():
        (RESULTS / file).write_bytes(pictures[name])
    put_section("study", section(results, summary))


def section(results: dict[str, Any], summary: Summary) -> str:
    """The README's section, from the figures."""
    arms = "\n".join(_arm_row(summary, arm) for arm in summary.arms)
    pairs = "\n".join(_pair_row(pair) for pair in summary.pairs)
    minutes = sum(arm.seconds for arm in summary.arms) / 60
    made = results["made_with"][-1]
    seeds = len(results["study"]["seeds"])
    return f"""
### What came out

{_answer(results, summary)}

| arm | perplexity per character, mean of {seeds} seeds (95 %) | the paper | \
mean entropy, of the bound | heads in the highest quarter | the paper |
|---|---|---|---|---|---|
{arms}

| first over second | perplexity (95 %) | the paper | p, paired t | p, Holm | verdict |
|---|---|---|---|---|---|
{pairs}

The intervals are Student's, over {seeds} seeds; a verdict is given where the whole interval lies
on one side of zero and Holm's p is below 0.05; where only the interval is clear, the numbers
point a way. Quarters are of the causal bound ln(T!)/T; the paper's are of the largest entropy
that it saw. Tokens differ from the paper's (characters here), so only ratios compare.
{_scale(results, minutes)},
on {made["cores"]} cores of {made["processor"]}. Everything that was measured is in
`benchmarks/results/relu-revival.json`, and
`npgpt lab report benchmarks/results/relu-revival.json --out page` makes the whole page of it.

![perplexity of every arm](benchmarks/results/study-perplexity.svg)

![attention entropy of every head](benchmarks/results/study-entropy.svg)
"""


def _answer(results: dict[str, Any], summary: Summary) -> str:
    parts = answer_parts(results, summary)
    return "\n".join([" ".join(parts[:2]), "", *(f"- {part}" for part in parts[2:])])


def _scale(results: dict[str, Any], minutes: float) -> str:
    runs = len(results["runs"])
    steps = results["settings"]["train"]["max_steps"]
    return f"{runs} runs of {steps:,} steps took {minutes:.0f} minutes of run time in all"


def _arm_row(summary: Summary, arm: ArmSummary) -> str:
    paper = arm.paper
    theirs, top = "", ""
    if paper and paper.perplexity is not None:
        theirs = "NaN" if math.isnan(paper.perplexity) else figure(paper.perplexity)
    if paper and paper.quartiles:
        top = f"{paper.quartiles[3]:g} %"
    entropy = summary.mean_entropy(arm)
    level = highest = "–"
    if entropy is not None and summary.bound:
        level = f"{100 * float(entropy.mean()) / summary.bound:.0f} %"
        every = [value for found in arm.entropy.values() for value in found.ravel()]
        highest = f"{100 * quartiles(every, summary.bound).overload:.0f} %"
    found = interval(arm.perplexity)
    if arm.diverged:
        found += f" ({len(arm.diverged)} diverged)"
    return f"| {arm.name} | {found} | {theirs} | {level} | {highest} | {top} |"


def _pair_row(pair: Pair) -> str:
    theirs = "" if pair.paper is None else percent(100 * pair.paper)
    return (f"| {pair.arm} / {pair.against} | {difference(pair)} | {theirs} | "
            f"{p_text(pair.nats.t_test)} | {p_text(pair.holm)} | {verdict(pair)} |")


if __name__ == "__main__":
    main()
