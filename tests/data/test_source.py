"""A token file says what it was made from, and another corpus is refused with the key."""

import hashlib
import importlib.util
import os

import pytest

from tcsm.data import source
from tcsm.data.corpora.download import Download
from tcsm.data.corpora.hub import HubDataset
from tcsm.data.corpora.kjv import Kjv
from tcsm.data.corpora.local import LocalText
from tcsm.data.corpora.shuffled import Shuffled
from tcsm.data.normalize import text8, verbatim
from tcsm.data.source import difference, digest_of, source_of


@pytest.fixture(autouse=True)
def notes(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "NOTES", tmp_path / "notes")
    monkeypatch.setattr(source, "_SETTLED", -1)
    return tmp_path / "notes"


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "a/my.txt"
    path.parent.mkdir()
    path.write_text("the cat sat on the mat")
    return path


def test_a_file_may_move_and_go_but_not_change(tmp_path, text):
    known = source_of(LocalText(text, text8))
    assert difference(known, source_of(LocalText(text, text8))) is None
    assert difference(known, source_of(LocalText(os.path.relpath(text), text8))) is None
    twin = tmp_path / "b/my.txt"
    twin.parent.mkdir()
    twin.write_text(text.read_text())
    assert difference(known, source_of(LocalText(twin, text8))) is None
    twin.write_text("the dog sat on the mat")
    output = difference(known, source_of(LocalText(twin, text8)))
    assert f"corpus.path={text}, wanted {twin}, of another text" in output
    text.write_text("the cat sat on the rat")
    output = difference(known, source_of(LocalText(text, text8)))
    assert f"corpus.path={text}, whose content has changed" in output
    text.unlink()
    assert difference(known, source_of(LocalText(text, text8))) is None
    output = difference(known, source_of(LocalText(tmp_path / "c/my.txt", text8)))
    assert f"wanted {tmp_path}/c/my.txt, which does not exist" in output


def test_a_file_more_or_another_order_is_another_content(text):
    known = source_of(LocalText(text.parent, text8))
    (text.parent / "z.txt").write_text("more")
    more = source_of(LocalText(text.parent, text8))
    assert "has changed" in difference(known, more)
    (text.parent / "z.txt").rename(text.parent / "b.txt")
    assert "has changed" in difference(more, source_of(LocalText(text.parent, text8)))


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (lambda path: LocalText(path, verbatim), "corpus.normalize.path", "verbatim"),
        (lambda path: LocalText(path, text8, [0.8, 0.1, 0.1]), "corpus.fractions", "[0.8, 0.1"),
        (lambda path: Kjv(text8, "0" * 64), "corpus._target_", "kjv.Kjv"),
        (lambda path: Shuffled(LocalText(path, text8)), "corpus._target_", "Shuffled"),
    ],
)
def test_what_decides_the_text_is_named(text, make, key, value):
    output = difference(source_of(LocalText(text, text8)), source_of(make(text)))
    assert output.startswith(key)
    assert value in output.partition(", wanted ")[2]


def test_a_pin_is_named_and_where_bytes_lie_does_not_count():
    def made(**changes):
        return source_of(Download(**{"url": "https://a/t", "sha256": "1", "cache": "c"} | changes))

    known = made(normalize=verbatim)
    assert difference(known, made(normalize=verbatim, cache="d", url="https://b/t")) is None
    assert "corpus.sha256=1, wanted 2" in difference(known, made(normalize=verbatim, sha256="2"))
    one, other = (source_of(Kjv(text8, letter * 64)) for letter in "ab")
    assert difference(one, other).startswith("corpus.sha256=aaa")


def test_a_local_data_set_is_known_by_its_files(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "train.jsonl").write_text("{}")
    parts = {"train": "train", "valid": "train", "test": "train"}

    def made():
        return source_of(HubDataset(str(folder), None, "text", parts, "main", text8))

    known = made()
    assert difference(known, made()) is None
    (folder / "train.jsonl").write_text("[]")
    assert "content has changed since" in difference(known, made())
    on_the_hub = HubDataset("nobody/nothing", None, "text", parts, "main", text8)
    assert "content" not in source_of(on_the_hub)


def test_a_seed_and_the_file_within_are_named(tmp_path, text):
    known = source_of(Shuffled(LocalText(text, text8), seed=1))
    other = source_of(Shuffled(LocalText(text, text8), seed=2))
    assert difference(known, other) == "corpus.seed=1, wanted 2"
    text.with_name("b.txt").write_text("another text")
    other = source_of(Shuffled(LocalText(text.with_name("b.txt"), text8), seed=1))
    assert difference(known, other).startswith(f"corpus.corpus.path={text}, wanted ")


def test_another_code_of_a_function_is_another_function(tmp_path, text):
    actual = []
    for line in ("text.lower()", "text.upper()"):
        file = tmp_path / f"{len(actual)}/mine.py"
        file.parent.mkdir()
        file.write_text(f"def mine(text):\n    return {line}\n")
        spec = importlib.util.spec_from_file_location("mine", file)
        module = importlib.util.module_from_spec(spec)
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(__import__("sys").modules, "mine", module)
            spec.loader.exec_module(module)
            actual.append(source_of(LocalText(text, module.mine)))
    assert difference(*actual).startswith("corpus.normalize.code=")


def test_a_content_is_read_once(text, monkeypatch):
    read = []
    real = hashlib.file_digest

    def counted(file, *rest):
        read.append(file.name)
        return real(file, *rest)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    first = digest_of([text])
    assert digest_of([text]) == first
    assert len(read) == 1
    stat = text.stat()
    text.write_text(text.read_text().replace("cat", "dog"))
    os.utime(text, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as rsync and cp -p leave it
    assert digest_of([text]) != first
    assert len(read) == 2


def test_what_has_just_changed_is_read_again(text, notes, monkeypatch):
    monkeypatch.setattr(source, "_SETTLED", 3600)
    digest_of([text])
    assert not notes.exists()
