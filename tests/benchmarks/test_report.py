import json
import xml.etree.ElementTree as ElementTree

import pytest

from benchmarks import report
from benchmarks.suite import rows


def result(name="train-recipe", **columns):
    filled = {
        column: {"median": 0.1, "npgpt_ratio": ratio, "peak_bytes": 2e8, "seconds": [0.1]}
        for column, ratio in columns.items()
    }
    machine = {"cores": 2, "processor": "<a & b>", "python": "3.12", "numpy": "2.4", "torch": None}
    return {"name": name, "label": "a step", "rival": "eager", "bar": 0.85, "pairs": 5,
            "columns": filled, "machine": machine}


def test_the_table_names_ratio_goal_and_versions():
    text = report.table([result(npgpt=1.0, eager=0.5, products=1.2)])
    line = text.splitlines()[2]
    assert "| a step | 100.0 ms | 0.50 (eager) | 0.85 | products 1.20 |" in line
    assert "200 MB, 1.00 of eager's" in line
    assert "numpy 2.4" in text and "torch" not in text


def test_a_row_without_peers_has_no_ratio():
    assert "| a step | 100.0 ms |  | 0.85 |  | 200 MB |" in report.table([result(npgpt=1.0)])


def test_the_readme_changes_between_its_markers_only():
    readme = f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n"
    once = report.between_markers(readme, "new")
    assert once == f"before\n{report.BEGIN}\n\nnew\n\n{report.END}\nafter\n"
    assert report.between_markers(once, "new") == once
    with pytest.raises(ValueError, match="markers|two lines"):
        report.between_markers("no markers", "new")


def test_the_chart_is_well_formed_whatever_the_labels_hold():
    row = result(npgpt=1.0, eager=3.7)
    row["label"] = "<5 & 6>"
    root = ElementTree.fromstring(report.chart([row]))
    assert root.tag.endswith("svg")


def test_results_are_read_in_the_order_of_the_suite(tmp_path):
    names = [row.name for row in rows()]
    for name in (names[3], names[0]):
        (tmp_path / f"{name}.json").write_text(json.dumps(result(name, npgpt=1.0)))
    assert [r["name"] for r in report.read_results(tmp_path)] == [names[0], names[3]]


def test_every_row_of_the_suite_begins_with_npgpt_and_names_its_rival():
    for row in rows():
        assert next(iter(row.contestants)) in ("npgpt", "fast")
        assert row.rival in row.contestants
