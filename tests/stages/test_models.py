"""What several stages do at their door."""

import json
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from tcsm import config
from tcsm.data.tokenizers import Bytes, HuggingFace, Letters
from tcsm.errors import InputError
from tcsm.runs.corpus import Text
from tcsm.runs.models import architecture, build_model, load_model
from tcsm.runs.run import Run
from tcsm.training.devices import Devices
from tests.checkpoints import make
from tests.tokenizer_kinds import byte_level, saved


def test_a_vocabulary_of_another_tokenizer_is_refused(house):
    cfg = config.compose(house.overrides())
    with pytest.raises(InputError, match="must be 256, the size of tokenizer bytes, found 27"):
        build_model(config.Unbuilt(cfg.model), Bytes())


def test_a_checkpoint_with_another_tokenizer_of_equal_size_is_refused(house, tmp_path):
    path, size = saved(tmp_path / "own", byte_level())
    pipeline = json.loads(byte_level().to_str())
    ids = pipeline["model"]["vocab"]
    one, two = sorted(ids, key=ids.__getitem__)[-2:]
    ids[one], ids[two] = ids[two], ids[one]
    make("gpt2", vocabulary=size).save_pretrained(tmp_path / "net")
    words = ["net=backbone", f"net.name={tmp_path / 'net'}", f"vocabulary={size}"]
    cfg = config.compose([*house.overrides(), *words])
    tokenizer = HuggingFace(path, size)
    build_model(config.Unbuilt(cfg.model), tokenizer)
    saved(tmp_path / "net", Tokenizer.from_str(json.dumps(pipeline)))
    with pytest.raises(InputError, match=r"net\.name: .* another tokenizer than own"):
        build_model(config.Unbuilt(cfg.model), tokenizer)
    saved(tmp_path / "net", byte_level())
    build_model(config.Unbuilt(cfg.model), tokenizer)


def described(overrides):
    return architecture(config.Unbuilt(config.compose(overrides).model))


def test_an_architecture_lists_every_value_once_in_order(house):
    words = described(house.overrides()).split()
    assert words == sorted(set(words))
    for word in ("model.net.dim=16", "model.net.chunk=null", "model.path.source.vocabulary=27"):
        assert word in words
    assert described(house.overrides("other")) == " ".join(words)
    assert described([*house.overrides(), "net.dim=32"]) != " ".join(words)


def test_a_loaded_model_is_the_trained_one_ready_to_be_asked(house, trained):
    folder = trained("kjv/mdlm")
    cfg = config.compose([*house.overrides(), "experiment=kjv/mdlm"])
    torch.manual_seed(1)
    models = [load_model(Run(folder, cfg), Devices("cpu")) for _ in range(2)]
    assert not models[0].training
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)


def test_a_split_is_opened_by_name(house):
    cfg = config.compose(house.overrides())
    text = Text(Path(cfg.data.root), Letters(), config.Unbuilt(cfg.corpus))
    for split in ("train", "valid", "test"):
        assert text.open(split).header.split == split
