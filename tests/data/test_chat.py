"""Prompts in the chat template of a tokenizer."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tcsm.data.examples import Example
from tcsm.data.tokenizers import HuggingFace
from tcsm.errors import InputError

TEMPLATE = "{% for m in messages %}<u>{{ m['content'] | trim }}<e>{% endfor %}<a>"


def tokenizer(folder, template=TEMPLATE):
    words = {"[UNK]": 0, "<u>": 1, "<a>": 2, "<e>": 3, "hi": 4, "you": 5, "<": 6, "u": 7, ">": 8}
    made = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    inner = PreTrainedTokenizerFast(
        tokenizer_object=made,
        unk_token="[UNK]",
        eos_token="<e>",
        additional_special_tokens=["<u>", "<a>"],
    )
    inner.chat_template = template
    inner.save_pretrained(folder)
    return HuggingFace(folder, len(words))


def test_special_tokens_are_those_of_the_template_alone(tmp_path):
    made = tokenizer(tmp_path)
    piece = Example("hi <u>", "you", chat=True).piece(made)
    assert piece.tokens.tolist() == [1, 4, 6, 7, 8, 3, 2, 5, 3]
    assert (piece.roles & 2).nonzero()[0].tolist() == [7, 8]
    assert Example("hi", "you").piece(made).tokens.tolist() == [4, 5, 3]


@pytest.mark.parametrize("template", [None, "no prompt", "{{ raise_exception('odd') }}"])
def test_other_templates_are_refused(tmp_path, template):
    with pytest.raises(InputError, match=r"chat: .*template"):
        tokenizer(tmp_path, template).prompt("hi", chat=True)
