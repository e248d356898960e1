"""Labeled rows of the hub; a stand-in for the package datasets serves them."""

import sys
from types import SimpleNamespace

import pytest

from tcsm.data.labels.hub import HubLabels
from tcsm.data.normalize import text8
from tcsm.errors import InputError


class Rows(list):
    def select_columns(self, columns):
        return ({name: row[name] for name in columns} for row in self)


@pytest.fixture
def served(monkeypatch):
    """What the stand-in serves; a test may change it."""
    rows = Rows([{"text": "Good!", "label": 1, "id": 5}, {"text": "Bad.", "label": 0, "id": 6}])

    def load_dataset(name, config, *, split, revision):
        assert (name, config, split, revision) == ("some/reviews", None, "train", "abc")
        return rows

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    return rows


def labels():
    return HubLabels("some/reviews", None, "train", "abc", "text", "label", text8, None)


def test_rows(served):
    assert list(labels().rows()) == [("good", 1), ("bad", 0)]
    assert labels().title == "some/reviews/train@abc"


def test_a_row_without_a_label_is_told(served):
    served.append({"text": "Unsure", "label": -1})
    with pytest.raises(InputError, match=r"some/reviews/train@abc, row 2: its label is -1"):
        list(labels().rows())


def test_what_reading_raises_is_one_line(served):
    served.append({"text": "No label"})
    with pytest.raises(InputError, match=r"labels some/reviews/train@abc: KeyError: 'label'"):
        list(labels().rows())


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"some/reviews needs: pip install"):
        list(labels().rows())
