"""Data sets of the hub; a stand-in for the package datasets shows what is asked of it."""

import sys
from types import SimpleNamespace

import pytest

from tcsm.data.corpora.hub import HubDataset
from tcsm.data.normalize import text8
from tcsm.errors import InputError

PARTS = {"train": "train[:90%]", "valid": "train[90%:]", "test": "test"}


class Rows(list):
    def select_columns(self, columns):
        if columns != ["text"]:
            raise ValueError(f"Column name {columns} not in the dataset.\nCurrent columns: text")
        return self


@pytest.fixture
def asked(monkeypatch):
    """Puts a package datasets in place that serves two rows a split; returns what it is asked."""
    calls = []

    def load_dataset(name, config, *, split, revision):
        if name == "nobody/nothing":
            raise FileNotFoundError("Dataset 'nobody/nothing' doesn't exist on the Hub")
        calls.append((name, config, split, revision))
        return Rows([{"text": f"The {split[:5]}"}, {"text": " \n"}, {"text": "End."}])

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return calls


def corpus(name="some/words", column="text", parts=PARTS):
    return HubDataset(name, "raw", column, parts, "abc123", text8)


def test_documents(asked):
    splits = {split: [*texts] for split, texts in corpus().splits().items()}
    assert splits == {
        "train": ["the train", "end"],
        "valid": ["the train", "end"],
        "test": ["the test", "end"],
    }
    assert asked == [("some/words", "raw", part, "abc123") for part in PARTS.values()]


def test_nothing_is_fetched_before_it_is_read(asked):
    corpus().splits()
    assert asked == []


def test_title():
    assert corpus().title == "some/words/raw@abc123"
    assert HubDataset("w", None, "text", PARTS, "1", text8).title == "w@1"


def test_missing_package_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"some/words needs: pip install -e '\.\[hub\]'"):
        next(iter(corpus().splits()["train"]))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "nobody/nothing"}, "nobody/nothing/raw@abc123, part .* doesn't exist"),
        (
            {"column": "body"},
            r"part 'train\[:90%\]': Column name \['body'\] not in the dataset\.$",
        ),
    ],
)
def test_what_the_hub_refuses_is_an_input_error(asked, fields, message):
    with pytest.raises(InputError, match=message):
        next(iter(corpus(**fields).splits()["train"]))


def test_missing_split_is_refused():
    with pytest.raises(InputError, match=r"corpus\.parts "):
        corpus(parts={"train": "train"})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([["a"]], r"row 0: corpus\.column 'text' holds list"),
        ([None, "", " "], r"no text here; corpus\.parts"),
        (["да", "нет"], r"normalization text8 keeps, of 5 characters .*corpus\.normalize\.path="),
    ],
)
def test_rows_without_text_are_no_corpus(asked, monkeypatch, content, words):
    rows = Rows([{"text": text} for text in content])
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *a, **b: rows)
    with pytest.raises(InputError, match=rf"some/words/raw@abc123, part 'test'.*{words}"):
        list(corpus().splits()["test"])


def test_what_reading_raises_is_one_line(asked, monkeypatch):
    def broken():
        yield {"text": "Good"}
        raise KeyError

    rows = SimpleNamespace(select_columns=lambda columns: broken())
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *a, **b: rows)
    with pytest.raises(InputError, match=r"some/words/raw@abc123, part 'test': KeyError$"):
        list(corpus().splits()["test"])
    monkeypatch.setattr(sys.modules["datasets"], "load_dataset", lambda *a, **b: 1 / 0)
    with pytest.raises(InputError, match=r"part 'test': ZeroDivisionError"):
        list(corpus().splits()["test"])
