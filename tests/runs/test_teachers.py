"""A checkpoint teaches tokens of its own tokenizer alone."""

import pytest
from omegaconf import OmegaConf
from tokenizers import normalizers

from tcsm.config import Unbuilt
from tcsm.data.tokenizers import HuggingFace
from tcsm.errors import InputError
from tcsm.runs.teachers import _require_same_numbers
from tests.tokenizer_kinds import byte_level, saved, word_piece


@pytest.mark.parametrize("kind", ["cased", "another size"])
def test_a_checkpoint_of_another_tokenizer_is_named(tmp_path, kind):
    ours = HuggingFace(*saved(tmp_path / "ours", word_piece()))
    other = word_piece() if kind == "cased" else byte_level()
    other.normalizer = normalizers.BertNormalizer(lowercase=False)
    folder, _ = saved(tmp_path / "theirs", other)
    cfg = OmegaConf.create({"net": {"name": str(tmp_path / "ours")}})
    _require_same_numbers(Unbuilt(cfg), ours)
    cfg.net.name = str(folder)
    with pytest.raises(InputError, match=f"^pretrained.net.name: {folder}.* tokenizer") as output:
        _require_same_numbers(Unbuilt(cfg), ours)
    assert "tokenizer.path" not in str(output.value)
