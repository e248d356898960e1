"""Text becomes token files."""

from tcsm.data.tokenfile import open_tokens
from tcsm.data.tokenizers import Bytes, Letters


def test_three_files_hold_the_text_in_order(house):
    text = (house.root / "text.txt").read_text()
    splits = [
        open_tokens(house.root / f"data/{name}.tok", Letters())
        for name in ("train", "valid", "test")
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
