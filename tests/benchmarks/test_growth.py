import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import growth, growth_page
from benchmarks.readme import PAGE, with_section


def found(points, order=2.0):
    columns = ("npgpt", "PyTorch")
    return {"context": {
        str(x): {
            "name": f"context {x}", "machine": {
                "cores": 2, "processor": "<a>", "date": "2026-01-02", "commit": "abc"},
            "columns": {who: {"median": 1e-6 * x**order, "npgpt_ratio": 1.0,
                              "peak_bytes": 1e8 + 1000 * x} for who in columns},
        } for x in points}}


def test_exponents_are_the_powers_that_made_the_numbers():
    xs = [256, 512, 1024, 2048]
    assert growth_page.exponent(xs, [3.0 * x**1.7 for x in xs]) == pytest.approx(1.7)
    # what is there from the start, such as a library, does not count
    assert growth_page.memory_exponent(xs, [4e8 + 7.0 * x**1.2 for x in xs]) == pytest.approx(1.2)
    assert growth_page.exponent([256], [1.0]) is None
    assert growth_page.memory_exponent([256, 512], [1.0, 1.0]) is None


@pytest.mark.parametrize("name", list(growth.CURVES))
def test_every_point_begins_with_npgpt_and_has_its_rival(name):
    for x in growth.points_of(name):
        row = growth.row_of(name, x, lambda batch, length: f"{batch}x{length}")
        assert next(iter(row.contestants)) == "npgpt"
        assert row.rival in row.contestants


def test_table_and_chart_hold_every_point():
    points = found((256, 512, 1024))
    text = growth_page.section(growth.CURVES, points)
    assert all(f"| {x:,} |" in text for x in (256, 512, 1024))
    assert "| 2.00 | 2.00 |" in text and "npgpt at abc" in text
    assert ElementTree.fromstring(growth_page.chart(growth.CURVES, points)).tag.endswith("svg")
    assert max(map(len, growth_page.lines(growth.CURVES["context"], points["context"]))) <= 80


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path, monkeypatch):
    held = []

    def fake(row, pairs, peers, without):
        held.append(row.name)
        return {"name": row.name, "columns": {}}

    monkeypatch.setattr(growth, "hold", fake)
    path, results = tmp_path / "growth.json", {}
    for _ in range(2):
        list(growth.measure(["layers"], results, path, None))
    assert held == [f"layers {x}" for x in growth.points_of("layers")]
    assert json.loads(path.read_text()) == results


def test_the_page_says_what_the_last_run_measured():
    found = json.loads((growth.RESULTS / "growth.json").read_text(encoding="utf-8"))
    content = PAGE.read_text(encoding="utf-8")
    assert with_section(content, "growth", growth_page.section(growth.CURVES, found)) == content
    drawn = (growth.RESULTS / "growth.svg").read_text(encoding="utf-8")
    assert drawn == growth_page.chart(growth.CURVES, found)
