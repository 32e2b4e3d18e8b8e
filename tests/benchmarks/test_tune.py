"""The table of what tune() gains."""

from benchmarks import tune
from benchmarks.readme import put_section


def test_the_table_compares_each_moment_with_a_process_that_is_not_tuned(tmp_path):
    medians = {name: {"never": 0.1, "after": 0.09, "before": 0.05} for name in tune.WORKS}
    machine = dict.fromkeys(("date", "processor", "cores", "load_before", "system", "python",
                             "numpy", "blas"), "x")
    text = tune.table(medians, machine, 5)
    assert text.count("| 100.0 ms | 90.0 ms (-10%) | 50.0 ms (-50%) |") == len(tune.WORKS)
    readme = tmp_path / "README.md"
    readme.write_text(tune.README.read_text(encoding="utf-8"), encoding="utf-8")
    put_section("tune", text, readme)
    assert text in readme.read_text(encoding="utf-8")


def test_every_work_is_prepared_and_timed_as_often_as_it_needs():
    assert tune.SAMPLES.keys() == tune.WORKS.keys()
