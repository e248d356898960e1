import errno
import os
import resource

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcsm.errors import InputError
from tcsm.training.checkpoint import digest, load, load_weights, save, save_weights
from tests.training.toy import Net, make_net

TENSORS = {
    "a": torch.arange(12, dtype=torch.float32).reshape(3, 4).T,
    "b": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "c": torch.tensor(7),
    "d": torch.empty(0, 3),
}
META = {"architecture": "net-1", "step": 3, "rate": 0.5}


@pytest.fixture
def path(tmp_path):
    save(tmp_path / "x.safetensors", TENSORS, META)
    return tmp_path / "x.safetensors"


def test_what_is_saved_is_loaded(path):
    tensors, meta = load(path, architecture="net-1")
    assert meta == {**META, "format": 1}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_equal_content_gives_equal_bytes(path, tmp_path):
    again = tmp_path / "y.safetensors"
    turned = dict(reversed([(name, tensor.clone()) for name, tensor in TENSORS.items()]))
    save(again, turned, dict(reversed(META.items())))
    assert again.read_bytes() == path.read_bytes()
    assert not list(tmp_path.glob("*.tmp"))


def test_the_digest_sees_name_type_shape_and_value():
    base = {"a": torch.zeros(2, 2)}
    others = [
        {"b": torch.zeros(2, 2)},
        {"a": torch.zeros(4)},
        {"a": torch.zeros(2, 2, dtype=torch.int32)},
        {"a": -torch.zeros(2, 2)},
    ]
    assert len({digest(tensors) for tensors in [base, *others]}) == 5
    assert digest(base) == digest({"a": torch.zeros(2, 2).T})


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("flip") / "x.safetensors"
    save(path, TENSORS, META)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_truncated_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InputError, match="is not a whole checkpoint"):
        load(path)


def test_what_is_no_checkpoint_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load(tmp_path / "none.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, this is no checkpoint at all")
    with pytest.raises(InputError, match="is not a whole checkpoint"):
        load(tmp_path / "text.safetensors")


def test_another_architecture_is_refused_by_both_names(path):
    with pytest.raises(InputError, match="is of architecture net-1, expected net-2"):
        load(path, architecture="net-2")


def test_another_format_is_refused(path, monkeypatch):
    monkeypatch.setattr("tcsm.training.checkpoint.FORMAT", 2)
    with pytest.raises(InputError, match="has format 1, expected 2"):
        load(path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_leaves_the_previous_checkpoint(path, monkeypatch, number):
    before = path.read_bytes()

    def full(handle):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"x\.safetensors: cannot be written: .*\d{3} bytes"):
        save(path, {"a": torch.zeros(100)}, META)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def save_with_little_room(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
    try:
        save(path, {"a": torch.zeros(10_000)}, META)
    except InputError as error:
        os._exit(3 if "make room for 4" in str(error) else 4)


@pytest.mark.slow
def test_a_real_limit_leaves_the_previous_checkpoint(path, processes):
    before = path.read_bytes()
    child = processes.Process(target=save_with_little_room, args=(path,))
    child.start()
    child.join()
    assert child.exitcode == 3
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_folder_that_cannot_be_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        save(tmp_path / "file" / "x.safetensors", TENSORS, META)


def test_weights_fill_a_bare_model(tmp_path):
    path, net = tmp_path / "weights.safetensors", make_net()
    save_weights(path, net.state_dict(), "toy")
    other = Net()
    load_weights(path, other, "toy")
    assert digest(other.state_dict()) == digest(net.state_dict())
    with pytest.raises(InputError, match="is of architecture toy, expected huge"):
        load_weights(path, other, "huge")
    with pytest.raises(InputError, match="adds 6 tensors"):
        load_weights(path, torch.nn.Identity())
    with pytest.raises(InputError, match=r"^reference: .*nowhere does not exist"):
        load_weights(tmp_path / "nowhere", other, key="reference: ")
