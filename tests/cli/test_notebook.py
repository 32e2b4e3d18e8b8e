"""npgpt notebook: three files, and none lost."""

import json

from npgpt.notebooks import NOTEBOOKS


def test_three_notebooks_are_written_into_the_folder_and_named(npgpt, tmp_path):
    code, out, err = npgpt("notebook")
    assert (code, err) == (0, "")
    paths = [tmp_path / "notebooks" / f"{name}.ipynb" for name in NOTEBOOKS.values()]
    assert sorted((tmp_path / "notebooks").iterdir()) == paths
    assert all(json.loads(path.read_text(encoding="utf-8"))["cells"] for path in paths)
    assert out.splitlines()[:3] == [str(path.relative_to(tmp_path)) for path in paths]
    assert "jupyter lab notebooks" in out and max(map(len, out.splitlines())) <= 80


def test_what_is_there_stays_unless_forced(npgpt, tmp_path):
    mine = tmp_path / "lessons" / f"{NOTEBOOKS['gpt2']}.ipynb"
    mine.parent.mkdir()
    mine.write_text("mine", encoding="utf-8")
    code, out, err = npgpt("notebook", "lessons")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--force replaces it" in err
    assert mine.read_text(encoding="utf-8") == "mine"
    assert npgpt("notebook", "lessons", "--force")[0] == 0
    assert mine.read_text(encoding="utf-8") != "mine"


def test_a_file_in_the_folders_place_is_one_line(npgpt, tmp_path):
    (tmp_path / "notebooks").write_text("", encoding="utf-8")
    code, out, err = npgpt("notebook")
    assert (code, out, err.count("\n")) == (3, "", 1) and "notebooks" in err
