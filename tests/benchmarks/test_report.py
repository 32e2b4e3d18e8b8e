import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks import recipe, report
from benchmarks.readme import PAGE, with_section
from benchmarks.suite import rows


def result(name="train-recipe", **columns):
    filled = {
        column: {"median": 0.1, "npgpt_ratio": ratio, "peak_bytes": 2e8, "seconds": [0.1]}
        for column, ratio in columns.items()
    }
    machine = {"cores": 2, "processor": "<a & b>", "python": "3.12", "numpy": "2.4", "torch": None}
    return {"name": name, "label": "a step", "rival": "eager", "pairs": 5,
            "columns": filled, "machine": machine}


def test_the_table_names_ratio_rival_and_versions():
    text = report.table([result(npgpt=1.0, eager=0.5, matmuls=1.2)])
    line = text.splitlines()[2]
    assert "| a step | 100.0 ms | 0.50 (eager) | matmuls 1.20 | 200 MB, 1.00 of eager's |" == line
    assert "numpy 2.4" in text and "torch" not in text


def test_a_row_without_peers_has_no_ratio():
    assert "| a step | 100.0 ms |  |  | 200 MB |" in report.table([result(npgpt=1.0)])


def test_a_run_has_a_line_for_the_loss_it_ends_with():
    row = result(npgpt=1.0, eager=0.5)
    for column, loss in (("npgpt", 1.25), ("eager", 1.5)):
        row["columns"][column]["val_loss"] = loss
    assert "\n| ... final loss |  |  | npgpt 1.250, eager 1.500 |  |\n" in report.table([row])


def test_rows_of_several_machines_days_and_commits_are_named():
    rows_of = [result(npgpt=1.0), result("train-six", npgpt=1.0)]
    assert report.table(rows_of).count("<a & b>") == 1
    rows_of[0]["machine"].update(date="2026-01-02", commit="abc", blas="openblas 1 (Zen)")
    rows_of[1]["machine"].update(date="2026-03-04", commit="def", processor="another")
    text = report.table(rows_of)
    assert "2 cores of <a & b>, Python 3.12, numpy 2.4 with openblas 1 (Zen) and on 2 cores of " \
           "another, Python 3.12, numpy 2.4; 2026-01-02 to 2026-03-04; npgpt at abc, def." in text


def test_programs_that_were_not_measured_are_named():
    text = report.table([result("decode", npgpt=1.0, **{"llama.cpp f32": 1.1})])
    assert "Not installed there: llm.c." in text
    assert "Not installed there: llama.cpp, llm.c." in report.table([result(npgpt=1.0)])


def ops_result(*names):
    row = result("ops", **{name: 1.0 for name in names})
    for number, column in enumerate(row["columns"].values(), start=1):
        column["ops"] = {"gelu": [0.001 * number, 0.002 * number]}
    return row


def test_ops_have_a_table_of_their_own_with_forward_and_backward():
    text = report.section([ops_result("fast", "textbook", "eager")], Path("nowhere"))
    assert "| op | textbook | npgpt.fast | PyTorch | fast over PyTorch |" in text
    assert "| gelu | 2.00 / 4.00 | 1.00 / 2.00 | 3.00 / 6.00 | 0.33 / 0.33 |" in text
    alone = report.op_table(ops_result("fast", "textbook"))
    assert "| gelu | 2.00 / 4.00 | 1.00 / 2.00 | 0.50 / 0.50 |" in alone


def test_a_terminal_of_80_columns_shows_them_too():
    row = ops_result("fast", "textbook", "eager")
    for number, column in enumerate(row["columns"].values(), start=1):
        column["ops"] = {"position_embedding": [0.0005 * number, 0.26666 * number],
                         "pad_zeros": [0.00001234 * number, 0.000002 * number]}
    head, long, short = report.op_lines(row)
    assert head.split() == ["op", "textbook", "npgpt.fast", "PyTorch", "ratio"]
    assert long.endswith(" 0.33 / 0.33") and max(map(len, (head, long, short))) <= 80
    assert "0.012 / 0.002" in short and long.startswith("  position_embedding  ")


def test_the_gain_of_speculation_is_one_sentence():
    line = report.decode_line({"chunks": {"float32": {"1": 0.02, "16": 0.07}}, "speculation": {
        "float32": {"plain": 0.02, "speculating": 0.016}, "int8": {"plain": 0.03,
                                                                   "speculating": 0.02}}})
    assert "takes 16.0 ms a token instead of 20.0 in float32, 20.0 ms a token instead of 30.0 " \
        "with int8; a chunk of 16 tokens is read in 70.0 ms (" in line


def test_the_cost_of_int8_in_loss_is_one_sentence():
    line = report.loss_line({"corpus": "c", "step": 5, "tokens": 1000, "parameters": 2000,
                             "loss": {"float32": 2.0, "int8": 2.0012}, "difference": 0.0012})
    assert "2.001200 nats per token against 2.000000 in float32, +0.001200" in line


def test_the_pages_say_what_the_result_files_say():
    results = report.read_results(report.RESULTS)
    for page, name, text in (
        (PAGE, "speed", report.section(results, report.RESULTS)),
        (PAGE, "kinds", report.kinds_section(report.RESULTS)),
        (PAGE, "busy", report.busy_section(report.read_busy(report.RESULTS))),
        (PAGE, "recipe", recipe.section(json.loads((report.RESULTS / "recipe.json").read_text()))),
    ):
        content = page.read_text(encoding="utf-8")
        assert with_section(content, name, text) == content, f"{page}: the section {name} is old"


def test_the_chart_is_well_formed_whatever_the_labels_hold():
    row = result(npgpt=1.0, eager=3.7)
    row["label"] = "<5 & 6>"
    for drawing in (report.chart([row]), report.op_chart(ops_result("fast", "eager"))):
        root = ElementTree.fromstring(drawing)
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


def test_other_kinds_of_processor_have_a_column_each(tmp_path):
    here, other = result(npgpt=1.0, eager=0.5), result(npgpt=1.0, eager=0.75)
    here["machine"]["date"] = "2026-01-02"
    other["machine"].update(
        date="2025-03-04", processor="Intel(R) Xeon(R) Processor", instructions={
            "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL", "OPENBLAS_CORETYPE": "Haswell"})
    limits = result("limits", npgpt=1.0)
    limits["columns"]["npgpt"]["limits"] = {"matmuls 1024": 123.4}
    limits["machine"]["date"] = "2026-01-02"
    folder = tmp_path / report.KINDS / "xeon"
    folder.mkdir(parents=True)
    for where, row in ((tmp_path, here), (tmp_path, limits), (folder, other)):
        (where / f"{row['name']}.json").write_text(json.dumps(row))
    lines = report.kinds_section(tmp_path).splitlines()
    off = "Intel Xeon, AVX-512 switched off, 2025-03-04"
    assert lines[0] == f"| work | rival | <a & b>, 2026-01-02 | {off} |"
    assert "| nanoGPT's CPU recipe, B12 T64 | eager | 0.50 | 0.75 |" in lines
    assert "| matmuls of 1024 positions, GFLOP/s |  | 123 |  |" in lines
    assert "with NPY_DISABLE_CPU_FEATURES='X86_V4 AVX512_ICL' OPENBLAS_CORETYPE=Haswell, Python" \
        in lines[-1]


def test_a_kind_of_processor_has_its_own_table_beside_other_programs(tmp_path):
    crowded = {"name": "decode", "label": "a token", "rival": "transformers", "beside": {
        str(n): {"pairs": 3, "columns": {
            "npgpt": {"npgpt_ratio": 1.0}, "one thread": {"npgpt_ratio": 1.25},
            "transformers": {"npgpt_ratio": 0.75}}} for n in (0, 4)}}
    crowded["machine"] = result()["machine"]
    for where in (tmp_path, tmp_path / report.KINDS / "old"):
        (where / "busy").mkdir(parents=True)
        (where / "train-recipe.json").write_text(json.dumps(result(npgpt=1.0, eager=0.5)))
        (where / "busy" / "decode.json").write_text(json.dumps(crowded))
    text = report.kinds_section(tmp_path)
    assert text.count("### Beside other programs, on <a & b>") == 1
    assert "| a token | 0.75 (transformers) | 0.75 | 1.25 | 1.25 |" in text
