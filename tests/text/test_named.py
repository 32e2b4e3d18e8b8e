"""From a name or a path to a source."""

import os
from pathlib import Path

import pytest

from npgpt.text import CORPORA, CorpusError, named
from npgpt.text.sources import content_hash, read_text


def find(name):
    return named.find_source(name, Path("cache"), print)


def text_of(source, n_documents=None):
    documents = source.documents[:n_documents]
    return "".join("".join(read_text(document)) for document in documents)


def test_python_docs_is_english_prose_in_a_fixed_order():
    source = find("python-docs")
    text = text_of(source)
    assert 300_000 < len(text) < 2_000_000 and text.count(" the ") > 3000
    assert [d.name for d in source.documents] == sorted(d.name for d in source.documents)
    assert content_hash(source).hexdigest() == content_hash(find("python-docs")).hexdigest()


def test_python_source_is_the_library_without_tests_and_other_people_s_packages():
    source = find("python-source")
    library = os.path.dirname(os.__file__)
    paths = [os.path.relpath(document.name, library) for document in source.documents]
    assert {"argparse.py", "json/decoder.py", "asyncio/events.py"} <= set(paths)
    unwanted = {"test", "tests", "site-packages", "dist-packages", "encodings", "pydoc_data"}
    assert not [path for path in paths if unwanted & set(path.split("/"))]
    assert paths == [os.path.relpath(d.name, library) for d in find("python-source").documents]
    assert 5_000_000 < content_hash(source).n_bytes < 30_000_000


def test_every_file_of_python_source_is_utf_8():
    assert text_of(find("python-source")).count("import ") > 1000


@pytest.mark.parametrize("name, hint", [
    ("shakspeare", "did you mean 'shakespeare'?"),
    ("Shakespeare", "did you mean 'shakespeare'?"),
    ("python-doc", "did you mean 'python-docs'"),
    ("pythonsource", "did you mean 'python-source'"),
    ("no such thing", "the named corpora are python-docs, python-source, shakespeare"),
    ("", "no corpus, file or folder ''"),
    ("missing/file.txt", "no corpus, file or folder 'missing/file.txt'"),
])
def test_a_bad_name_suggests_the_nearest(name, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CorpusError) as error:
        find(name)
    assert hint in str(error.value) and "\n" not in str(error.value)
    for corpus in CORPORA:
        assert corpus in str(error.value)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_what_can_be_no_path_is_an_error_of_one_line(name):
    with pytest.raises(CorpusError) as error:
        find(name)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("name", [None, 3, ["python-docs"], b"python-docs"])
def test_what_is_neither_name_nor_path_is_rejected_by_its_type(name):
    with pytest.raises(CorpusError, match=f"got {type(name).__name__}"):
        find(name)


def test_a_pipe_is_not_a_corpus(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorpusError, match="neither a file nor a folder"):
        find(tmp_path / "pipe")


def test_a_name_wins_over_a_folder_and_a_path_does_not(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("python-docs").mkdir()
    Path("python-docs", "mine.txt").write_text("mine")
    assert find("python-docs").name == "python-docs" and len(find("python-docs").documents) > 1
    assert text_of(find("./python-docs")) == text_of(find(Path("python-docs"))) == "mine"
