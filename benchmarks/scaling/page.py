"""The section `scaling` of benchmarks/README.md and its chart, from results/scaling.json."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any, Iterator

from .model import Link, Work, fit, work_of

Results = dict[str, Any]

RATES = (1.0, 10.0, 100.0)
COUNTS = (1, 2, 4, 8, 16, 64, 256, 1024)
# of the prediction: the model, and how many sequences a step has in all where ranks share them
MODEL, TOGETHER = "gpt2-64", 1024
# without hosts: a message over TCP
TCP_SECONDS = 50e-6
FORMULA = """\
    T(N, s)        = g0 + g1 s + a / N + reduce_scatter(N, b) + gather(N, b)
    reduce_scatter = K (N - 1) alpha + (N - 1) / N b (beta + gamma)
    gather         =   (N - 1) alpha + (N - 1) / N b beta
"""


def section(results: Results) -> str:
    """Tables and sentences."""
    parts = [_beginning(results), *_steps(results), *_memory(results), *_links(results),
             *_prediction(results), *_check(results)]
    return "\n".join(parts)


def _beginning(results: Results) -> str:
    machine = results["machine"]
    return f"""
## Over ranks

`mpiexec -n 2 npgpt train --mpi` beside one process with two threads, and what can be expected of a
cluster. Measured by `python -m benchmarks.scaling --write` in {results["minutes"]:.0f} minutes on
{machine["cores"]} cores of {machine["processor"]}, {machine["date"]}, npgpt at
{machine["commit"]}. The jobs of a row take turns; times are medians, ratios medians of the rounds'.
"""


def ratio(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The median over rounds of one job's time over another's."""
    return statistics.median(a / b for a, b in zip(one["seconds"], other["seconds"]))


def _steps(results: Results) -> Iterator[str]:
    yield ("| a step | sequences | one process, one thread | one process, two threads | two ranks, "
           "one thread each | over two threads | efficiency |\n|---|---|---|---|---|---|---|")
    for of_size in results["steps"].values():
        for group, times, scale in (("strong", 1, 2), ("weak", 2, 1)):
            one, threads, ranks = (of_size[group][name] for name in
                                   ("one thread", "two threads", "two ranks"))
            alone = seconds(one["median"]) + f" for {of_size['batch']}" * (times == 2)
            yield (f"| {of_size['label']}, {group} | {times * of_size['batch']} | {alone} | "
                   f"{seconds(threads['median'])} | {seconds(ranks['median'])} | "
                   f"{ratio(ranks, threads):.2f} | {ratio(one, ranks) / scale:.0%} |")
    yield """
Strong: the same batch, split. Weak: each rank has a batch as large as one thread's. Efficiency is
against one thread, which has its core, the caches and the memory to itself.

Where the time of two ranks goes (strong), and how it compares with the time of two threads plus
that of reduce-scatter and gather measured alone:

| of a step | gradients | reduce-scatter | AdamW | gather | both alone | over threads + both alone |
|---|---|---|---|---|---|---|"""
    for of_size in results["steps"].values():
        ranks, threads = of_size["strong"]["two ranks"], of_size["strong"]["two threads"]
        exchange = sum(ranks["exchange"].values())
        over = statistics.median(a / (b + exchange) for a, b in
                                 zip(ranks["seconds"], threads["seconds"]))
        phases = " | ".join(seconds(ranks["phases"][name]) for name in
                            ("gradients", "reduce_scatter", "adamw", "gather"))
        yield f"| {of_size['label']} | {phases} | {seconds(exchange)} | {over:.2f} |"
    four = [(of_size["label"], of_size["oversubscribed"]) for of_size in results["steps"].values()]
    yield ("\nFour ranks on two cores take " + "; ".join(
        f"{seconds(of['four ranks']['median'])}, {ratio(of['four ranks'], of['two threads']):.2f} "
        f"of two threads' time ({label})" for label, of in four) + ".")


def _memory(results: Results) -> Iterator[str]:
    yield """
What `npgpt inspect --ranks N` predicts for a rank, and what a rank's process needed, beyond
interpreter and libraries:

| model | ranks | moments | memory, predicted | measured | sent in a step, predicted | measured |
|---|---|---|---|---|---|---|"""
    for size, of_size in results["steps"].items():
        for ranks, measured in ((1, of_size["strong"]["one thread"]),
                                (2, of_size["strong"]["two ranks"]),
                                (4, of_size["oversubscribed"]["four ranks"])):
            cost = of_size["inspect"].get(str(ranks)) or of_size["inspect"][ranks]
            most = max(one["peak"] - one["before"] for one in measured["memory"])
            moments = max(one["moments"] for one in measured["memory"])
            sent = [one["sent"] for one in results["hosts"]
                    if (one["size"], one["ranks"]) == (size, ranks)]
            yield (f"| {of_size['label']} | {ranks} | {megabytes(moments)} | "
                   f"{megabytes(cost['peak'])} | {megabytes(most)} | {megabytes(cost['sent'])} | "
                   f"{megabytes(max(sent)) if sent else ''} |")


def links_of(results: Results) -> dict[str, Link]:
    """The constants of every link that was measured."""
    return {link["name"]: fit(tuple(time) for time in link["times"]) for link in results["links"]}


def _links(results: Results) -> Iterator[str]:
    found = links_of(results)
    yield f"""
Reduce-scatter and gather of {_span(results)}, fitted by

{FORMULA}
where N ranks have s sequences each, b is the size of all gradients, K the number of buckets in
which they are sent, g0 + g1 s the time of the gradients of s sequences, and a that of AdamW:

| link | alpha, a message | 1 / beta, sending | 1 / gamma, adding | error of the fit, median |
|---|---|---|---|---|"""
    for link in results["links"]:
        model = found[link["name"]]
        errors = [abs(getattr(model, kind)(ranks, nbytes) / took - 1)
                  for kind, ranks, nbytes, took in link["times"]]
        yield (f"| {link['name']} | {model.alpha * 1e6:.0f} µs | {_rate(model.beta)} | "
               f"{_rate(model.gamma)} | {statistics.median(errors):.0%} |")
    if results["without_hosts"]:
        yield f"\nNo hosts were linked: {results['without_hosts']}."


def _span(results: Results) -> str:
    lengths = [time[2] for link in results["links"] for time in link["times"]]
    return f"{megabytes(min(lengths))} to {megabytes(max(lengths))}"


def _rate(per_byte: float) -> str:
    return f"{8e-9 / per_byte:.2g} Gb/s" if per_byte > 1e-13 else "no limit"


def cluster(results: Results, gigabits: float) -> Link:
    """The link of a cluster whose cards move so much: latency and adding as measured here."""
    found = links_of(results)
    if "two hosts, no limit" in found:
        return found["two hosts, no limit"].at(gigabits)
    return Link(TCP_SECONDS, 0.0, found["shared memory"].gamma).at(gigabits)


def work(results: Results, size: str) -> Work:
    """The work of a rank, from two ranks that computed at the same time."""
    of_size = results["steps"][size]
    strong, weak = (of_size[group]["two ranks"]["phases"] for group in ("strong", "weak"))
    return work_of(strong["gradients"], weak["gradients"], of_size["batch"], 2 * strong["adamw"],
                   of_size["bytes"])


def _prediction(results: Results) -> Iterator[str]:
    size = MODEL if MODEL in results["steps"] else list(results["steps"])[-1]
    of_size, model = results["steps"][size], work(results, size)
    each = of_size["batch"]
    links = {rate: cluster(results, rate) for rate in RATES}
    micro = f"{links[1.0].alpha * 1e6:.0f}"
    yield f"""
### Predicted for a cluster

{of_size["label"]}: one rank of one thread on each machine, whose card moves 1, 10 or 100 Gb/s in
both directions at once. Alpha and gamma are those of two hosts here, {micro} µs for a message over
TCP; a network made for MPI has a tenth of that or less. Of this model g0 = {seconds(model.g0)},
g1 = {seconds(model.g1)}, a = {seconds(model.adamw)} and b = {megabytes(model.nbytes)}. With more
threads a rank computes faster, and the exchange weighs more; with more tokens, or accumulated
batches, it weighs less.

| ranks | {" | ".join(f"{each} a rank, {rate:g} Gb/s" for rate in RATES)} | \
{" | ".join(f"{TOGETHER} in all, {rate:g} Gb/s" for rate in RATES)} |
|---:|{"---|" * 2 * len(RATES)}"""
    for ranks in COUNTS:
        cells = [f"{seconds(model.step(ranks, each, link))}, {model.weak(ranks, each, link):.0%}"
                 for link in links.values()]
        cells += [f"{seconds(model.step(ranks, TOGETHER / ranks, link))}, "
                  f"{model.strong(ranks, TOGETHER, link):.0%}" for link in links.values()]
        yield f"| {ranks} | {' | '.join(cells)} |"
    yield "\nTime of a step, and efficiency.\n\n![predicted efficiency](results/scaling.svg)"


def _check(results: Results) -> Iterator[str]:
    if not results["hosts"]:
        return
    yield """
### The prediction held against hosts

Two and four "hosts" on this machine: network namespaces, with cards that the kernel limits.
Predicted from the nominal bandwidth, with alpha and gamma of two hosts without a limit, and with
the time that gradients and AdamW take in ranks without hosts:

| a step | hosts | Gb/s | predicted | measured | over | exchange alone, predicted | measured |
|---|---|---|---|---|---|---|---|"""
    off = []
    for one in results["hosts"]:
        computing, exchanging = predicted(results, one)
        off.append(one["median"] / (computing + exchanging))
        phases = one["phases"]
        label = results["steps"][one["size"]]["label"]
        yield (f"| {label} | {one['ranks']} | {one['gigabits']:g} | "
               f"{seconds(computing + exchanging)} | {seconds(one['median'])} | "
               f"{off[-1]:.2f} | {seconds(exchanging)} | "
               f"{seconds(phases['reduce_scatter'] + phases['gather'])} |")
    yield (f"\nA measured step takes {min(off):.2f} to {max(off):.2f} of what was predicted, the "
           f"median {statistics.median(off):.2f}.")


def predicted(results: Results, one: dict[str, Any]) -> tuple[float, float]:
    """Seconds of a step between hosts: computing, exchanging."""
    of_size = results["steps"][one["size"]]
    alike = (of_size["strong"]["two ranks"] if one["ranks"] == 2 else
             of_size["oversubscribed"]["four ranks"])
    link = cluster(results, one["gigabits"])
    return (alike["phases"]["gradients"] + alike["phases"]["adamw"],
            link.reduce_scatter(one["ranks"], of_size["bytes"])
            + link.gather(one["ranks"], of_size["bytes"]))


def draw(results: Results, path: Path) -> None:
    """Predicted efficiency over ranks, weak and strong, as SVG."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "npgpt"
    from matplotlib import pyplot

    size = MODEL if MODEL in results["steps"] else list(results["steps"])[-1]
    of_size, model = results["steps"][size], work(results, size)
    figure, both = pyplot.subplots(1, 2, figsize=(8.0, 3.6), layout="constrained", sharey=True)
    counts = sorted({round(2 ** (n / 4)) for n in range(41)})
    for axes, title, sequences in ((both[0], f"{of_size['batch']} sequences a rank",
                                    of_size["batch"]),
                                   (both[1], f"{TOGETHER} sequences in all", TOGETHER)):
        for rate, colour in zip(RATES, ("#d55e00", "#0072b2", "#009e73")):
            link = cluster(results, rate)
            efficiency = model.weak if sequences != TOGETHER else model.strong
            axes.plot(counts, [efficiency(n, sequences, link) for n in counts],
                      color=colour, linewidth=1.5, label=f"{rate:g} Gb/s")
        axes.set_xscale("log", base=2)
        axes.set(xlabel="ranks", title=title, ylim=(0, 1.05), xlim=(1, 1024))
        axes.set_xticks(COUNTS, [str(n) for n in COUNTS])
        axes.yaxis.set_major_formatter("{x:.0%}")
        axes.spines[["top", "right"]].set_visible(False)
    both[0].set_ylabel("efficiency")
    both[0].legend(frameon=False)
    figure.suptitle(f"Predicted: {of_size['label']}")
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)


def seconds(value: float) -> str:
    """A time as one reads it, such as 32.7 ms."""
    if value < 1:
        return f"{value * 1e3:.3g} ms"
    return f"{value:,.{2 if value < 10 else 1 if value < 100 else 0}f} s"


def megabytes(value: float) -> str:
    """A size as one reads it, such as 475 MB."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
