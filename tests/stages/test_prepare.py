"""Text becomes token files."""

from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Bytes, Letters


def test_three_files_hold_the_text_in_order(house):
    text = house.text.read_text()
    splits = [
        open_tokens(house.data / f"{name}.tok", Letters()) for name in ("train", "valid", "test")
    ]
    assert "".join(Letters().decode(split.tokens) for split in splits) == text
    assert [len(split.tokens) for split in splits] == [
        round(0.9 * len(text)),
        round(0.95 * len(text)) - round(0.9 * len(text)),
        len(text) - round(0.95 * len(text)),
    ]


def test_it_says_what_it_wrote(own_house):
    done = own_house.run("prepare")
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [
        str(own_house.root / f"data/{name}.tok") for name in ("train", "valid", "test")
    ]
    assert "tokens of letters" in done.out


def test_twice_gives_the_same_bytes(own_house):
    own_house.good("prepare")
    before = own_house.files("data")
    own_house.good("prepare")
    assert own_house.files("data") == before
    assert not own_house.unfinished()


def test_another_tokenizer_is_one_override(own_house):
    verbatim = "corpus.normalize.path=tcsm.data.normalize.verbatim"
    (own_house.root / "text.txt").write_text("Où est l'été? " * 40)
    own_house.good("prepare", "tokenizer=bytes", verbatim)
    tokens = open_tokens(own_house.root / "data/train.tok", Bytes()).tokens
    assert Bytes().decode(tokens).startswith("Où est l'été?")


def test_it_says_what_it_read_and_what_it_dropped(own_house):
    folder = own_house.root / "folder"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git/config").write_text("[core]")
    (folder / "rows.jsonl").write_text("{}")
    (folder / "a.txt").write_text("Some words, and more. " * 20)
    done = own_house.run("prepare", f"corpus.path={folder}")
    assert done.code == 0
    assert all(line.startswith("tcsm: prepare: ") for line in done.err)
    for line, words in zip(
        done.err,
        (
            ["files: 1 (1 .txt)", "characters: 440"],
            ["skipped files of records", "rows.jsonl"],
            ["skipped hidden", ".git"],
            ["dropped 40 of 440", "9.1%", "','", "'.'"],
        ),
        strict=True,
    ):
        assert all(word in line for word in words), line
    assert len(done.out.splitlines()) == 3


def test_a_text_in_other_letters_is_one_line_that_says_what_to_set(own_house, tmp_path):
    (tmp_path / "ru.txt").write_text("вначале было слово. " * 50)
    done = own_house.run("prepare", f"corpus.path={tmp_path / 'ru.txt'}")
    assert done.code == 2
    (line,) = done.err
    advice = ("corpus.normalize.path=tcsm.data.normalize.verbatim", "tokenizer=bytes")
    assert all(word in line for word in ("ru.txt", "text8", *advice))
    assert own_house.run("prepare", f"corpus.path={tmp_path / 'ru.txt'}", *advice).code == 0
