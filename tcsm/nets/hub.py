"""Networks of the library `transformers` over our alphabet: GPT-2 and BERT, fresh or pretrained.

A checkpoint numbers its tokens in its own way: ``tokens[v]`` is its number of our state v. It
reads these numbers through its own embedding, which may scale or drop; its logits lose all other
columns.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm import huggingface
from tcsm.errors import InputError
from tcsm.nets.base import Net
from tcsm.nets.probe import check_sight

_HEADLESS = re.compile(r"(?<!Head)(?<!Heads)Model$|Classification$|Answering$|Choice$|Prediction$")


class Hub(Net):
    """A model with a language-modeling head, seen as a network of ours.

    Args:
        lm: takes ``input_ids`` and returns ``logits``, as all of the library do.
        tokens: its number of each of our states, the V clean ones first; these differ.
        vocabulary: V.
        causal: whether it sees the past alone.
        around: its numbers of what it wants before and after a text, such as [CLS] and [SEP].

    Raises:
        InputError: a number that it does not know, one that stands for two tokens, fewer than V.
    """

    def __init__(
        self,
        lm: nn.Module,
        tokens: Sequence[int],
        vocabulary: int,
        causal: bool,
        around: tuple[Sequence[int], Sequence[int]] = ((), ()),
    ) -> None:
        super().__init__()
        self.lm, self.vocabulary, self.states = lm, vocabulary, len(tokens)
        self.causal, self.timed, self.chunk, self.head = causal, False, None, nn.Identity()
        _require_numbers(tokens, vocabulary, around, len(self._table.weight))
        self._table.padding_idx = None  # a state that it pads with learns as the others do
        for name, part in zip(("numbers", "before", "after"), (tokens, *around), strict=True):
            self.register_buffer(name, torch.tensor(list(part), dtype=torch.int64), False)
        places = huggingface.places(lm)
        self.longest = None if places is None else places - sum(map(len, around))

    numbers: Tensor
    before: Tensor
    after: Tensor

    @property
    def embedding(self) -> Float[Tensor, "S D"]:
        """What the model makes of each of our states before its first layer."""
        rows: Tensor = self._table(self.numbers)
        return rows

    @property
    def _table(self) -> Any:  # noqa: ANN401  an embedding of the library, of any class
        return self.lm.get_input_embeddings()  # type: ignore[operator]

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Its logits; the head changes nothing."""
        before, after = (part.expand(len(x), -1) for part in (self.before, self.after))
        logits = self.lm(input_ids=torch.cat([before, self.numbers[x], after], 1)).logits
        first, columns = len(self.before), self.numbers[: self.vocabulary]
        ours: Tensor = logits[:, first : first + x.shape[1], columns]
        return ours.flatten(0, 1).index_select(0, rows)

    def logits_in(
        self, table: Float[Tensor, "R D"], x: Int[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Logits at all sites, read with row x^i of a table in place of a token's embedding."""
        first, inner = len(self.before), functional.embedding(x, table)
        behind = first + x.shape[1]

        def put(_: nn.Module, __: Any, out: Tensor) -> Tensor:  # noqa: ANN401
            return torch.cat([out[:, :first], inner.to(out.dtype), out[:, behind:]], 1)

        pad = getattr(self.lm.config, "pad_token_id", None)  # positions may leave it out
        state = next(v for v, number in enumerate(self.numbers.tolist()) if number != pad)
        hook = self._table.register_forward_hook(put)
        try:
            logits: Tensor = self(torch.full_like(x, state), None, torch.ones_like(x).bool())
        finally:
            hook.remove()
        return logits


def _require_head(config: Any, name: str) -> None:  # noqa: ANN401
    """Raises InputError if a checkpoint was saved by a model that writes no tokens.

    Its files may hold all weights all the same, where the head is that of the embedding.
    """
    saved = (getattr(config, "architectures", None) or [""])[0]
    if _HEADLESS.search(saved):
        raise InputError(
            f"net.name: {name} is of a {saved}, as its config.json says, which has no head for "
            "tokens; take a checkpoint that was saved with one"
        )


def _require_numbers(
    tokens: Sequence[int], vocabulary: int, around: tuple[Sequence[int], Sequence[int]], size: int
) -> None:
    """Raises InputError unless all numbers are below ``size`` and clean tokens have their own."""
    if vocabulary < 1:
        raise InputError(f"net.vocabulary must be 1 or more, found {vocabulary}")
    known = [*tokens, *around[0], *around[1]]
    if len(tokens) < vocabulary or not all(0 <= token < size for token in known):
        raise InputError(
            f"net.tokens must be {vocabulary} or more numbers below {size}, found "
            f"{len(tokens)}, the largest {max(known, default=None)}"
        )
    twice = [token for token, count in Counter(tokens[:vocabulary]).items() if count > 1]
    if twice:
        raise InputError(
            f"net.tokens: {twice[0]} stands for several tokens; each needs a number of its own"
        )


class GPT2(Hub):
    """A GPT-2 with fresh weights; its state V is the start symbol.

    Args:
        vocabulary: V.
        dim: width.
        depth: blocks.
        heads: attention heads.
        length: the most tokens that it can place.
    """

    def __init__(self, *, vocabulary: int, dim: int, depth: int, heads: int, length: int) -> None:
        from transformers import GPT2Config, GPT2LMHeadModel  # noqa: PLC0415 (seconds to load)

        config = GPT2Config(
            vocab_size=vocabulary + 1,
            n_embd=dim,
            n_layer=depth,
            n_head=heads,
            n_positions=length,
            tie_word_embeddings=False,
            use_cache=False,
            bos_token_id=vocabulary,
            eos_token_id=vocabulary,
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
        )
        super().__init__(GPT2LMHeadModel(config), range(vocabulary + 1), vocabulary, causal=True)


class BERT(Hub):
    """A BERT with fresh weights; its state V is the mask. Arguments as for `GPT2`."""

    def __init__(self, *, vocabulary: int, dim: int, depth: int, heads: int, length: int) -> None:
        from transformers import BertConfig, BertForMaskedLM  # noqa: PLC0415 (seconds to load)

        config = BertConfig(
            vocab_size=vocabulary + 1,
            hidden_size=dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=4 * dim,
            max_position_embeddings=length,
            tie_word_embeddings=False,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        lm = BertForMaskedLM(config)
        lm.cls.predictions.bias.requires_grad_(False)  # a second one, which its forward passes by
        lm.config.pad_token_id = (
            None  # nothing is padded; it would warn of texts that begin with 0
        )
        super().__init__(lm, range(vocabulary + 1), vocabulary, causal=False)


class Pretrained(Hub):
    """A checkpoint of the Hub or of a local folder; in safetensors, other files could run code.

    It is tried once: its logits must be numbers, and the last token move earlier ones as
    ``causal`` says.

    Args:
        name: of the repository, or a folder.
        vocabulary: V.
        causal: GPT-like, else BERT-like.
        extra: its number of our state V, the start symbol or the mask.
        tokens: its number of each clean token, None if it counts as we do.
        before: its numbers of what it wants before a text.
        after: and after it.
        revision: the branch, tag or commit on the Hub.
        dtype: of its weights here, whatever they are saved in.

    Raises:
        InputError: no such checkpoint, or not all of it; it is of another kind.
    """

    def __init__(  # noqa: PLR0913 (a checkpoint has that many customs)
        self,
        *,
        name: str,
        vocabulary: int,
        causal: bool,
        extra: int,
        tokens: Sequence[int] | None = None,
        before: Sequence[int] = (),
        after: Sequence[int] = (),
        revision: str = "main",
        dtype: str = "float32",
    ) -> None:
        if tokens is not None and len(tokens) != vocabulary:
            raise InputError(
                f"net.tokens must be {vocabulary} numbers, one a clean token, found {len(tokens)}"
            )
        kind = "AutoModelForCausalLM" if causal else "AutoModelForMaskedLM"
        lm = huggingface.model(kind, "net", name, revision, dtype)
        clean = range(vocabulary) if tokens is None else tokens
        with huggingface.one_line(f"net.name: {name} cannot be asked"), huggingface.quiet():
            super().__init__(lm, [*clean, extra], vocabulary, causal, (before, after))
            _require_head(lm.config, name)
            check_sight(self, name)
