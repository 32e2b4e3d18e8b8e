"""The notebooks that are written: their form, and every cell of them run from top to bottom."""

import ast
import json
import re

import pytest

from npgpt.book.story import story
from npgpt.notebooks import NOTEBOOKS
from npgpt.notebooks.writing import Cell, cells, notebook, script, write_notebooks

# the same cells with fewer steps, and without what is measured over a long text
SHORT = {"layer": {"range(30)": "range(2)"},
         "training": {"STEPS = 800": "STEPS = 3", '"python-docs"': '"short.txt"',
                      "[:4000]": "[:600]"},
         "gpt2": {"STAND_IN_STEPS = 100": "STAND_IN_STEPS = 2", "[:4000]": "[:600]",
                  '"n_embd": 64': '"n_embd": 8'}}
SCRIPT = '''"""# A title

and more"""
# %%
x = 1

# %% [markdown]
# ## Text
#
# $x$ # not a comment


# %%
print(x)
'''


@pytest.mark.smoke
def test_a_script_is_cut_into_text_and_code():
    assert cells(SCRIPT) == [
        Cell("markdown", "# A title\n\nand more"), Cell("code", "x = 1"),
        Cell("markdown", "## Text\n\n$x$ # not a comment"), Cell("code", "print(x)")]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_nbformat_4_without_outputs_and_loses_no_code(name):
    content = json.loads(notebook(script(name)))
    assert (content["nbformat"], content["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in content["cells"]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", i) for i in ids)
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    written = "\n".join("".join(cell["source"]) for cell in code)
    whole = ast.parse(script(name))
    # but for the docstring, which is the first cell
    assert ast.dump(ast.parse(written)) == ast.dump(ast.Module(whole.body[1:], []))
    assert "".join(content["cells"][0]["source"]).startswith("# ")
    texts = [cell for cell in content["cells"] if cell["cell_type"] == "markdown"]
    assert not any(set(cell) - {"cell_type", "id", "metadata", "source"} for cell in texts)


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.filterwarnings("ignore:text 0 outgrew the context")
def test_a_notebook_runs_from_top_to_bottom(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("NPGPT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    (tmp_path / "short.txt").write_text(story()[:8000], encoding="utf-8")
    text = script(name)
    for long, short in SHORT[name].items():
        assert long in text
        text = text.replace(long, short)
    (path,) = [p for p in write_notebooks(tmp_path) if p.stem == NOTEBOOKS[name]]
    path.write_text(notebook(text), encoding="utf-8")
    names = {"__name__": "__main__"}
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            # with its lines known to inspect, as a kernel has it: the doctor reads the source
            place = tmp_path / f"{cell['id']}.py"
            place.write_text("".join(cell["source"]), encoding="utf-8")
            exec(compile(place.read_text(encoding="utf-8"), str(place), "exec"), names)
    out = capsys.readouterr().out
    assert {"layer": "missing-term", "training": "trained, perplexity",
            "gpt2": "bits per byte"}[name] in out
    if name == "layer":
        losses = re.findall(r"loss (\S+) -> (\S+)", out)
        assert len(losses) == 2 and losses[0] == losses[1]


def test_a_notebook_that_is_there_is_not_overwritten_without_being_asked(tmp_path):
    paths = write_notebooks(tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [f"{name}.ipynb" for name in NOTEBOOKS.values()]
    first = paths[0].read_bytes()
    paths[1].write_text("mine", encoding="utf-8")
    paths[0].unlink()
    with pytest.raises(FileExistsError) as error:
        write_notebooks(tmp_path / "new" / "folder")
    assert error.value.filename == str(paths[1]) and paths[1].read_text() == "mine"
    assert not paths[0].exists()
    write_notebooks(tmp_path / "new" / "folder", replace=True)
    assert paths[0].read_bytes() == first and paths[1].read_text() != "mine"
