"""Texts, and prompts with responses, as rows of files: which documents, and what is refused."""

import gzip
import json
import sys

import pytest

from tcsm.data.corpora.records import Records
from tcsm.data.corpora.shuffled import Shuffled
from tcsm.data.examples import Example
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError

ROWS = [{"text": f"Row {n}", "id": n} for n in range(20)]
QA = {"column": None, "prompt": "q", "response": "a"}


def put(path, rows=ROWS):
    content = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = pytest.importorskip("zstandard").compress(content)
    path.write_bytes(content)
    return path


def table(path, rows=ROWS, **how):
    pyarrow = pytest.importorskip("pyarrow")
    made = pyarrow.Table.from_pylist(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        from pyarrow import parquet

        parquet.write_table(made, path, row_group_size=3)
    else:
        with pyarrow.ipc.new_stream(str(path), made.schema) as stream:
            stream.write_table(made)
    return path


def saved(folder, rows=ROWS):
    """As Dataset.save_to_disk leaves it."""
    names = [f"data-0000{n}-of-00002.arrow" for n in range(2)]
    for name, part in zip(names, (rows[:15], rows[15:]), strict=True):
        table(folder / name, part)
    state = {"_data_files": [{"filename": name} for name in names], "_format_type": None}
    (folder / "state.json").write_text(json.dumps(state))
    return folder


def documents(path, normalize=verbatim, **fields):
    corpus = Records(path, normalize, **fields)
    return {split: [*texts] for split, texts in corpus.splits().items()}


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.parquet", "folder"])
def test_rows_are_cut_by_their_number(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        saved(path)
    else:
        (table if name.endswith("parquet") else put)(path)
    texts = [row["text"] for row in ROWS]
    assert documents(path) == {"train": texts[:18], "valid": texts[18:19], "test": texts[19:]}
    fractions = [0.5, 0.25, 0.25]
    assert documents(path, fractions=fractions)["valid"] == texts[10:15]


def test_lines_of_plain_text_are_rows(tmp_path):
    path = tmp_path / "lines.txt.gz"
    path.write_bytes(gzip.compress(b"one\r\ntwo\nthree\n"))
    actual = documents(path, fractions=[0.4, 0.3, 0.3])
    assert actual == {"train": ["one"], "valid": ["two"], "test": ["three"]}


def test_a_folder_may_name_its_splits(tmp_path):
    put(tmp_path / "a" / "train-0.jsonl", ROWS[:2])
    put(tmp_path / "a" / "train-1.jsonl", ROWS[2:18])
    put(tmp_path / "a" / "validation.jsonl", ROWS[18:])
    actual = documents(tmp_path / "a")
    assert [len(part) for part in actual.values()] == [17, 2, 1]
    assert actual["test"] == ["Row 17"]
    for name in ("train", "validation", "test"):
        saved(tmp_path / "b" / name)
    splits = {"splits": ["train", "validation", "test"]}
    (tmp_path / "b/dataset_dict.json").write_text(json.dumps(splits))
    assert [len(part) for part in documents(tmp_path / "b").values()] == [20, 20, 20]
    (tmp_path / "b/dataset_dict.json").write_text(json.dumps({"splits": ["test"]}))
    with pytest.raises(InputError, match=r"b: .*test.*train"):
        documents(tmp_path / "b")


def test_prompts_and_responses(tmp_path):
    path = put(tmp_path / "a.jsonl", [{"q": f"Q{n}", "a": "A!"} for n in range(4)])
    actual = documents(path, text8, fractions=[0.5, 0.25, 0.25], padded=True, **QA)
    assert actual["train"][0] == Example("q zero", "a", padded=True)
    assert documents(path, fractions=[0.5, 0.25, 0.25], column=None, response="a")["test"] == [
        Example("", "A!")
    ]
    with pytest.raises(InputError, match="responses"):
        list(Shuffled(Records(path, verbatim, fractions=[0.5, 0.25, 0.25], **QA)).splits()["test"])


def test_a_sheet_names_its_columns_in_its_first_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text\n" + '1,"two\nlines, ""quoted"""\n' * 3)
    actual = documents(path, fractions=[0.4, 0.3, 0.3])
    assert actual["test"] == ['two\nlines, "quoted"']
    with pytest.raises(InputError, match=r"a\.csv: no column 'body'; its columns are id, text"):
        documents(path, column="body")
    path.write_text("id,text\n1,a\n2\n")
    with pytest.raises(InputError, match=r"a\.csv:3: 'text' must be a text, found null"):
        documents(path)
    (tmp_path / "b.tsv").write_text("text\tn\n" + "a\t1\n" * 3)
    assert documents(tmp_path / "b.tsv", fractions=[0.4, 0.3, 0.3])["train"] == ["a"]


def test_rows_without_text_are_counted(tmp_path):
    path = put(tmp_path / "a.jsonl", [ROWS[0], {"text": ""}, {"text": "..."}, *ROWS])
    corpus = Records(path, text8)
    for texts in corpus.splits().values():
        list(texts)
    assert f"without text: 2, such as {path}:2" in corpus.notes()[0]


BAD = {
    r":2: 'text' must be a text, found null": ({"text": None}, {}),
    r":2: no column 'text'; its columns are id": ({"id": 1}, {}),
    r":2: 'text' must be a text, found \[1": ({"text": [1]}, {}),
    r":2: 'a' is empty: ' '": ({"q": "x", "a": " "}, QA),
    r":2: no column 'a'": ({"q": "x"}, QA),
    r":2: 'q' must be a text, found 7": ({"q": 7, "a": "x"}, QA),
    r":2: .*surrogate": ({"text": "\ud83d"}, {}),
}


@pytest.mark.parametrize("words", BAD)
def test_an_invalid_row_is_named_before_any_is_taken(tmp_path, words):
    row, fields = BAD[words]
    good = {"text": "t", "q": "q", "a": "a"}
    path = put(tmp_path / "a.jsonl", [good, row, good])
    with pytest.raises(InputError, match=rf"a\.jsonl{words}"):
        Records(path, verbatim, **fields).splits()


def test_tables_are_refused_by_name(tmp_path, monkeypatch):
    path = table(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"a\.parquet: no column 'body'; .* text, id"):
        documents(path, column="body")
    path = table(tmp_path / "b.parquet", [*ROWS, {"text": None}])
    with pytest.raises(InputError, match=r"b\.parquet, row 21: 'text'.* null"):
        documents(path)
    path.write_bytes(b"PAR1 no more")
    with pytest.raises(InputError, match=r"b\.parquet: cannot be read"):
        documents(path)
    state = saved(tmp_path / "c") / "state.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "_indices_files": [{}]}))
    with pytest.raises(InputError, match=r"c: .*flatten_indices"):
        documents(tmp_path / "c")
    state.write_text("{")
    with pytest.raises(InputError, match=r"state\.json: cannot be read"):
        documents(tmp_path / "c")
    for name in ("pyarrow", "zstandard"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match=r"b\.parquet: .*pip install .*tables"):
        documents(path)
    (tmp_path / "d.jsonl.zst").write_bytes(b"x")
    with pytest.raises(InputError, match=r"zst: .*pip install .*tables"):
        documents(tmp_path / "d.jsonl.zst")


def test_other_refusals(tmp_path):
    with pytest.raises(InputError, match=r"gone: no such file.*corpus\.path"):
        documents(tmp_path / "gone")
    with pytest.raises(InputError, match=r"holds no file of \.jsonl"):
        documents(tmp_path)
    with pytest.raises(InputError, match=r"2 rows leave none for the split 'valid'"):
        documents(put(tmp_path / "a.jsonl", ROWS[:2]))
    with pytest.raises(InputError, match=r"corpus\.column, corpus\.response"):
        Records(tmp_path, verbatim, response="a")
    with pytest.raises(InputError, match=r"corpus\.response"):
        Records(tmp_path, verbatim, chat=True)
    packed = put(tmp_path / "b.jsonl.gz")
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"b\.jsonl\.gz: cannot be read"):
        documents(packed)
