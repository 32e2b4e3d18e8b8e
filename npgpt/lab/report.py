"""A study's report: what was asked, what came out, and how to do it again.

    write_report(Path("studies/small"), Path("studies/small"))

writes report.html, one page that needs nothing else, and report.md with its pictures in pictures/.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Callable, Collection, Sequence

import numpy as np

from ..files import replacing_file
from ..probe.entropy import quartiles
from . import paper
from .blocks import Block, Code, Heading, Items, Picture, Table, Text, to_markdown
from .page import to_html
from .results import Results, load_results, number
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

HTML_FILE, MARKDOWN_FILE, PICTURES = "report.html", "report.md", "pictures"


def write_report(
    source: Path, to: Path, say: Callable[[str], None] = lambda note: None
) -> list[Path]:
    """Report on a study's folder or results.json, into the folder `to`; returns the pages' paths.

    Without matplotlib the pages have no pictures, and `say` gets a message that says so. Raises
    ImportError without SciPy, ValueError if `source` does not hold results of a study, OSError
    where nothing can be written.
    """
    from . import pictures

    results = load_results(source)
    summary = summarise(results)
    try:
        drawn = pictures.draw_all(results, summary)
    except ImportError as error:
        drawn = {}
        say(f"the report has no pictures: {error}")
    title, content = results["study"]["title"], _filled(blocks(results, summary), drawn)
    (to / PICTURES if drawn else to).mkdir(parents=True, exist_ok=True)
    written = []
    for name, svg in drawn.items():
        with replacing_file(to / PICTURES / f"{name}.svg") as beside:
            beside.write_bytes(svg)
    places = {name: f"{PICTURES}/{name}.svg" for name in drawn}
    for file, text in ((HTML_FILE, to_html(title, content, drawn)),
                       (MARKDOWN_FILE, to_markdown(title, content, places))):
        with replacing_file(to / file) as beside:
            beside.write_text(text, encoding="utf-8")
        written.append(to / file)
    return written


def blocks(results: Results, summary: Summary) -> list[Block]:
    """The report's parts in reading order."""
    with_paper = any(arm.paper for arm in summary.arms)
    asked = Text(results["study"]["question"],
                 ((f"{paper.TITLE}", paper.LINK),) if with_paper else ())
    if all(run["status"] == "waiting" for run in results["runs"]):
        return [asked, Text(f"Nothing has run yet; {len(results['runs'])} runs are waiting.",
                            strong=True),
                Heading("How to run it"), *_repeat(results)]
    answer = answer_parts(results, summary)
    found: list[Block] = [
        asked, Text(" ".join(answer[:2]), strong=True),
        *([Items(tuple(answer[2:]))] if len(answer) > 2 else []),
        Heading("Perplexity"), *_perplexity(results, summary, with_paper),
        Heading("Differences, seed by seed"), *_differences(summary),
    ]
    if summary.bound is not None:
        found += [Heading("Attention entropy"), *_entropy(summary, with_paper)]
    found += [Heading("Loss over training"), *_loss(summary)]
    diverged = [run for run in results["runs"] if run["status"] == "diverged"]
    if diverged:
        found += [Heading("Runs that diverged"), Table(
            "A run diverges when its loss, a gradient or a parameter is not a finite number; it "
            "ends there.", ("run", "step", "its last words"),
            tuple((f"{run['arm']}, seed {run['seed']}", f"{run['diverged_at']:,}", run["said"])
                  for run in diverged))]
    slopes = _slopes(summary)
    if slopes:
        found += [Heading("Learnt slopes"), slopes]
    found += [Heading("What it cost"), *_cost(results, summary),
              Heading("How to repeat it"), *_repeat(results)]
    return found


def _filled(parts: list[Block], drawn: Collection[str]) -> list[Block]:
    """The same without what is empty, and with a sentence in a section of which nothing is left."""
    found: list[Block] = []
    for part in [*parts, Heading("")]:
        if isinstance(part, Heading) and found and isinstance(found[-1], Heading):
            found.append(Text("There was nothing to draw here, or nothing to draw it with."))
        if part != Text("") and (not isinstance(part, Picture) or part.name in drawn):
            found.append(part)
    return found[:-1]


def _perplexity(results: Results, summary: Summary, with_paper: bool) -> list[Block]:
    baseline = summary.arms[0].perplexity.mean
    rows = []
    for arm in summary.arms:
        found = arm.perplexity
        against = "–" if arm is summary.arms[0] else percent(100 * (found.mean / baseline - 1))
        row = [arm.name, _runs(arm), interval(found) if found.n else _nothing(arm),
               interval(arm.loss, 4) if found.n else _nothing(arm), against]
        if with_paper:
            theirs = arm.paper.perplexity if arm.paper else None
            over = arm.paper.over_baseline if arm.paper else None
            row += ["" if theirs is None else figure(theirs), percent(over) if over else ""]
        rows.append(tuple(row))
    header = ["arm", "runs", "perplexity (95 %)", "nats per token (95 %)", "against the first"]
    if with_paper:
        header += ["the paper", "against its baseline"]
    corpus = results["corpus"]
    unigram = number(corpus.get("unigram"))
    return [
        Table(f"Perplexity over all {corpus.get('held_back_tokens', 0):,} held-out tokens of "
              f"{corpus.get('name', 'the corpus')}: mean over seeds and 95 % interval of the mean "
              f"(Student's t). Tokens differ from the paper's, so only the ratios compare.",
              tuple(header), tuple(rows)),
        Text(f"Counting tokens alone reaches {figure(unigram, 4)} nats, perplexity "
             f"{figure(math.exp(unigram), 2)}." if math.isfinite(unigram) else ""),
        Picture("perplexity", "Perplexity of every arm: " + "; ".join(
            f"{arm.name} {interval(arm.perplexity)}" for arm in summary.arms if arm.losses),
            "Dots are seeds, bars the mean and its 95 % interval, the dashed line is the first "
            "arm. An interval from two seeds can be wider than the frame."),
    ]


def _differences(summary: Summary) -> list[Block]:
    if not summary.pairs:
        return [Text("There is nothing to compare.")]
    rows = []
    for pair in summary.pairs:
        a, b = summary.arm(pair.arm), summary.arm(pair.against)
        seeds = [100 * math.expm1(a.losses[s] - b.losses[s]) for s in pair.seeds]
        each = ", ".join(percent(value, enough_digits(seeds))[:-2] for value in seeds)
        points = None if pair.entropy is None else pair.entropy.difference
        rows.append((pair.name, each or "–", change(*pair.percent),
                     percent(100 * pair.paper) if pair.paper is not None else "",
                     p_text(pair.nats.t_test), p_text(pair.holm), p_text(pair.nats.sign_flip),
                     verdict(pair), "" if points is None else change(
                         100 * points.mean, 100 * points.low, 100 * points.high, digits=1)))
    n = max(len(pair.seeds) for pair in summary.pairs)
    least = "" if n < 1 else (
        f" With {n} seeds the sign-flip test cannot give less than {p_text(2 / 2**n)}, whatever "
        f"the numbers are.")
    return [
        Table("Perplexity of the first arm over that of the second, minus 1, from runs that share "
              "their seed (order of batches, and initial weights where the shapes agree). The last "
              "column is the difference of mean attention entropy, in percent of the bound.",
              ("first / second", "each seed, %", "mean (95 %)", "the paper", "p, paired t",
               "p, Holm", "p, sign flip", "verdict", "entropy (95 %)"), tuple(rows)),
        Text(f"The t-test compares nats per token and assumes about normal differences; Holm's "
             f"p corrects it for the {len(rows)} comparisons. The exact sign-flip test assumes "
             f"less.{least} A verdict is given where the whole 95 % interval lies on one side of "
             f"zero and Holm's p is below {SIGNIFICANT:g}; where only the interval is clear, the "
             f"numbers point a way. All of it is about these settings alone."),
    ]


def _entropy(summary: Summary, with_paper: bool) -> list[Block]:
    assert summary.bound is not None
    bound, largest = summary.bound, summary.largest or math.nan
    arms = [arm for arm in summary.arms if arm.entropy]
    found: list[Block] = [
        Text(f"In nats, averaged over positions, as the paper has it. The most that causal "
             f"attention can reach here is ln(T!)/T = {bound:.3f}: every position uniform over "
             f"what it sees. The largest seen in any head is {figure(largest)}."),
        Picture("heat-maps", "Heat maps of final attention entropy, layer by head. Means: "
                + "; ".join(f"{arm.name} {fraction(summary.mean_fraction(arm))}" for arm in arms),
                "Entropy of every head after the last step, mean over seeds, in percent of the "
                "bound; the scale is the same in all panels. Dark heads attend to few tokens, "
                "bright ones to all equally."),
        _layer_table(summary, arms, bound),
    ]
    if with_paper:
        found.append(_paper_layers())
        found.append(Picture(
            "layer-means", "Mean entropy by depth, here and in the paper; see the tables above",
            "Mean over heads by depth, each as a fraction of its own bound. The grey band is the "
            "highest quarter, the paper's entropic overload."))
    found.append(_quartile_table(summary, arms, bound, largest))
    found.append(Picture(
        "entropy", "Mean attention entropy of every layer over training, a panel for each arm",
        "Mean over heads and seeds at every watched step. The grey band is the highest quarter."))
    sinks = [arm for arm in arms if arm.sink]
    if sinks:
        found.append(Table(
            "Attention sinks: mean weight that a head gives the first token, all heads and the "
            "one with most, after the last step; mean over seeds.",
            ("arm", "all heads", "most", "in layer, head"),
            (*(_sink_row(arm) for arm in sinks), *_diverged_rows(summary, 4))))
    return found


def _layer_table(summary: Summary, arms: list[ArmSummary], bound: float) -> Block:
    rows = []
    n_layer = 0
    for arm in arms:
        mean = arm.mean_entropy
        by_layer = mean.mean(axis=1)
        n_layer = max(n_layer, len(by_layer))
        broken = sum(int((~np.isfinite(values)).sum()) for values in arm.entropy.values())
        rows.append((arm.name, *(f"{figure(float(v), 2)} ({fraction(float(v) / bound)})"
                                 for v in by_layer),
                     f"{figure(float(mean.mean()), 2)} ({fraction(float(mean.mean()) / bound)})",
                     str(broken)))
    header = ("arm", *(f"layer {n}" for n in range(n_layer)), "all", "NaN heads")
    return Table("Mean entropy of each layer after the last step, in nats and as a fraction of the "
                 "bound; heads that were NaN are counted, never left out of a mean. Runs that "
                 "diverged have no last step.",
                 header, (*rows, *_diverged_rows(summary, len(header))))


def _diverged_rows(summary: Summary, columns: int) -> list[tuple[str, ...]]:
    """A row of so many columns for every run that diverged."""
    return [(f"{arm.name}, seed {seed}", f"diverged at step {step:,}", *[""] * (columns - 2))
            for arm in summary.arms for seed, step in arm.diverged.items()]


def _paper_layers() -> Block:
    rows = [(name, *(f"{v:.2f}" for v in row.layers), f"{row.mean_entropy:.2f}")
            for name, row in paper.ROWS.items() if row.layers]
    return Table("The paper's layer means in nats, of a bound of 3.878 at its T = 128.",
                 ("the paper", *(str(n) for n in range(12)), "all"), tuple(rows))


def _quartile_table(
    summary: Summary, arms: list[ArmSummary], bound: float, largest: float
) -> Block:
    rows = []
    for arm in arms:
        heads = arm.all_heads
        theirs = ""
        if arm.paper and arm.paper.quartiles:
            theirs = " / ".join(str(part) for part in arm.paper.quartiles)
        by_bound = quartiles(heads, bound)
        by_largest = _quarters(quartiles(heads, largest).shares) if largest > 0 else "–"
        rows.append((arm.name, _quarters(by_bound.shares), by_largest, theirs,
                     str(by_bound.nan)))
    return Table("Heads in each quarter of the entropy's range, lowest to highest, in percent of "
                 "the heads of all seeds: of the bound, and of the largest entropy observed, as "
                 f"the paper counts (its largest: {paper.LARGEST_ENTROPY}). The highest quarter is "
                 f"entropic overload.",
                 ("arm", "of the bound", "of the largest seen", "the paper", "NaN heads"),
                 (*rows, *_diverged_rows(summary, 5)))


def _loss(summary: Summary) -> list[Block]:
    return [
        Picture("loss", "Validation loss over training for every arm, with bands over the seeds",
                "Loss on a part of the held-out text, mean and range over seeds; the first arm is "
                "in every panel. The first steps are above the frame."),
        Picture("difference", "Validation loss minus that of the first arm, over training",
                f"The same minus the loss of {summary.arms[0].name} with the same seed: above 0 is "
                f"worse than it."),
    ]


def _slopes(summary: Summary) -> Block | None:
    arms = [arm for arm in summary.arms if arm.slopes]
    if not arms:
        return None
    names = sorted({name for arm in arms for found in arm.slopes.values() for name in found},
                   key=lambda name: [int(p) if p.isdigit() else 0 for p in name.split(".")])
    rows = []
    for arm in arms:
        cells = []
        for name in names:
            values = [found[name] for found in arm.slopes.values() if name in found]
            cells.append("" if not values else f"{figure(sum(values) / len(values), 4)} "
                         f"({figure(min(values), 4)} to {figure(max(values), 4)})")
        rows.append((arm.name, *cells))
    return Table("The slope of leaky ReLU for negative inputs after the last step: mean over "
                 "seeds, and the range.",
                 ("arm", *(f"layer {name.split('.')[1]}" if name.startswith("h.") else "shared"
                           for name in names)), tuple(rows))


def _cost(results: Results, summary: Summary) -> list[Block]:
    settings, corpus = results["settings"], results["corpus"]
    threads = settings["train"]["threads"]
    minutes = sum(arm.seconds for arm in summary.arms) / 60
    how = "one thread each" if threads == 1 else f"{threads or 'all'} threads each"
    found: list[Block] = [Text(
        f"{len(results['runs'])} runs, {minutes:.0f} minutes of run time in all ({how}); "
        f"{corpus.get('train_tokens', 0):,} tokens to train on, "
        f"{corpus.get('vocabulary', 0):,} kinds.")]
    for made in results["made_with"]:
        found.append(Text(
            f"{made['processor']}, {made['cores']} cores, {made['system']}; Python "
            f"{made['python']}, NumPy {made['numpy']}, npgpt {made['npgpt']}."))
    rows = tuple((f"{run['arm']}, seed {run['seed']}", run["status"],
                  f"{run['step']:,} of {run['max_steps']:,}",
                  figure(number(run["val_loss"]), 4) if run["val_loss"] is not None else "–",
                  f"{run['seconds'] / 60:.1f}") for run in results["runs"])
    found.append(Table("Every run.", ("run", "status", "steps", "nats per token", "minutes"), rows))
    return found


def _repeat(results: Results) -> list[Block]:
    study = results["study"]
    ours = shipped().get(study["name"])
    same = ours is not None and ours.read_text(encoding="utf-8") == study["text"]
    what = study["name"] if same else f"{study['name']}.toml"
    first = ("The study comes with npgpt." if same else
             f"Save the study below as {study['name']}.toml.")
    return [
        Text(f"{first} A study that is stopped goes on with the same command. The numbers are the "
             f"same to the last bit on the same machine with the same versions and the same text"
             + ("; python-source and python-docs are those of the Python that runs."
                if results["corpus"].get("name", "").startswith("python-") else ".")),
        Code(f"npgpt lab run {what}\nnpgpt lab report studies/{study['name']}", "sh"),
        Code(study["text"], "toml", "The study"),
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


def _quarters(parts: Sequence[float]) -> str:
    return " / ".join("–" if math.isnan(part) else f"{100 * part:.0f}" for part in parts)


def _sink_row(arm: ArmSummary) -> tuple[str, ...]:
    mean = np.mean(list(arm.sink.values()), axis=0)
    if not np.isfinite(mean).all():
        return arm.name, "NaN", "NaN", "–"
    layer, head = np.unravel_index(int(mean.argmax()), mean.shape)
    return arm.name, fraction(float(mean.mean())), fraction(float(mean.max())), f"{layer}, {head}"
