"""Models of `transformers` as networks of diffusion models: causal ones are made bidirectional.

A causal checkpoint reads with an attention mask of its own making; here it is given one that
hides nothing. Its logits of the next token become those of the position itself, either by further
training alone or, with ``shift``, by reading each one position earlier, after a start symbol.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from tcsm import huggingface
from tcsm.errors import InputError
from tcsm.nets import diffusion_lm
from tcsm.nets.hub import Hub, _require_head
from tcsm.nets.probe import SMALL, check_sight


class Backbone(Hub):
    """A checkpoint of the Hub or of a local folder, bidirectional, to be trained.

    It is tested once: through our ids it gives its own logits; a causal one sees no future before
    it is made bidirectional, and sees it afterwards.

    Args:
        name: Name of the repository, or a folder.
        vocabulary: V.
        causal: Whether it is GPT-like; it is made bidirectional.
        mask: Its id of the mask; None for LLaDA's or Dream's own, and to append an embedding to
            others, the mean of all.
        tokens: Its id of each clean token, None if its ids are ours.
        start: Its id before a text, None for none.
        end: Its id after a text, None for none.
        shift: Whether logits are read one position earlier; this needs ``start``.
        opening: Training passes in which a causal model's sight of the future grows from nothing
            to all; 0 to see all at once.
        length: Largest length of a text, None for any.
        lora: Rank of LoRA's matrices, which alone are trained then; 0 to train all weights.
        revision: The branch, tag or commit on the Hub.
        dtype: Type of the loaded weights, whatever the files hold.

    Raises:
        InputError: No such checkpoint, an incomplete one, one of another kind or of fewer ids or
            positions than needed, or a family that cannot be made bidirectional.
    """

    opened: Tensor
    masked, shift, opening = False, False, 0

    def __init__(  # noqa: PLR0913 (a checkpoint has that many customs)
        self,
        *,
        name: str | None,
        vocabulary: int,
        causal: bool,
        mask: int | None = None,
        tokens: Sequence[int] | None = None,
        start: int | None = None,
        end: int | None = None,
        shift: bool = False,
        opening: int = 0,
        length: int | None = None,
        lora: int = 0,
        revision: str = "main",
        dtype: str = "float32",
    ) -> None:
        sizes = (vocabulary, None if tokens is None else len(tokens))
        _require(name, sizes, start, shift, opening=opening, lora=lora)
        name = str(name)
        mask = diffusion_lm.mask_of(name, shift) if mask is None else mask
        with torch.device("cpu"):  # also where parts are built without memory, to be counted
            lm = load(name, causal, revision, dtype)
        place = f"net.name: {name} ({type(lm).__name__}) cannot be a network"
        with torch.device("cpu"), huggingface.one_line(place), huggingface.quiet():
            clean = list(range(vocabulary) if tokens is None else tokens)
            _require_room(name, clean, len(lm.get_input_embeddings().weight))
            state = append(lm) if mask is None else mask
            before, after = ([] if token is None else [token] for token in (start, end))
            super().__init__(lm, [*clean, state], vocabulary, causal, (before, after))
            _require_head(lm.config, name)
            check_sight(self, name)
            self._turn(name, shift, opening)
            self._require_length(name, length)
            if lora:
                self.lm = adapt(self.lm, lora)

    @torch.no_grad()
    def _turn(self, name: str, shift: bool, opening: int) -> None:
        """Make a causal model bidirectional.

        Raises:
            InputError: Its family cannot be: its logits change where our mask hides the future as
                its own does, or the future stays hidden.
        """
        self.register_buffer("opened", torch.zeros((), dtype=torch.int64), opening > 0)
        self.masked, self.causal = self.causal, False
        if self.masked:
            x = torch.arange(4)[None, : self.longest or 4] % self.vocabulary
            other = x.index_fill(
                1, x.new_tensor([x.shape[1] - 1]), (1 + int(x[0, -1])) % self.vocabulary
            )
            everywhere = torch.ones_like(x, dtype=torch.bool)
            self.masked = False
            own = self(x, None, everywhere)
            self.masked, self.opening = True, 1
            closed = self(x, None, everywhere)
            self.opening = 0
            opened, moved = (self(y, None, everywhere)[0] for y in (x, other))
            same = torch.allclose(own, closed, rtol=SMALL, atol=SMALL * float(own.abs().max()))
            blind = min(x.shape[1], self.vocabulary) > 1 and torch.equal(opened, moved)
            if not same or blind:
                kind = type(self.lm).__name__
                raise InputError(f"net.name: {name} is a {kind}, which cannot see the future")
        self.shift, self.opening = shift, opening

    def _require_length(self, name: str, length: int | None) -> None:
        """Check that texts fit the model.

        Raises:
            InputError: They do not.
        """
        if length and self.longest is not None and length > self.longest:
            raise InputError(
                f"net.length must be {self.longest} or less, the positions of {name}, found "
                f"{length}: choose a shorter data.length"
            )

    def features(
        self, x: Int[Tensor, "B L"], t: Tensor | None, rows: Int[Tensor, "n"]
    ) -> Float[Tensor, "n V"]:
        """Return the model's logits; the head is the identity."""
        if not (self.masked or self.shift):
            return super().features(x, t, rows)
        before, after = (part.expand(len(x), -1) for part in (self.before, self.after))
        ids = torch.cat([before, self.numbers[x], after], 1)
        seen = {"attention_mask": self._sight(ids)} if self.masked else {}
        first = len(self.before) - self.shift
        logits = self.lm(input_ids=ids, **seen).logits[:, first : first + x.shape[1]]
        selected: Tensor = logits[..., self.numbers[: self.vocabulary]]
        return selected.flatten(0, 1).index_select(0, rows)

    def _sight(self, ids: Int[Tensor, "B M"]) -> Float[Tensor, "B 1 M M"]:
        """Return what is added to scores of attention: −∞ where the future is still closed."""
        size, kind = ids.shape[1], next(self.lm.parameters()).dtype
        shape = (len(ids), 1, size, size)
        ahead: int | Tensor = size
        if self.opening:
            ahead = size * self.opened // self.opening
            if self.lm.training:
                self.opened += 1
        place = torch.arange(size, device=ids.device)
        hidden = place > place[:, None] + ahead
        closed = torch.zeros(size, size, dtype=kind, device=ids.device)
        return closed.masked_fill(hidden, torch.finfo(kind).min).expand(shape)


def load(name: str, causal: bool, revision: str, dtype: str) -> Any:  # noqa: ANN401
    """Return a model of `transformers`, all weights of which come from its files.

    Raises:
        InputError: It cannot be loaded.
    """
    if (own := diffusion_lm.read_config(name)) is not None:
        return diffusion_lm.load(name, own, dtype)
    kind = "AutoModelForCausalLM" if causal else "AutoModelForMaskedLM"
    return huggingface.model(kind, "net", name, revision, dtype)


def append(lm: Any) -> int:  # noqa: ANN401
    """Append the mask to a model's embedding, as the mean of all rows, and return its id."""
    size = len(lm.get_input_embeddings().weight)
    lm.resize_token_embeddings(size + 1, mean_resizing=False)
    with torch.no_grad():
        for part in (lm.get_input_embeddings(), lm.get_output_embeddings()):
            if part is not None and len(part.weight) == size + 1:
                part.weight[size] = part.weight[:size].mean(0)
    return size


def adapt(lm: nn.Module, rank: int) -> nn.Module:
    """Return a model with LoRA's matrices of a rank beside its linear maps; only they are trained.

    Raises:
        InputError: The library ``peft`` is not installed.
    """
    try:
        import peft  # noqa: PLC0415  optional
    except ImportError as error:
        raise InputError(
            f"net.lora: found {rank}, which needs the library peft (pip install peft)"
        ) from error
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    adapted: nn.Module = peft.inject_adapter_in_model(settings, lm)
    for key, weight in adapted.named_parameters():
        weight.requires_grad_("lora_" in key)
    return adapted


def _require_room(name: str, tokens: Sequence[int], size: int) -> None:
    """Check that a checkpoint knows all clean tokens.

    Raises:
        InputError: It does not.
    """
    if max(tokens, default=0) >= size:
        raise InputError(
            f"net.vocabulary: {name} has {size} token ids, but the tokenizer needs id "
            f"{max(tokens)}: take the checkpoint's own tokenizer"
        )


def _require(
    name: str | None, sizes: tuple[int, int | None], start: int | None, shift: bool, **counts: int
) -> None:
    """Check what needs no checkpoint.

    Raises:
        InputError: A value that cannot be.
    """
    vocabulary, given = sizes
    faults = {
        "net.name: found null, wanted a folder or a repository of the Hub": name is None,
        f"net.tokens must be {vocabulary} numbers, one a clean token": (
            given not in (None, vocabulary)
        ),
        "net.shift: found true, which needs net.start, the id before a text": (
            shift and start is None
        ),
        **{f"net.{key} must be 0 or more, found {n}": n < 0 for key, n in counts.items()},
    }
    for fault, wrong in faults.items():
        if wrong:
            raise InputError(fault)
