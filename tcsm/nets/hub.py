"""Networks of the library `transformers` on our token ids: GPT-2 and BERT, fresh or pretrained.

A checkpoint has its own token ids: ``tokens[v]`` is its id of our state v. The model reads these
ids with its own embedding, which may include scaling or dropout; other columns of its logits are
dropped.
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
    """A model with a language-modeling head as a network of this package.

    Args:
        lm: Takes ``input_ids`` and returns ``logits``, as all models of the library do.
        tokens: Its id of each of our states, the V clean ones first; all different.
        vocabulary: V.
        causal: Whether a position sees only earlier positions.
        around: Its ids before and after a text, such as [CLS] and [SEP].

    Raises:
        InputError: An id that the model lacks, an id for two tokens, or fewer than V ids.
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
        self._table.padding_idx = (
            None  # otherwise the state used for padding would get no gradient
        )
        for name, part in zip(("numbers", "before", "after"), (tokens, *around), strict=True):
            self.register_buffer(name, torch.tensor(list(part), dtype=torch.int64), False)
        places = huggingface.places(lm)
        self.longest = None if places is None else places - sum(map(len, around))

    numbers: Tensor
    before: Tensor
    after: Tensor

    @property
    def embedding(self) -> Float[Tensor, "S D"]:
        """Return the embeddings of our states that enter the first layer."""
        rows: Tensor = self._table(self.numbers)
        return rows

    @property
    def _table(self) -> Any:  # noqa: ANN401  an embedding of the library, of any class
        return self.lm.get_input_embeddings()  # type: ignore[operator]

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Return the model's logits; the head is the identity."""
        before, after = (part.expand(len(x), -1) for part in (self.before, self.after))
        logits = self.lm(input_ids=torch.cat([before, self.numbers[x], after], 1)).logits
        first, columns = len(self.before), self.numbers[: self.vocabulary]
        selected: Tensor = logits[:, first : first + x.shape[1], columns]
        return selected.flatten(0, 1).index_select(0, rows)

    def logits_in(
        self, table: Float[Tensor, "R D"], x: Int[Tensor, "B L"]
    ) -> Float[Tensor, "n V"]:
        """Return logits at all positions, with row x^i of a table in place of the embedding."""
        first, inner = len(self.before), functional.embedding(x, table)
        behind = first + x.shape[1]

        def put(_: nn.Module, __: Any, out: Tensor) -> Tensor:  # noqa: ANN401
            return torch.cat([out[:, :first], inner.to(out.dtype), out[:, behind:]], 1)

        pad = getattr(self.lm.config, "pad_token_id", None)  # position ids may skip padding
        state = next(v for v, number in enumerate(self.numbers.tolist()) if number != pad)
        hook = self._table.register_forward_hook(put)
        try:
            logits: Tensor = self(torch.full_like(x, state), None, torch.ones_like(x).bool())
        finally:
            hook.remove()
        return logits


def _require_head(config: Any, name: str) -> None:  # noqa: ANN401
    """Check that a checkpoint was saved by a model with a language-modeling head.

    The weights alone cannot show it where the head shares the weights of the embedding.

    Raises:
        InputError: It was not.
    """
    saved = (getattr(config, "architectures", None) or [""])[0]
    if _HEADLESS.search(saved):
        raise InputError(
            f"net.name: {name} is a {saved} by its config.json, which has no language-modeling "
            "head; use a checkpoint that was saved with one"
        )


def _require_numbers(
    tokens: Sequence[int], vocabulary: int, around: tuple[Sequence[int], Sequence[int]], size: int
) -> None:
    """Check that all ids are below ``size`` and that clean tokens have different ids.

    Raises:
        InputError: They are not.
    """
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
        dim: Width.
        depth: Number of blocks.
        heads: Number of attention heads.
        length: Largest length of a sequence.
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
        lm.cls.predictions.bias.requires_grad_(False)  # a copy that its forward does not use
        lm.config.pad_token_id = None  # no padding; else it warns of texts that begin with 0
        super().__init__(lm, range(vocabulary + 1), vocabulary, causal=False)


class Pretrained(Hub):
    """A checkpoint of the Hub or of a local folder, in safetensors (other files could run code).

    It is tested once: its logits must be finite, and the last token must affect earlier logits or
    not, as ``causal`` says.

    Args:
        name: Name of the repository, or a folder.
        vocabulary: V.
        causal: GPT-like if true, else BERT-like.
        extra: Its id of our state V, the start symbol or the mask.
        tokens: Its id of each clean token, None if its ids are ours.
        before: Its ids before a text.
        after: Its ids after a text.
        revision: The branch, tag or commit on the Hub.
        dtype: Type of the loaded weights, whatever the files hold.

    Raises:
        InputError: No such checkpoint, an incomplete one, or one of another kind.
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
        with huggingface.one_line(f"net.name: {name} cannot be evaluated"), huggingface.quiet():
            super().__init__(lm, [*clean, extra], vocabulary, causal, (before, after))
            _require_head(lm.config, name)
            check_sight(self, name)
