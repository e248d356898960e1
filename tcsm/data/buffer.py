"""A buffer: samples of a frozen model, with the reward of each.

W ∝ e^{log_weight} · tilt(reward)

is the importance weight of a sequence in training (10.2). ``log_weight`` corrects for the
distribution that it was drawn from: log p_base − log p_drawn, 0 where the base model itself drew.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float64, Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from tcsm.data.tokenfile import Piece, describe, open_tokens, write_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.io.atomic import write_atomic
from tcsm.io.layout import REWARDS, TOKENS


@dataclass(frozen=True)
class Buffer:
    """N sequences of L tokens.

    Attributes:
        tokens: The sequences.
        reward: R of each sequence.
        log_weight: Log importance weight of each sequence without its reward, in nats.
        lengths: Tokens of each of the P texts that share a row in equal parts, the rest of a part
            being padding; None for rows of one text without padding.
        prompts: Tokens of the prompt at the beginning of each of these texts.
    """

    tokens: Int64[Tensor, "N L"]
    reward: Float64[Tensor, "N"]
    log_weight: Float64[Tensor, "N"]
    lengths: Int64[Tensor, "N P"] | None = None
    prompts: Int64[Tensor, "N P"] | None = None

    @property
    def texts(self) -> int:
        """Return P, the number of texts that share a row."""
        return 1 if self.lengths is None else self.lengths.shape[1]

    def real(self, rows: Int64[Tensor, "B"]) -> Bool[Tensor, "B L"] | None:
        """Return which positions of some rows are neither prompt nor padding; None if all are."""
        if self.lengths is None:
            return None
        lengths = self.lengths[rows]
        place = torch.arange(self.tokens.shape[1] // lengths.shape[1])
        real = place < lengths[..., None]
        if self.prompts is not None:
            real &= place >= self.prompts[rows, :, None]
        return real.flatten(1)

    def __len__(self) -> int:
        return len(self.tokens)


def unweighted(tokens: Int64[Tensor, "N L"], reward: Float64[Tensor, "N"]) -> Buffer:
    """Return a buffer of draws from the base model itself."""
    return Buffer(tokens, reward, torch.zeros_like(reward))


def write_buffer(folder: Path, buffer: Buffer, tokenizer: Tokenizer, title: str) -> str:
    """Write both files of a buffer, the token file first; return the digest of both.

    Args:
        folder: Folder of the files.
        buffer: The buffer.
        tokenizer: Tokenizer of the sequences.
        title: Title of the corpus in the token file.

    Raises:
        InputError: The disk is full or cannot be written.
    """
    rows = buffer.tokens.cpu().numpy().astype(tokenizer.dtype)
    characters = tokenizer.characters(rows)
    pieces = (Piece(row, int(count)) for row, count in zip(rows, characters, strict=True))
    begun = describe(tokenizer, title, "collected")
    header = write_tokens(folder / TOKENS, pieces, begun, "out")
    tensors = {"reward": buffer.reward.cpu(), "log_weight": buffer.log_weight.cpu()}
    optional = {"lengths": buffer.lengths, "prompts": buffer.prompts}
    tensors |= {name: part.cpu() for name, part in optional.items() if part is not None}
    facts = {"tokens_sha256": header.sha256, "sha256": _digest(tensors, header.sha256)}
    write_atomic(folder / REWARDS, save(tensors, {"tcsm": json.dumps(facts)}))
    return facts["sha256"]


def read_buffer(folder: Path, tokenizer: Tokenizer) -> Buffer:
    """Return the buffer of a folder that stage collect wrote.

    Raises:
        InputError: A file is missing, damaged, of another tokenizer, or does not fit the other
            file.
    """
    tokens = open_tokens(folder / TOKENS, tokenizer, "collect")
    path = folder / REWARDS
    try:
        with safe_open(path, framework="pt") as file:
            facts = dict(json.loads((file.metadata() or {})["tcsm"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            reward, log_weight = tensors["reward"], tensors["log_weight"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{path}: cannot be read ({reason}); run collect again") from None
    if facts.get("sha256") != _digest(tensors, tokens.header.sha256):
        raise InputError(f"{path}: damaged, or not of the {TOKENS} beside it; run collect again")
    rows = torch.from_numpy(tokens.tokens.astype("int64")).view(len(reward), -1)
    return Buffer(rows, reward, log_weight, tensors.get("lengths"), tensors.get("prompts"))


def _digest(tensors: dict[str, Tensor], tokens_sha256: str) -> str:
    """Return the SHA-256 of weights and tokens together."""
    total = hashlib.sha256(tokens_sha256.encode())
    for name in sorted(tensors):
        total.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return total.hexdigest()
