"""Networks of the library `transformers` over our alphabet: GPT-2 and BERT, fresh or pretrained.

A checkpoint numbers its tokens in its own way: ``tokens[v]`` is its number of our state v. Its
embeddings of these states become our table ``embedding``; its logits lose all other columns.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from tcsm.errors import InputError
from tcsm.nets.base import Net


class Hub(Net):
    """A model with a language-modeling head, seen as a network of ours.

    Args:
        lm: takes ``inputs_embeds`` and returns ``logits``, as all of the library do.
        tokens: its number of each of our states, the V clean ones first.
        vocabulary: V.
        causal: whether it sees the past alone.
        around: its numbers of what it wants before and after a text, such as [CLS] and [SEP].

    Raises:
        InputError: a number that it does not know, or fewer than V.
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
        table: Tensor = lm.get_input_embeddings().weight  # type: ignore[operator]
        known = [*tokens, *around[0], *around[1]]
        if len(tokens) < vocabulary or not all(0 <= token < len(table) for token in known):
            raise InputError(
                f"net.tokens must be {vocabulary} or more numbers below {len(table)}, found "
                f"{len(tokens)}, the largest {max(known, default=None)}"
            )
        self.vocabulary, self.states = vocabulary, len(tokens)
        self.causal, self.timed, self.chunk, self.head = causal, False, None, nn.Identity()
        self.embedding = nn.Parameter(table.detach()[list(tokens)].clone())
        before, after = (table.detach()[list(part)].clone() for part in around)
        self.register_buffer("before", before)
        self.register_buffer("after", after)
        self.register_buffer("columns", torch.tensor(list(tokens)[:vocabulary]))
        places: int | None = getattr(lm.config, "max_position_embeddings", None)
        self.longest = None if places is None else places - len(before) - len(after)
        lm.set_input_embeddings(nn.Identity())  # type: ignore[operator]
        self.lm = lm

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Its logits; the head changes nothing."""
        inner = functional.embedding(x, self.embedding)
        parts = [self._spread(self.before, x), inner, self._spread(self.after, x)]
        logits = self.lm(inputs_embeds=torch.cat(parts, 1)).logits
        first = len(self.before)  # type: ignore[arg-type]
        ours: Tensor = logits[:, first : first + x.shape[1], self.columns]
        return ours.flatten(0, 1).index_select(0, rows)

    def _spread(self, part: Tensor | nn.Module, x: Tensor) -> Tensor:
        assert isinstance(part, Tensor)
        return part.expand(len(x), -1, -1)


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
        super().__init__(lm, range(vocabulary + 1), vocabulary, causal=False)


class Pretrained(Hub):
    """A checkpoint of the Hub or of a local folder; in safetensors, other files could run code.

    Args:
        name: of the repository, or a folder.
        vocabulary: V.
        causal: GPT-like, else BERT-like.
        extra: its number of our state V, the start symbol or the mask.
        tokens: its number of each clean token, None if it counts as we do.
        before: its numbers of what it wants before a text.
        after: and after it.
        revision: the branch, tag or commit on the Hub.

    Raises:
        InputError: no such checkpoint.
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
    ) -> None:
        import transformers  # noqa: PLC0415 (seconds to load)

        kind: Any = (
            transformers.AutoModelForCausalLM if causal else transformers.AutoModelForMaskedLM
        )
        try:
            lm = kind.from_pretrained(
                name, revision=revision, use_safetensors=True, trust_remote_code=False
            )
        except (OSError, ValueError) as error:
            raise InputError(
                f"net.name: {name} cannot be loaded: {error}".split("\n")[0]
            ) from None
        clean = range(vocabulary) if tokens is None else tokens
        super().__init__(lm, [*clean, extra], vocabulary, causal, (before, after))
