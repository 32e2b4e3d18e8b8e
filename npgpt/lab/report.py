"""A study's report: what was asked, what came out, and how to do it again.

    write_report(Path("studies/small"), Path("studies/small"))

writes report.html, one page that needs nothing else, and report.md with its pictures in pictures/.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Callable, Mapping

import numpy as np

from ..files import replacing_file
from ..probe.entropy import quartiles
from . import paper
from .pages import PICTURES, Part, code, heading, items, pages, picture, table, text
from .results import Results, load_results, number
from .statistics import estimate, exp, expm1
from .study import shipped
from .summary import SIGNIFICANT, ArmSummary, Summary, summarise
from .wording import (
    answer_parts,
    change,
    enough_digits,
    figure,
    fraction,
    interval,
    p_text,
    percent,
    verdict,
)

HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"

Drawn = Mapping[str, bytes]
"""The pictures that could be drawn, SVG files by name."""


def write_report(
    source: Path, to: Path, report: Callable[[str], None] = lambda note: None
) -> list[Path]:
    """Report on a study's folder or results.json, into the folder `to`; returns the pages' paths.

    Without matplotlib the pages have no pictures, and `report` gets a message that says so. Raises
    ImportError without SciPy, ValueError if `source` does not hold results of a study, OSError
    where nothing can be written.
    """
    from .pictures import draw_all

    results = load_results(source)
    summary = summarise(results)
    try:
        drawn = draw_all(summary)
    except ImportError as error:
        drawn = {}
        report(f"the report has no pictures: {error}")
    html, markdown = pages(results["study"]["title"], parts(results, summary, drawn))
    contents = {to / PICTURES / f"{name}.svg": svg for name, svg in drawn.items()}
    contents |= {to / HTML_FILE: html.encode(), to / MARKDOWN_FILE: markdown.encode()}
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing_file(path) as beside:
            beside.write_bytes(content)
    return [to / HTML_FILE, to / MARKDOWN_FILE]


def parts(results: Results, summary: Summary, drawn: Drawn) -> list[Part]:
    """The report in reading order."""
    asked = text(results["study"]["question"],
                 (paper.TITLE, paper.LINK) if summary.with_paper else None)
    runs = results["runs"]
    if all(run["status"] == "waiting" for run in runs):
        return [asked, text(f"Nothing has run yet; {len(runs)} runs are waiting.", strong=True),
                heading("How to run it"), *_repeat(results)]
    answer = answer_parts(results, summary)
    found = [asked, text(" ".join(answer[:2]), strong=True)]
    if len(answer) > 2:
        found.append(items(answer[2:]))
    for title, section in (
        ("Perplexity", _perplexity(results, summary, drawn)),
        ("Differences, seed by seed", _differences(summary)),
        ("Attention entropy", _entropy(summary, drawn)),
        ("Loss over training", _loss(summary, drawn)),
        ("Runs that diverged", _diverged(results)),
        ("Learnt slopes", _slopes(summary)),
        ("What it cost", _cost(results, summary)),
        ("How to repeat it", _repeat(results)),
    ):
        if section:
            found += [heading(title), *section]
    return found


def _perplexity(results: Results, summary: Summary, drawn: Drawn) -> list[Part]:
    baseline = summary.arms[0].perplexity.mean
    rows = []
    for arm in summary.arms:
        found = arm.perplexity
        against = "–" if arm is summary.arms[0] else percent(100 * (found.mean / baseline - 1))
        row = [arm.name, _runs(arm), interval(found) if found.n else _nothing(arm),
               interval(estimate(list(arm.losses.values())), 4) if found.n else _nothing(arm),
               against]
        if arm.paper and arm.paper.perplexity is not None:
            row.append(figure(arm.paper.perplexity))
            if arm.paper.over_baseline:
                row.append(percent(arm.paper.over_baseline))
        rows.append(row)
    header = ["arm", "runs", "perplexity (95 %)", "nats per token (95 %)", "against the first"]
    if summary.with_paper:
        header += ["the paper", "against its baseline"]
    corpus = results["corpus"]
    section = [table(
        f"Perplexity over all {corpus.get('held_back_tokens', 0):,} held-out tokens of "
        f"{corpus.get('name', 'the corpus')}: mean over seeds and 95 % interval of the mean "
        f"(Student's t). Tokens differ from the paper's, so only the ratios compare.",
        header, rows)]
    unigram = number(corpus.get("unigram"))
    if math.isfinite(unigram):
        section.append(text(f"Counting tokens alone reaches {figure(unigram, 4)} nats, perplexity "
                            f"{figure(exp(unigram), 2)}."))
    return section + picture(
        "perplexity", drawn, "Perplexity of every arm: " + "; ".join(
            f"{arm.name} {interval(arm.perplexity)}" for arm in summary.arms if arm.losses),
        "Dots are seeds, bars the mean and its 95 % interval, the dashed line is the first "
        "arm. An interval from two seeds can be wider than the frame.")


def _differences(summary: Summary) -> list[Part]:
    if not summary.pairs:
        return [text("There is nothing to compare.")]
    rows = []
    for pair in summary.pairs:
        a, b = summary.arm(pair.arm), summary.arm(pair.against)
        seeds = [100 * expm1(a.losses[s] - b.losses[s]) for s in pair.seeds]
        each = ", ".join(percent(value, enough_digits(seeds))[:-2] for value in seeds)
        rows.append((
            pair.name, each or "–", change(pair.percent),
            percent(100 * pair.paper) if pair.paper is not None else "", p_text(pair.t_test),
            p_text(pair.holm), p_text(pair.sign_flip), verdict(pair),
            change(pair.entropy, 1) if pair.entropy else ""))
    n = max(len(pair.seeds) for pair in summary.pairs)
    least = "" if n < 1 else (
        f" With {'one seed' if n == 1 else f'{n} seeds'} the sign-flip test cannot give less than "
        f"{p_text(2 / 2**n)}, whatever the numbers are.")
    return [
        table("Perplexity of the first arm over that of the second, minus 1, from runs that share "
              "their seed (order of batches, and initial weights where the shapes agree). The last "
              "column is the difference of mean attention entropy, in percent of the bound.",
              ("first / second", "each seed, %", "mean (95 %)", "the paper", "p, paired t",
               "p, Holm", "p, sign flip", "verdict", "entropy (95 %)"), rows),
        text(f"The t-test compares nats per token and assumes about normal differences; Holm's "
             f"p corrects it for the {len(rows)} comparisons. The exact sign-flip test assumes "
             f"less.{least} A verdict is given where the whole 95 % interval lies on one side of "
             f"zero and Holm's p is below {SIGNIFICANT:g}; where only the interval is clear, the "
             f"numbers point a way. All of it is about these settings alone."),
    ]


def _entropy(summary: Summary, drawn: Drawn) -> list[Part]:
    arms = [arm for arm in summary.arms if arm.entropy]
    if summary.bound is None or not arms:
        return []
    bound, largest = summary.bound, summary.largest
    # runs that diverged have no last step to measure
    diverged = [(f"{arm.name}, seed {seed}", f"diverged at step {step:,}")
                for arm in summary.arms for seed, step in arm.diverged.items()]
    n_layer = max(len(arm.mean_entropy) for arm in arms)
    found = [
        text(f"In nats, averaged over positions, as the paper has it. The most that causal "
             f"attention can reach here is ln(T!)/T = {bound:.3f}: every position uniform over "
             f"what it sees. The largest seen in any head is {figure(largest)}."),
        *picture(
            "heat-maps", drawn, "Heat maps of final attention entropy, layer by head. Means: "
            + "; ".join(f"{arm.name} {fraction(summary.mean_fraction(arm))}" for arm in arms),
            "Entropy of every head after the last step, mean over seeds, in percent of the "
            "bound; the scale is the same in all panels. Dark heads attend to few tokens, "
            "bright ones to all equally."),
        table("Mean entropy of each layer after the last step, in nats and as a fraction of the "
              "bound; heads that were NaN are counted, never left out of a mean. Runs that "
              "diverged have no last step.",
              ("arm", *(f"layer {n}" for n in range(n_layer)), "all", "NaN heads"),
              [*(_layer_row(arm, bound) for arm in arms), *diverged]),
    ]
    if summary.with_paper:
        found.append(table(
            "The paper's layer means in nats, of a bound of 3.878 at its T = 128.",
            ("the paper", *(str(n) for n in range(12)), "all"),
            [(name, *(f"{v:.2f}" for v in row.layers), f"{row.mean_entropy:.2f}")
             for name, row in paper.ROWS.items() if row.layers]))
        found += picture(
            "layer-means", drawn, "Mean entropy by depth, here and in the paper; see the tables "
            "above", "Mean over heads by depth, each as a fraction of its own bound. The grey band "
            "is the highest quarter, the paper's entropic overload.")
    found.append(table(
        "Heads in each quarter of the entropy's range, lowest to highest, in percent of the heads "
        "of all seeds: of the bound, and of the largest entropy observed, as the paper counts (its "
        f"largest: {paper.LARGEST_ENTROPY}). The highest quarter is entropic overload.",
        ("arm", "of the bound", "of the largest seen", "the paper", "NaN heads"),
        [*(_quartile_row(arm, bound, largest) for arm in arms), *diverged]))
    found += picture(
        "entropy", drawn, "Mean attention entropy of every layer over training, a panel for each "
        "arm", "Mean over heads and seeds at every watched step. The grey band is the highest "
        "quarter.")
    sinks = [_sink_row(arm) for arm in arms if arm.sink]
    if sinks:
        found.append(table(
            "Attention sinks: mean weight that a head gives the first token, all heads and the "
            "one with most, after the last step; mean over seeds.",
            ("arm", "all heads", "most", "in layer, head"), [*sinks, *diverged]))
    return found


def _layer_row(arm: ArmSummary, bound: float) -> list[str]:
    by_layer = arm.mean_entropy.mean(axis=1)
    return [arm.name,
            *(f"{figure(mean, 2)} ({fraction(mean / bound)})"
              for mean in [*by_layer.tolist(), float(arm.mean_entropy.mean())]),
            str(int((~np.isfinite(arm.all_heads)).sum()))]


def _quartile_row(arm: ArmSummary, bound: float, largest: float) -> list[str]:
    by_bound = quartiles(arm.all_heads, bound)
    by_largest = quartiles(arm.all_heads, largest).shares if largest > 0 else ()
    theirs = arm.paper.quartiles if arm.paper and arm.paper.quartiles else ()
    return [arm.name, *(" / ".join(f"{100 * part:.0f}" for part in parts) or "–"
                        for parts in (by_bound.shares, by_largest)),
            " / ".join(map(str, theirs)), str(by_bound.nan)]


def _sink_row(arm: ArmSummary) -> list[str]:
    mean = np.mean(list(arm.sink.values()), axis=0)
    if not np.isfinite(mean).all():
        return [arm.name, "NaN", "NaN", "–"]
    layer, head = np.unravel_index(int(mean.argmax()), mean.shape)
    return [arm.name, fraction(float(mean.mean())), fraction(float(mean.max())), f"{layer}, {head}"]


def _loss(summary: Summary, drawn: Drawn) -> list[Part]:
    found = picture(
        "loss", drawn, "Validation loss over training for every arm, with bands over the seeds",
        "Loss on a part of the held-out text, mean and range over seeds; the first arm is "
        "in every panel. The first steps are above the frame.")
    found += picture(
        "difference", drawn, "Validation loss minus that of the first arm, over training",
        f"The same minus the loss of {summary.arms[0].name} with the same seed: above 0 is "
        f"worse than it.")
    return found or [text("There was nothing to draw here, or nothing to draw it with.")]


def _diverged(results: Results) -> list[Part]:
    rows = [(f"{run['arm']}, seed {run['seed']}", f"{run['diverged_at'] or 0:,}", run["said"])
            for run in results["runs"] if run["status"] == "diverged"]
    return [table("A run diverges when its loss, a gradient or a parameter is not a finite number; "
                  "it ends there.", ("run", "step", "its last words"), rows)] if rows else []


def _slopes(summary: Summary) -> list[Part]:
    arms = [arm for arm in summary.arms if arm.slopes]
    if not arms:
        return []
    names = sorted({name for arm in arms for found in arm.slopes.values() for name in found},
                   key=lambda name: [int(p) if p.isdigit() else 0 for p in name.split(".")])
    rows = []
    for arm in arms:
        row = [arm.name]
        for name in names:
            values = [found[name] for found in arm.slopes.values() if name in found]
            row.append("" if not values else f"{figure(sum(values) / len(values), 4)} "
                       f"({figure(min(values), 4)} to {figure(max(values), 4)})")
        rows.append(row)
    header = [f"layer {name.split('.')[1]}" if name.startswith("h.") else "shared"
              for name in names]
    return [table("The slope of leaky ReLU for negative inputs after the last step: mean over "
                  "seeds, and the range.", ["arm", *header], rows)]


def _cost(results: Results, summary: Summary) -> list[Part]:
    threads, corpus = results["settings"]["train"]["threads"], results["corpus"]
    minutes = sum(arm.seconds for arm in summary.arms) / 60
    how = "one thread each" if threads == 1 else f"{threads or 'all'} threads each"
    made = [f"{made['processor']}, {made['cores']} cores, {made['system']}; Python "
            f"{made['python']}, NumPy {made['numpy']}, npgpt {made['npgpt']}."
            for made in results["made_with"]]
    return [
        text(f"{len(results['runs'])} runs, {minutes:.0f} minutes of run time in all ({how}); "
             f"{corpus.get('train_tokens', 0):,} tokens to train on, "
             f"{corpus.get('vocabulary', 0):,} kinds."),
        *map(text, made),
        table("Every run.", ("run", "status", "steps", "nats per token", "minutes"), [
            (f"{run['arm']}, seed {run['seed']}", run["status"],
             f"{run['step']:,} of {run['max_steps']:,}",
             "–" if run["val_loss"] is None else figure(number(run["val_loss"]), 4),
             f"{run['seconds'] / 60:.1f}") for run in results["runs"]]),
    ]


def _repeat(results: Results) -> list[Part]:
    study = results["study"]
    ours = shipped().get(study["name"])
    same = ours is not None and ours.read_text(encoding="utf-8") == study["text"]
    what = study["name"] if same else f"{study['name']}.toml"
    first = ("The study comes with npgpt." if same else
             f"Save the study below as {study['name']}.toml.")
    return [
        text(f"{first} A study that is stopped goes on with the same command. The numbers are the "
             f"same to the last bit on the same machine with the same versions and the same text"
             + ("; python-source and python-docs are those of the Python that runs."
                if results["corpus"].get("name", "").startswith("python-") else ".")),
        code(f"npgpt lab run {what}\nnpgpt lab report studies/{study['name']}", "sh"),
        code(study["text"], "toml", "The study"),
    ]


def _runs(arm: ArmSummary) -> str:
    parts = [f"{len(arm.losses)} done"] if arm.losses else []
    if arm.diverged:
        parts.append(f"{len(arm.diverged)} diverged")
    if arm.left:
        parts.append(f"{arm.left} left")
    return ", ".join(parts)


def _nothing(arm: ArmSummary) -> str:
    steps = sorted(set(arm.diverged.values()))
    return f"NaN at step {', '.join(f'{s:,}' for s in steps)}" if steps else "–"
