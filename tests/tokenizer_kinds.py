"""Small tokenizers of the kinds that checkpoints come with, made here and saved as folders."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

TEXT = "The cat sat on the mat.\nThe end\n\n\n  of the café, 中文字 🎉 x  y!\n"


def byte_level() -> Tokenizer:
    """As GPT-2: bytes, merged within words; a character may have several tokens."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = {"special_tokens": ["<|endoftext|>"], "initial_alphabet": alphabet}
    made.train_from_iterator([TEXT], trainers.BpeTrainer(vocab_size=270, **special))
    return made


def word_piece(lowercase: bool = True) -> Tokenizer:
    """As BERT: lower case, blanks dropped, what it does not know is [UNK]."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[UNK]", "[SEP]", "[MASK]", "[PAD]"]
    trainer = trainers.WordPieceTrainer(vocab_size=90, special_tokens=special)
    made.train_from_iterator(["the cat sat on the mat The end of"] * 2, trainer)
    return made


def unigram() -> Tokenizer:
    """As T5: a score for each piece, blanks as ▁."""
    made = Tokenizer(models.Unigram())
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = {"special_tokens": ["<unk>", "</s>"], "unk_token": "<unk>"}
    trainer = trainers.UnigramTrainer(vocab_size=60, show_progress=False, **special)
    made.train_from_iterator([TEXT] * 9, trainer)
    return made


def sentence_piece() -> Tokenizer:
    """As Llama 2: no words, merges across blanks, bytes for what it does not know."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    trainer = trainers.BpeTrainer(vocab_size=60, special_tokens=["<unk>", "</s>"])
    made.train_from_iterator(["The cat sat on the mat. The end of the caf"], trainer)
    pipeline = json.loads(made.to_str())
    vocabulary = pipeline["model"]["vocab"]
    vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    pipeline["model"]["byte_fallback"] = True
    made = Tokenizer.from_str(json.dumps(pipeline))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    made.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "word piece": word_piece,
    "unigram": unigram,
    "sentence piece": sentence_piece,
}


def saved(folder: Path, made: Tokenizer, **names: str) -> tuple[Path, int]:
    """The folder of a tokenizer, and how many ids it has."""
    known = made.get_vocab()
    eos = next(name for name in ("<|endoftext|>", "[SEP]", "</s>") if name in known)
    named: dict[str, Any] = {"eos_token": eos}
    if unknown := known.keys() & {"[UNK]", "<unk>"}:
        named["unk_token"] = unknown.pop()
    PreTrainedTokenizerFast(tokenizer_object=made, **(named | names)).save_pretrained(folder)
    return folder, max(known.values()) + 1
