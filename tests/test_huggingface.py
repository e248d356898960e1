"""Whatever the libraries of Hugging Face raise is one line that names the folder, and its file."""

import json

import pytest

from tcsm.errors import InputError
from tcsm.huggingface import MOST, from_pretrained, one_line, reason
from tests.checkpoints import save


class Panic(BaseException):
    """As a Rust library panics."""


@pytest.mark.parametrize(
    "error",
    [
        OSError("first\nsecond"),
        ValueError(),
        KeyError("model_type"),
        AttributeError("'NoneType' object has no attribute 'x'"),
        RuntimeError("\n\n  much  \nmore"),
        RecursionError("maximum recursion depth exceeded"),
        ImportError("no tiktoken"),
        AssertionError(),
        Panic("index out of bounds"),
        ValueError("x" * 10_000),
    ],
)
def test_any_error_is_one_short_line(error):
    with pytest.raises(InputError) as raised, one_line("some.key: value"):
        raise error
    message = str(raised.value)
    assert message.startswith("some.key: value: ")
    assert "\n" not in message
    assert 3 < len(message.removeprefix("some.key: value: ")) < MOST + 50


def test_the_class_of_an_error_is_told_where_its_message_says_too_little():
    assert reason(KeyError("model_type")) == "KeyError: 'model_type'"
    assert reason(RecursionError()) == "RecursionError"
    assert reason(OSError("no such file")) == "no such file"
    assert reason(ValueError("one of:\n\n (1) a file\n (2) a class")) == "one of: (1) a file"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), InputError("mine")])
def test_interrupts_and_own_errors_pass(error):
    with pytest.raises(type(error)) as raised, one_line("some.key"):
        raise error
    assert raised.value is error


@pytest.fixture
def folder(tmp_path):
    save(tmp_path, causal=True, vocabulary=11, places=9)
    return tmp_path


def load(folder, name="AutoModelForCausalLM"):
    import transformers

    kind = getattr(transformers, name)
    return from_pretrained(kind, f"net.name: {folder}", str(folder), "main")


def cut(path):
    path.write_bytes(path.read_bytes()[:-40])


def test_a_truncated_file_of_weights_is_named(folder):
    cut(folder / "model.safetensors")
    with pytest.raises(InputError, match=r"net\.name: .*model\.safetensors"):
        load(folder)


@pytest.mark.parametrize(
    "content", ["{", "[1]", '{"model_type": "martian"}', "{}", '{"a":' * 9999]
)
def test_a_bad_configuration_is_one_line(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=rf"^net\.name: {folder}: .*$"):
        load(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json"])
def test_a_bad_file_of_a_tokenizer_is_named(folder, name):
    (folder / "tokenizer.json").write_text(json.dumps({}))
    (folder / "tokenizer_config.json").write_text("{}")
    (folder / name).write_text('{"a"')
    with pytest.raises(InputError, match=rf"^net\.name: {folder}: .*{name}"):
        load(folder, "AutoTokenizer")


def test_a_folder_that_does_not_exist_is_not_looked_up(folder):
    with pytest.raises(InputError, match="no such folder"):
        load(folder / "none")
    with pytest.raises(InputError, match="no such folder"):
        load("~/none-of-this-name")
