"""Training over ranks: the model of its cost, the page, and one real job."""

import json
import math
import subprocess
import sys
from contextlib import ExitStack

import pytest

from benchmarks.readme import PAGE, put_section
from benchmarks.scaling import hosts, measure, page
from benchmarks.scaling.model import Link, fit, work_of
from npgpt.config import GPT2Config
from npgpt.training.step.rank_cost import rank_cost

from ..mpi import ROOT, needs_mpi

LINK = Link(alpha=40e-6, beta=0.9e-9, gamma=0.3e-9)
WORK = work_of(half=0.7, whole=1.2, sequences=4, adamw=0.2, nbytes=5e8)


def times_of(link):
    return [(kind, ranks, nbytes, getattr(link, kind)(ranks, nbytes))
            for kind in ("reduce_scatter", "gather") for ranks in (2, 4)
            for nbytes in (2**10, 2**17, 2**26)]


def test_the_fit_finds_the_constants_that_made_the_times():
    pytest.importorskip("scipy")
    assert vars(fit(times_of(LINK))) == pytest.approx(vars(LINK), rel=1e-6)


def test_two_ranks_send_half_of_the_bytes_twice_and_one_rank_nothing():
    free = Link(0.0, 1e-9, 0.0)
    assert free.reduce_scatter(2, 1e6) + free.gather(2, 1e6) == pytest.approx(1e-3)
    assert LINK.reduce_scatter(1, 1e6) == LINK.gather(1, 1e6) == 0.0


def test_latency_is_paid_for_every_bucket_and_round():
    slow = Link(1.0, 0.0, 0.0)
    # a bucket of 2^20 numbers, half of them for each of two ranks; of 2^14 for each of many
    assert slow.reduce_scatter(2, 4 * 2**20) == 1 and slow.reduce_scatter(2, 4 * 2**20 + 8) == 2
    assert slow.reduce_scatter(1024, 4 * 1024 * 2**15) == 2 * 1023
    assert slow.gather(1024, 1.0) == 1023


def test_the_work_of_a_rank_is_what_two_measurements_say():
    assert (WORK.g0, WORK.g1) == pytest.approx((0.2, 0.25))
    assert WORK.step(1, 4, LINK) == pytest.approx(1.4)
    # noise may say that half of the batch takes longer
    assert work_of(1.3, 1.2, 4, 0.2, 1.0).g1 == 0.0


@pytest.mark.parametrize("efficiency", [WORK.weak, WORK.strong])
def test_efficiency_falls_with_ranks_and_rises_with_bandwidth(efficiency):
    assert efficiency(1, 1024, LINK) == 1.0
    # two ranks may gain: each updates half of the parameters
    counts = (4, 16, 64, 256, 1024)
    for rate in page.RATES:
        found = [efficiency(n, 1024, LINK.at(rate)) for n in counts]
        assert found == sorted(found, reverse=True) and 0 < found[-1] < found[0] < 1
    assert efficiency(16, 1024, LINK.at(1)) < efficiency(16, 1024, LINK.at(100))


def job(seconds, ranks):
    phases = {"gradients": 0.8 * seconds, "adamw": 0.01}
    exchange = {"reduce_scatter": 0.05, "gather": 0.03} if ranks else {}
    return {"seconds": [seconds, 1.1 * seconds], "median": 1.05 * seconds,
            "phases": phases | exchange, "sent": 3.25e6, "exchange": exchange,
            "memory": [{"before": 40e6, "peak": 240e6, "moments": 12e6}] * max(1, ranks)}


@pytest.fixture
def results():
    def steps(size):
        return {"label": size, "batch": 4, "length": 64, "bytes": 5e8, "rounds": 2,
                "inspect": {str(n): {"peak": 2e8, "sent": 3e6} for n in (1, 2, 4)},
                "strong": {"one thread": job(2.0, 0), "two threads": job(1.2, 0),
                           "two ranks": job(1.26, 2)},
                "weak": {"one thread": job(2.0, 0), "two threads": job(2.4, 0),
                         "two ranks": job(2.5, 2)},
                "oversubscribed": {"two threads": job(1.2, 0), "four ranks": job(1.5, 4)}}

    machine = {"cores": 2, "processor": "a processor", "date": "a day", "commit": "abc"}
    return json.loads(json.dumps({
        "machine": machine, "minutes": 9.5, "without_hosts": "",
        "steps": {size: steps(size) for size in measure.ROUNDS},
        "links": [{"name": name, "ranks": ranks, "gigabits": rate, "times": times_of(LINK)}
                  for name, ranks, rate in measure.LINKS],
        "hosts": [{"size": "gpt2-64", "ranks": 2, "gigabits": 1.0, **job(9.0, 2)}],
    }))


def test_the_section_has_every_table_and_stands_in_the_page(results, tmp_path):
    pytest.importorskip("scipy")
    text = page.section(results)
    # each ratio is of the same round
    assert "| gpt2-64, strong | 4 | 2.10 s | 1.26 s | 1.32 s | 1.05 | 79% |" in text
    assert "| gpt2-64, weak | 8 | 2.10 s for 4 | 2.52 s | 2.62 s | 1.04 | 80% |" in text
    assert "| gpt2-64 | 2 | 12 MB | 200 MB | 200 MB | 3 MB | 3.25 MB |" in text
    assert "| two hosts, 1 Gb/s | 40 µs | 8.9 Gb/s | 27 Gb/s | 0% |" in text
    assert text.count("\n| 1024 | ") == 1 and "over threads + both alone" in text
    link = page.cluster(results, 1.0)
    assert vars(link) == pytest.approx(vars(LINK.at(1.0)))
    exchanging = link.reduce_scatter(2, 5e8) + link.gather(2, 5e8)
    assert f"| {page.seconds(1.018 + exchanging)} | 9.45 s |" in text
    over = 9.45 / (1.018 + exchanging)
    assert f"takes {over:.2f} to {over:.2f} of what was predicted" in text
    copy = tmp_path / "README.md"
    copy.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    put_section("scaling", text, copy)
    assert text.strip() in copy.read_text(encoding="utf-8")


def test_without_hosts_the_page_gives_the_reason_and_still_predicts(results):
    pytest.importorskip("scipy")
    results |= {"links": results["links"][:1], "hosts": [], "without_hosts": "no root"}
    text = page.section(results)
    assert "No hosts were linked: no root." in text and "Predicted for a cluster" in text
    assert page.cluster(results, 10.0).alpha == page.TCP_SECONDS


def test_the_chart_has_a_curve_for_each_bandwidth(results, tmp_path):
    pytest.importorskip("scipy")
    pytest.importorskip("matplotlib")
    page.draw(results, tmp_path / "scaling.svg")
    svg = (tmp_path / "scaling.svg").read_text(encoding="utf-8")
    assert svg.count("stroke: #0072b2") == 3     # two curves, and one in the legend


@needs_mpi
def test_two_ranks_take_turns_with_one_process_and_hold_half_of_the_moments():
    from benchmarks.scaling.jobs import Job, take_turns

    with ExitStack() as stack:
        jobs = {"one": Job("recipe", 3, 1, 0), "two": Job("recipe", 3, 1, 2)}
        for one in jobs.values():
            stack.callback(one.close)
        found = take_turns(jobs, 1, 1)
        assert set(jobs["two"].ask("exchange", 1)[0]) == {"reduce_scatter", "gather"}
    assert set(found["two"]["phases"]) == {"gradients", "reduce_scatter", "adamw", "gather"}
    [one], two = found["one"]["memory"], found["two"]["memory"]
    assert len(two) == 2
    assert all(rank["moments"] == pytest.approx(one["moments"] / 2, rel=1e-3) for rank in two)


def test_times_are_read_with_the_digits_that_matter():
    given = (0.0328, 1.2345, 17.77, 1269.58)
    assert [page.seconds(t) for t in given] == ["32.8 ms", "1.23 s", "17.8 s", "1,270 s"]


@pytest.fixture
def linked():
    missing = hosts.why_not()
    if missing:
        pytest.skip(missing)


@needs_mpi
def test_ranks_on_two_hosts_send_over_their_limited_cards_what_inspect_predicts(linked):
    from benchmarks.scaling.jobs import Job, take_turns

    with hosts.hosts(2, 1.0) as enter, ExitStack() as stack:
        shown = subprocess.run([*enter[1], "tc", "qdisc", "show", "dev", "veth0"],
                               capture_output=True, text=True).stdout
        assert "tbf" in shown and "rate 1Gbit" in shown
        job = Job("recipe", 3, 1, 2, enter, hosts.ENVIRONMENT)
        stack.callback(job.close)
        sent = take_turns({"two": job}, 1, 1)["two"]["sent"]
    values, _, length = measure.SIZES["recipe"]
    predicted = rank_cost(GPT2Config.from_dict(values), 3, length, 2).sent
    # headers come on top
    assert predicted < sent < 1.05 * predicted


def test_hosts_are_gone_after_an_error(linked):
    with pytest.raises(KeyError), hosts.hosts(3, None) as enter:
        names = [command[3] for command in enter]
        raise KeyError
    listed = subprocess.run(["ip", "netns"], capture_output=True, text=True).stdout
    assert len(names) == 3 and not any(name in listed for name in names)


def test_without_mpi4py_nothing_is_measured_and_one_line_names_the_extras():
    code = "import sys; sys.modules['mpi4py'] = None; from benchmarks.scaling.__main__ import main"
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit(main())"], cwd=ROOT,
                          capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == ("not measured: there is no mpi4py: python -m pip install "
                           "'npgpt[mpi,lab]'\n")


def test_what_keeps_a_machine_from_having_hosts_is_said(monkeypatch):
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 1000)
    assert hosts.why_not() == "network namespaces need root"
    monkeypatch.setattr(hosts.os, "geteuid", lambda: 0)
    monkeypatch.setattr(hosts.shutil, "which", lambda name: None)
    assert "no program ip" in hosts.why_not()
    assert math.isclose(hosts.PAYLOAD, 0.956, rel_tol=1e-3)
