"""A study's folder keeps to one study and one text."""

import json

import pytest

from npgpt.lab.folder import About, adopt, held, note_beginning, read_record
from npgpt.text import load_corpus


def test_seeds_arms_and_words_may_be_added(tmp_path, toml, write_study):
    folder = tmp_path / "out"
    folder.mkdir()
    adopt(folder, write_study(toml))
    more = toml.replace("seeds = [1, 2]", "seeds = [1, 2, 3]").replace("A tiny", "Another")
    more = more.replace("[paper]", '[[arm]]\nname = "new"\n\n[paper]')
    adopt(folder, write_study(more))
    assert (folder / "study.toml").read_text() == more


@pytest.mark.parametrize("old, new, says", [
    ("max_steps = 12", "max_steps = 13", "train.max_steps of arm 'layernorm' was 12 and is 13"),
    ("1e39", "1e38", r"train.learning_rate of arm 'hot' was 1e\+39"),
    ("seeds = [1, 2]", "seeds = [2, 3]", "seed 1 is gone"),
    ('name = "hot"', 'name = "cold"', "arm 'hot' is gone"),
    ('name = "tiny"', 'name = "other"', "its name was 'tiny' and is 'other'"),
])
def test_what_would_change_runs_is_rejected_by_name(tmp_path, toml, write_study, old, new, says):
    folder = tmp_path / "out"
    folder.mkdir()
    adopt(folder, write_study(toml))
    with pytest.raises(ValueError, match=says) as raised:
        adopt(folder, write_study(toml.replace(old, new)))
    assert "\n" not in str(raised.value) and (folder / "study.toml").read_text() == toml


def test_a_folder_with_runs_of_something_else_is_rejected(tmp_path, study):
    (tmp_path / "out/runs").mkdir(parents=True)
    with pytest.raises(ValueError, match="has runs but no study.toml"):
        adopt(tmp_path / "out", study)


def test_another_text_is_rejected_and_another_machine_noted(tmp_path, study):
    story = tmp_path / "story.txt"
    note_beginning(tmp_path, load_corpus(str(story)))
    about = read_record(tmp_path / "about.json", About)
    about["made_with"][0]["processor"] = "another"
    (tmp_path / "about.json").write_text(json.dumps(about))
    note_beginning(tmp_path, load_corpus(str(story)))
    assert len(read_record(tmp_path / "about.json", About)["made_with"]) == 2
    story.write_text(story.read_text() + "the end\n")
    with pytest.raises(ValueError, match="no longer the text"):
        note_beginning(tmp_path, load_corpus(str(story)))


def test_a_folder_is_held_by_one(tmp_path):
    with held(tmp_path / "out"):
        with pytest.raises(ValueError, match="in use"):
            with held(tmp_path / "out"):
                pass
    with held(tmp_path / "out"):
        pass


def test_a_run_knows_how_far_it_got(runs):
    run = runs[0]
    assert run.name == "layernorm-seed1" and run.status() == "waiting" and not run.begun
    run.place.mkdir(parents=True)
    (run.place / "config.toml").write_text("")
    assert run.status() == "unfinished" and run.begun
    run.beside(".json").write_text('{"exit": 4}')
    assert run.status() == "diverged"
    (run.place / "result.json").write_text('{"step": 6, "val_loss": 2.0}')
    assert run.status() == "diverged"           # of a shorter run: not its result
    (run.place / "result.json").write_text('{"step": 12, "val_loss": 2.0}')
    assert run.status() == "done" and run.result()["val_loss"] == 2.0


@pytest.mark.parametrize("content, says", [
    ('{"step": 12, "val', "is not valid JSON"), ("[]", "is not a JSON object"),
    ('{"step": "12"}', "step: expected an integer"), ('{"val_loss": []}', "val_loss: expected"),
])
def test_a_damaged_file_is_named_with_what_to_do(runs, content, says):
    run = runs[0]
    run.place.mkdir(parents=True)
    (run.place / "result.json").write_text(content)
    with pytest.raises(ValueError, match=f"result.json.*{says}.*; delete the file to go on"):
        run.status()
    (run.place / "result.json").unlink()
    assert run.result() == {} and run.status() == "waiting"
