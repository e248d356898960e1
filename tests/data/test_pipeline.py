"""What decides ids is in the fingerprint; every character of a text counts once."""

import json
import pickle
import random
import re

import numpy as np
import pytest
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tcsm.data.batches import evaluation_windows
from tcsm.data.pipeline import cuts, lengths
from tcsm.data.tokenizers import Bytes, HuggingFace
from tcsm.errors import InputError
from tests.tokenizer_kinds import KINDS, TEXT, byte_level, saved, unigram, word_piece

LONG = TEXT * 200


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A tokenizer of each kind."""
    folders = (saved(tmp_path_factory.mktemp("kind"), make()) for make in KINDS.values())
    return {kind: HuggingFace(*folder) for kind, folder in zip(KINDS, folders, strict=True)}


@pytest.mark.parametrize("kind", KINDS)
def test_every_character_counts_once(known, kind):
    ids, counts = known[kind].measured(LONG)
    assert counts.sum() == len(LONG)
    assert len(ids) == len(counts)
    windows = evaluation_windows(counts, 7, len(counts) // 7)
    assert abs(int(windows.sum()) - len(LONG)) < 7 * counts.max()


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_text_has_the_ids_of_one_call(known, kind):
    inner = Tokenizer.from_str(known[kind]._inner.backend_tokenizer.to_str())
    assert known[kind].encode(LONG).tolist() == inner.encode(LONG, add_special_tokens=False).ids


BLANKS = [" ", " ", " ", "\n", "  ", "\u3000", "\r\n", "\u2028"]
ALPHABET = [*BLANKS, *"aeT't.!1½中é\u0301▁Ġ\u200b¨Σ🎉", "'s"]
NORMALIZERS = {
    "nfkc": normalizers.NFKC(),
    "accents": normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()]),
    "bert": normalizers.BertNormalizer(),
}
CUT = {
    "bytes": pre_tokenizers.ByteLevel(add_prefix_space=False),
    "bytes with a prefix": pre_tokenizers.ByteLevel(add_prefix_space=True),
    "words": pre_tokenizers.BertPreTokenizer(),
    "first": pre_tokenizers.Metaspace(prepend_scheme="first"),
    "always": pre_tokenizers.Metaspace(),
    "both": pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]
    ),
}


@pytest.mark.parametrize("normalizer", NORMALIZERS)
@pytest.mark.parametrize("words", CUT)
def test_a_cut_changes_no_id(words, normalizer):
    made = Tokenizer(models.BPE(unk_token="<u>"))
    made.normalizer, made.pre_tokenizer = NORMALIZERS[normalizer], CUT[words]
    trainer = trainers.BpeTrainer(vocab_size=150, special_tokens=["<u>"], show_progress=False)
    made.train_from_iterator([TEXT, "x   y ▁▁ ĠĠĠ  z"] * 3, trainer)
    actual = cuts(json.loads(made.to_str()))
    assert (actual is None) == (words.startswith("bytes") and normalizer != "nfkc")
    if actual is None:
        return
    often = re.compile(actual.pattern.replace("4096", "3"), re.DOTALL)
    chance, apart = random.Random(0), 0
    for _ in range(300):
        text = "".join(chance.choices(ALPHABET, k=chance.randint(5, 40)))
        pieces = [piece.group() for piece in often.finditer(text)]
        parts = [i for p in pieces for i in made.encode(p, add_special_tokens=False).ids]
        apart += made.encode(text, add_special_tokens=False).ids != parts
    assert apart == 0


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_that_a_text_spells_out_are_text(known, kind):
    tokenizer = known[kind]
    special = {token.content for token in tokenizer._inner.added_tokens_decoder.values()}
    text = "the " + " ".join(sorted(special))
    ids, counts = tokenizer.measured(text)
    controls = {tokenizer._inner.convert_tokens_to_ids(name) for name in special}
    assert not set(ids.tolist()) & (controls - {tokenizer.unknown})
    assert counts.sum() == len(text)
    sent = pickle.loads(pickle.dumps(tokenizer))  # as to the processes of a preparation
    assert sent.encode(text).tolist() == ids.tolist()


def test_a_character_of_several_tokens_counts_on_the_first(known):
    _, counts = known["sentence piece"].measured("the 中🎉")
    assert counts[-7:].tolist() == [1, 0, 0, 1, 0, 0, 0]
    _, counts = known["byte level"].measured("🎉")
    assert counts.tolist() == [1, *[0] * (len(counts) - 1)]


def test_what_a_tokenizer_drops_counts_on_the_next_token(known):
    ids, counts = known["word piece"].measured("  the  \n cat ")
    assert len(ids) == 2
    assert counts.tolist() == [5, 8]


def test_characters_that_exceed_sixteen_bits_go_on():
    actual = lengths(np.array([70_000, 70_001, 70_002]), 70_002)
    assert actual.tolist() == [65_535, 4_466, 1]


def changed(pipeline, part):
    """A tokenizer that differs in one part alone."""
    made = json.loads(pipeline)
    if part == "normalizer":
        made["normalizer"]["lowercase"] = False
    elif part == "pre_tokenizer":
        made["pre_tokenizer"] = {"type": "WhitespaceSplit"}
    elif part == "added_tokens":
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized", "special"), False)
        added = {"id": made["model"]["vocab"]["the"], "content": "the", **flags}
        made["added_tokens"].append(added)
    elif part == "score":
        made["model"]["vocab"][5][1] -= 1.0
    return Tokenizer.from_str(json.dumps(made))


@pytest.mark.parametrize("part", ["normalizer", "pre_tokenizer", "added_tokens", "score"])
def test_what_decides_ids_is_in_the_fingerprint(tmp_path, part):
    pipeline = (unigram if part == "score" else word_piece)().to_str()
    one, again, other = (
        HuggingFace(*saved(tmp_path / name, changed(pipeline, what)))
        for name, what in (("one", None), ("again", None), ("other", part))
    )
    assert one.size == other.size
    assert one.fingerprint == again.fingerprint != other.fingerprint


def test_what_only_frames_a_text_is_not(tmp_path):
    plain, framed = byte_level(), byte_level()
    framed.enable_truncation(3)
    framed.enable_padding(length=9, pad_id=0, pad_token="<|endoftext|>")
    framed.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False)
    one, other = (
        HuggingFace(*saved(tmp_path / name, made))
        for name, made in (("plain", plain), ("framed", framed))
    )
    assert one.fingerprint == other.fingerprint
    assert other.encode(TEXT).tolist() == one.encode(TEXT).tolist()


def test_nothing_of_a_tokenizer_is_random(tmp_path):
    made = json.loads(byte_level().to_str())
    made["model"]["dropout"] = 0.5
    tokenizer = HuggingFace(*saved(tmp_path, Tokenizer.from_str(json.dumps(made))))
    assert len({tokenizer.encode(TEXT).tobytes() for _ in range(5)}) == 1


def test_a_tokenizer_in_python_alone_is_named(tmp_path):
    from transformers import ByT5Tokenizer

    ByT5Tokenizer().save_pretrained(tmp_path)
    with pytest.raises(InputError, match=f"tokenizer.path: {tmp_path}: ByT5Tokenizer"):
        HuggingFace(tmp_path, 384)


def test_ids_with_holes_are_named_or_counted(tmp_path):
    made = json.loads(word_piece().to_str())
    vocabulary = made["model"]["vocab"]
    highest = max(vocabulary.values())
    word = next(name for name, number in vocabulary.items() if number == highest)
    vocabulary[word] = highest + 4
    folder, size = saved(tmp_path, Tokenizer.from_str(json.dumps(made)))
    with pytest.raises(InputError) as caught:
        HuggingFace(folder, len(vocabulary))
    for part in (f"tokenizer.path: {folder}", "4 of them unused", f"vocabulary={size}"):
        assert part in str(caught.value)
    assert HuggingFace(folder, size).encode(word.strip("#")).size


def test_half_a_surrogate_pair_is_named(known):
    with pytest.raises(InputError, match=r"'bytes'.*'\\udc41'.*character 2"):
        Bytes().encode("ab\udc41")
    for tokenizer in known.values():
        with pytest.raises(InputError, match=f"the tokenizer {tokenizer.name!r}: "):
            tokenizer.encode("ab\udc41")


def test_what_closes_a_text_separates_documents(tmp_path):
    made = word_piece()
    made.post_processor = processors.TemplateProcessing(
        single="$A [SEP]", pair="$A $B", special_tokens=[("[SEP]", made.token_to_id("[SEP]"))]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = HuggingFace(tmp_path, made.get_vocab_size())
    assert tokenizer.separator == made.token_to_id("[SEP]")
    assert tokenizer.encode("the cat").size == 2


def test_no_separator_is_named(tmp_path):
    word_piece().save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(InputError, match=f"tokenizer.path: {tmp_path}: no end-of-text token"):
        HuggingFace(tmp_path, 90)
