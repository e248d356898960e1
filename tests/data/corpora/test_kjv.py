"""The default corpus."""

import pytest

from tcsm.data.corpora.kjv import Kjv
from tcsm.data.normalize import text8, verbatim
from tcsm.errors import InputError

SHA256 = "4a089e3a88902d8ca0f6498c6681cc8e54667ad8b684d0a08310f7cf4a22322e"


def test_splits():
    splits = {split: "".join(texts) for split, texts in Kjv(text8, SHA256).splits().items()}
    assert [*map(len, splits.values())] == [3_613_098, 200_727, 200_728]
    assert splits["train"].startswith("in the beginning god created the heaven and the earth")
    assert splits["test"].endswith("be with you all amen")


def test_other_text_is_refused():
    with pytest.raises(InputError, match=rf"has sha256 [0-9a-f]{{64}}, wanted {SHA256}"):
        Kjv(verbatim, SHA256).splits()


def test_bad_fractions_are_refused():
    with pytest.raises(InputError, match="fractions"):
        Kjv(text8, SHA256, (0.9, 0.9, 0.9))
