"""The lab's README: its section on GPT-2 without LayerNorm, from a study that was run.

    npgpt lab run relu-revival                          forty minutes or more on two cores
    python -m benchmarks.study studies/relu-revival     results, pictures and the section
    python -m benchmarks.study                          the section again, from the results here
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from npgpt.lab.pictures import draw_all
from npgpt.lab.results import Results, load_results
from npgpt.lab.summary import ArmSummary, Pair, Summary, summarise
from npgpt.lab.wording import (
    answer_parts,
    change,
    figure,
    fraction,
    interval,
    p_text,
    percent,
    verdict,
)
from npgpt.probe.entropy import quartiles

from .readme import put_section

RESULTS = Path(__file__).parent / "results"
SAVED = RESULTS / "relu-revival.json"
README = Path(__file__).parents[1] / "npgpt/lab/README.md"
PICTURES = {"perplexity": "study-perplexity.svg", "heat-maps": "study-entropy.svg"}


def main() -> None:
    """Save a study's results, draw its pictures, and write the README's section."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=__doc__.splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, default=SAVED,
                        help="a study's folder or results.json")
    results = load_results(parser.parse_args().study)
    text = json.dumps(results, allow_nan=False)
    SAVED.write_text(text + "\n", encoding="utf-8")
    summary = summarise(results)
    pictures = draw_all(summary)
    for name, file in PICTURES.items():
        (RESULTS / file).write_bytes(pictures[name])
    put_section("study", section(results, summary), README)


def section(results: Results, summary: Summary) -> str:
    """The section, from the figures."""
    arms = "\n".join(_arm_row(summary, arm) for arm in summary.arms)
    pairs = "\n".join(_pair_row(pair) for pair in summary.pairs)
    minutes = sum(arm.seconds for arm in summary.arms) / 60
    made = results["made_with"][-1]
    seeds = len(results["study"]["seeds"])
    return f"""
## GPT-2 without LayerNorm: what came out

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
that it observed. Tokens differ from the paper's (characters here), so only ratios compare.
{_scale(results, minutes)},
on {made["cores"]} cores of {made["processor"]}. Everything that was measured is in
[`benchmarks/results/relu-revival.json`](../../benchmarks/results/relu-revival.json), and
`npgpt lab report benchmarks/results/relu-revival.json --out page` makes the complete page of it.

![perplexity of every arm](../../benchmarks/results/study-perplexity.svg)

![attention entropy of every head](../../benchmarks/results/study-entropy.svg)
"""


def _answer(results: Results, summary: Summary) -> str:
    parts = answer_parts(results, summary)
    return "\n".join([" ".join(parts[:2]), "", *(f"- {part}" for part in parts[2:])])


def _scale(results: Results, minutes: float) -> str:
    runs = len(results["runs"])
    steps = results["settings"]["train"]["max_steps"]
    return f"{runs} runs of {steps:,} steps took {minutes:.0f} minutes of run time in all"


def _arm_row(summary: Summary, arm: ArmSummary) -> str:
    theirs, top = "", ""
    if arm.paper and arm.paper.perplexity is not None:
        theirs = figure(arm.paper.perplexity)
    if arm.paper and arm.paper.quartiles:
        top = f"{arm.paper.quartiles[3]:g} %"
    level = highest = "–"
    if arm.entropy and summary.bound:
        level = fraction(summary.mean_fraction(arm))
        highest = fraction(quartiles(arm.all_heads, summary.bound).overload)
    found = interval(arm.perplexity)
    if arm.diverged:
        found += f" ({len(arm.diverged)} diverged)"
    return f"| {arm.name} | {found} | {theirs} | {level} | {highest} | {top} |"


def _pair_row(pair: Pair) -> str:
    theirs = "" if pair.paper is None else percent(100 * pair.paper)
    return (f"| {pair.name} | {change(pair.percent)} | {theirs} | "
            f"{p_text(pair.t_test)} | {p_text(pair.holm)} | {verdict(pair)} |")


if __name__ == "__main__":
    main()
