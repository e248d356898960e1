"""The definition of a tokenizer of the library ``tokenizers``: all that decides its ids.

A pipeline is the JSON of such a tokenizer: normalizer, pre-tokenizer, added tokens and model, and
parts that decide no id: those that frame, truncate, pad or decode.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Int, UInt16

_NAMES = {"normalizer": "normalizers", "pre_tokenizer": "pretokenizers"}
_NAMES |= {"post_processor": "processors"}
_DECIDE = ("added_tokens", "normalizer", "pre_tokenizer", "model")
# Pieces of at least 4,096 characters, each but the first beginning with a lone space, or with
# a lone space or line feed.
_AT_SPACES = re.compile(r".{4096}.*?\S(?= \S)|.+", re.DOTALL)
_AT_BLANKS = re.compile(r".{4096}.*?\S(?=[ \n]\S)|.+", re.DOTALL)
# They change a character by itself, or with combining characters; none combines with a character
# before a space. The second may turn a character into a blank, or into nothing.
_SAME_BLANKS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase"}
_LOCAL = {*_SAME_BLANKS, "StripAccents", "BertNormalizer", "Nmt", "Precompiled"}
_WORDS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}
_WITHIN_WORDS = {"Digits", "Punctuation", "Split", "CharDelimiterSplit", "ByteLevel", "Metaspace"}

Json = Mapping[str, Any]


def definition(pipeline: Json) -> str:
    """Return all that decides ids, as one line of JSON.

    Special tokens count by content and id alone, as texts never contain them. Settings that are
    null, false or empty are left out, since later versions of the library add some.
    """
    parts = {key: pipeline.get(key) for key in _DECIDE}
    parts["added_tokens"] = [
        {key: token[key] for key in ("content", "id", "special")} if token["special"] else token
        for token in pipeline.get("added_tokens", [])
    ]
    return json.dumps(_meaningful(parts), sort_keys=True)


def _meaningful(node: Any) -> Any:  # noqa: ANN401  any JSON
    if not isinstance(node, dict):
        return node if not isinstance(node, list) else [_meaningful(part) for part in node]
    parts = {key: _meaningful(part) for key, part in node.items() if key != "trim_offsets"}
    return {
        key: part
        for key, part in parts.items()
        if part is not None and part not in ("", [], {}) and part is not False
    }


def of_text(pipeline: Json) -> Json:
    """Return the pipeline in which no text contains a special token, except that of unknown text.

    Only a model that looks up whole words or pieces may otherwise produce one: special tokens get
    names with a character that no text contains.
    """
    model = pipeline["model"]
    vocabulary = model["vocab"]
    if model["type"] == "BPE" and not model.get("ignore_merges"):
        return pipeline
    pieces = vocabulary if isinstance(vocabulary, dict) else [piece for piece, _ in vocabulary]
    unknown = unknown_id(pipeline, {piece: number for number, piece in enumerate(pieces)})
    kept = {model.get("unk_token"), *[p for n, p in enumerate(pieces) if n == unknown]}
    added = pipeline.get("added_tokens", [])
    hidden = {token["content"] for token in added if token["special"]} & {*pieces} - kept
    if isinstance(vocabulary, dict):
        renamed: Any = {_renamed(p, hidden): number for p, number in vocabulary.items()}
    else:
        renamed = [[_renamed(piece, hidden), score] for piece, score in vocabulary]
    others = [token for token in added if token["content"] not in hidden]
    return {**pipeline, "added_tokens": others, "model": {**model, "vocab": renamed}}


def _renamed(piece: str, hidden: set[str]) -> str:
    return f"\uffff{piece}" if piece in hidden else piece


def unknown_id(pipeline: Json, ids: Mapping[str, int]) -> int | None:
    """Return the id of unknown text, if the model has one."""
    model = pipeline["model"]
    number = model.get("unk_id")
    return int(number) if number is not None else ids.get(model.get("unk_token") or "")


def closing_id(pipeline: Json) -> int | None:
    """Return the id of the special token that the pipeline appends to a text, if it does."""
    for part in reversed(_parts(pipeline, "post_processor")):
        if "sep" in part:
            return int(part["sep"][1])
        last = part.get("single", [{}])[-1].get("SpecialToken")
        if last:
            return int(part["special_tokens"][last["id"]]["ids"][0])
    return None


def cuts(pipeline: Json) -> re.Pattern[str] | None:
    """Return pieces of a text whose concatenated ids are those of the text; None if unknown.

    A text may be cut before a single space if the normalizer changes characters one by one, the
    pre-tokenizer begins a word there as at the beginning of a text, and no added token contains a
    blank. Runs of blanks are tokens in byte-level models, where they must equal those of the text.
    """
    first, *rest = _parts(pipeline, "pre_tokenizer") or [{"type": None}]
    known = _SAME_BLANKS if first["type"] == "ByteLevel" else _LOCAL
    local = all(part["type"] in known for part in _parts(pipeline, "normalizer"))
    within = all(part["type"] in _WORDS | _WITHIN_WORDS for part in rest)
    if not local or not within or any(map(_has_blank, pipeline.get("added_tokens", []))):
        return None
    if first["type"] in _WORDS:
        return _AT_BLANKS
    if first["type"] == "ByteLevel" and first.get("use_regex", True):
        return _AT_SPACES if first["add_prefix_space"] else _AT_BLANKS
    return _AT_SPACES if first["type"] == "Metaspace" and first.get("split", True) else None


def _has_blank(token: Json) -> bool:
    """Return whether an added token may contain a blank of a text; special ones never do."""
    blank = token["lstrip"] or token["rstrip"] or re.search(r"\s", token["content"])
    return bool(blank) and not token["special"]


def _parts(pipeline: Json, kind: str) -> list[dict[str, Any]]:
    """Return the steps of a part of the pipeline, those of sequences in their order."""
    node = pipeline.get(kind)
    if node is None:
        return []
    if node["type"] != "Sequence":
        return [node]
    return [step for part in node[_NAMES[kind]] for step in _parts({kind: part}, kind)]


def lengths(ends: Int[np.ndarray, "n"], size: int) -> UInt16[np.ndarray, "n"]:
    """Return how many characters of a text each token stands for; each character counts once.

    A token stands for the text between the end of the tokens before it and its own end, so that a
    character of several tokens counts on the first of them, and dropped characters on the next
    token. Counts above 65,535 continue on the tokens that follow.

    Args:
        ends: End of each token in the text, in characters.
        size: Number of characters of the text.
    """
    if not ends.size:
        return np.empty(0, np.uint16)
    most = np.iinfo(np.uint16).max
    ends = np.maximum.accumulate(ends)
    ends[-1] = size
    room = most * np.arange(1, len(ends) + 1)
    ends = np.minimum.accumulate(np.minimum(ends - room, 0)) + room
    return np.diff(ends, prepend=0).astype(np.uint16)
