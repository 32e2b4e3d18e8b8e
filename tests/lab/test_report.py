"""A report from the numbers of a study, with pictures and without."""

import builtins
import json
from types import SimpleNamespace

import pytest

from npgpt.lab.report import parts, write_report
from npgpt.lab.summary import summarise

from .conftest import results_of

pytest.importorskip("scipy")
A, B = [2.0, 2.1, 2.2], [1.9, 2.02, 2.09]
NATS = {"a": [[0.79, 0.7], [0.6, 0.5]], "b": [[0.1, "nan"], [0.2, 0.3]]}


def report_on(results):
    """The parts of a report without pictures, as Markdown."""
    return [part.markdown for part in parts(results, summarise(results), {})]


def report_of(*given, **settings):
    return report_on(results_of(*given, **settings))


def table(found, words):
    """The cells of the table whose caption begins with these words."""
    lines = next(part for part in found if part.startswith(f"*{words}")).splitlines()[2:]
    header, _, *rows = [tuple(cell.strip() for cell in line.strip("|").split(" | "))
                        for line in lines]
    return SimpleNamespace(header=header, rows=rows)


def titles(found):
    return [part.removeprefix("## ") for part in found if part.startswith("## ")]


@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results_of({"a": A, "b": B}, entropies=NATS)))
    return path


def test_both_pages_are_written_and_need_nothing_else(numbers, tmp_path):
    pytest.importorskip("matplotlib")
    html, markdown = write_report(numbers, tmp_path / "to")
    page = html.read_text()
    assert page.count("<img ") == 6 and 'src="http' not in page
    addresses = [piece.split('"')[0] for piece in page.split('href="')[1:]]
    assert addresses == ["https://arxiv.org/abs/2410.09637"]
    for line in markdown.read_text().splitlines():
        if line.startswith("!["):
            assert (tmp_path / "to" / line.split("](")[1].rstrip(")")).is_file()


def test_without_matplotlib_the_pages_come_without_pictures(numbers, tmp_path, monkeypatch):
    real = builtins.__import__

    def without_matplotlib(name, *rest, **named):
        if name.split(".")[0] == "matplotlib":
            raise ImportError("no matplotlib", name="matplotlib")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_matplotlib)
    notes = []
    html, markdown = write_report(numbers, tmp_path / "to", report=notes.append)
    assert len(notes) == 1 and "npgpt[plot]" in notes[0]
    assert "<img" not in html.read_text() and "![" not in markdown.read_text()
    assert "−" in markdown.read_text() and not (tmp_path / "to/pictures").exists()


def test_the_papers_columns_come_with_arms_of_the_paper_only():
    assert "the paper" in table(report_of({"a": A, "b": B}), "Perplexity over all").header
    without = report_of({"a": A, "b": B}, paper=False)
    assert "the paper" not in table(without, "Perplexity over all").header


def test_perplexity_stands_beside_the_papers():
    rows = table(report_of({"a": A, "b": B}), "Perplexity over all").rows
    assert rows[1][0] == "b" and rows[1][-2:] == ("2.936", "+9.20 %")
    assert rows[0][4] == "–" and rows[1][4].startswith("−")


def test_differences_show_every_seed_both_tests_and_the_least_p_that_seeds_can_give():
    found = report_of({"a": A, "b": B})
    row = table(found, "Perplexity of the first arm").rows[0]
    assert row[:2] == ("b / a", "−9.52, −7.69, −10.42") and row[6] == "0.25"
    assert any("cannot give less than 0.25" in part for part in found)


def test_diverged_runs_are_reported_and_their_arm_has_no_perplexity():
    found = report_of({"a": A, "b": B}, diverged={("b", s) for s in (1, 2, 3)})
    assert table(found, "Perplexity over all").rows[1][2] == "NaN at step 7"
    assert table(found, "A run diverges").rows[0] == ("b, seed 1", "7", "loss nan")


def test_diverged_runs_stand_in_the_tables_of_entropy_too():
    found = report_of({"a": A, "b": B}, diverged={("b", 2)}, entropies=NATS)
    for caption in ("Mean entropy of each layer", "Heads in each quarter", "Attention sinks"):
        seen = table(found, caption)
        assert seen.rows[-1][:2] == ("b, seed 2", "diverged at step 7")
        assert {len(row) for row in seen.rows} == {len(seen.header)}


def test_the_gist_is_bold_and_the_rest_a_list():
    found = report_of({"a": A, "b": B}, diverged={("b", 2)})
    assert found[1].startswith("**At this scale")
    assert found[1].endswith("over 2 seeds; the paper: −8.16 %.**")
    assert found[2].startswith("- “b” diverged with one seed.\n- ")


def test_a_study_that_has_not_begun_is_reported_in_one_sentence():
    found = report_of({"a": [], "b": []}, seeds=2)
    assert titles(found) == ["How to run it"]
    assert found[1] == "**Nothing has run yet; 4 runs are waiting.**"


def test_a_section_of_which_nothing_could_be_drawn_says_so(numbers, tmp_path, monkeypatch):
    monkeypatch.setattr("npgpt.lab.pictures.draw_all", lambda *given: {})
    _, markdown = write_report(numbers, tmp_path / "to")
    page = markdown.read_text()
    assert "## Loss over training\n\nThere was nothing to draw here" in page
    assert page.count("nothing to draw here") == 1 and "\n\n\n" not in page


def test_nan_heads_are_counted_and_not_left_out():
    found = report_of({"a": A, "b": B}, entropies=NATS)
    assert table(found, "Mean entropy of each layer").rows[1][1:] == (
        "NaN (NaN)", "0.25 (31 %)", "NaN (NaN)", "3")
    assert table(found, "Heads in each quarter").rows[1][-1] == "3"


def test_slopes_are_listed_by_layer():
    results = results_of({"a": A, "b": B})
    for run in results["runs"]:
        run["slopes"] = {f"h.{n}.mlp.act.slope": 0.01 * n for n in (10, 2)} | {
            "mlp.act.slope": 0.5}
    found = table(report_on(results), "The slope of leaky ReLU")
    assert found.header == ("arm", "shared", "layer 2", "layer 10")
    assert found.rows[0][2] == "0.0200 (0.0200 to 0.0200)"


def test_how_to_repeat_it_comes_last_with_the_studys_text():
    last = report_of({"a": A, "b": B})[-3:]
    assert last[-1].startswith("```toml\n[study]")
    assert last[-2] == "```sh\nnpgpt lab run pair.toml\nnpgpt lab report studies/pair\n```"


@pytest.mark.parametrize("left", [[], [2.0]])
def test_an_unfinished_study_has_a_report_too(left):
    found = titles(report_of({"a": A, "b": left}))
    assert found[0] == "Perplexity" and found[-1] == "How to repeat it"


@pytest.mark.parametrize("done", [set(), {("a", 1)}, {("b", 2)}, {("a", 1), ("b", 2)},
                                  {("a", 1), ("b", 1)}, {("b", 1), ("b", 2)}])
def test_what_is_not_measured_yet_is_nowhere_nan(done):
    finite = {"a": NATS["a"], "b": [[0.1, 0.4], [0.2, 0.3]]}
    results = results_of({"a": A[:2], "b": B[:2]}, entropies=finite)
    results["complete"] = False
    for run in results["runs"]:
        if (run["arm"], run["seed"]) not in done:
            run.update(status="unfinished", val_loss=None, perplexity=None)
    text = "\n".join(report_on(results))
    assert "Not finished: " in text
    assert "NaN" not in text.replace("NaN heads", "").replace("heads that were NaN are", "")


@pytest.mark.parametrize("done", range(5))
@pytest.mark.parametrize("broken", [set(), {("b", 1)}, {("a", 1), ("b", 1)}])
def test_what_no_run_has_measured_yet_is_not_reported_as_nan(done, broken):
    results = results_of({"a": A[:2], "b": B[:2]}, entropies={"a": NATS["a"], "b": NATS["a"]},
                         diverged=broken)
    for run in results["runs"][done:]:
        run.update(status="unfinished", val_loss=None, perplexity=None, diverged_at=None)
    results["complete"] = done == 4
    page = "\n".join(report_on(results))
    for allowed in ("NaN heads", "heads that were NaN", "NaN at step 7", "loss nan"):
        page = page.replace(allowed, "")
    assert "nan" not in page.lower().split() and "NaN" not in page and "None" not in page
