from collections import Counter
from pathlib import Path

from tcsm.data.corpora.local import LocalText
from tcsm.data.corpora.shuffled import Shuffled
from tcsm.data.normalize import text8


def texts(corpus):
    return {split: list(documents) for split, documents in corpus.splits().items()}


def test_words_stay_and_their_order_goes(tmp_path: Path):
    for name in "ab":
        (tmp_path / name).write_text(
            " ".join(f"{name}{'xyz'[n % 3] * (n % 7)}" for n in range(400))
        )
    inner = LocalText(tmp_path, text8)
    corpus = Shuffled(inner, seed=3)
    before, after = texts(inner), texts(corpus)
    assert before.keys() == after.keys()
    for split, documents in before.items():
        for old, new in zip(documents, after[split], strict=True):
            assert new != old
            assert Counter(new.split(" ")) == Counter(old.split(" "))
    assert texts(corpus) == after
    assert texts(Shuffled(inner, seed=4)) != after
    assert corpus.title == f"{tmp_path.name}-shuffled-3"
