"""Parse a template such as "in the beginning ____": known tokens and blanks."""

import re

import torch

from tcsm.data.encoding import check_text
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.samplers.conditioning import Conditioning

BLANK = "_"


def parse_template(template: str | None, tokenizer: Tokenizer, length: int) -> Conditioning | None:
    """Return the tokens of a template; blanks and the rest of the length are masked.

    Text between blanks is tokenized by itself.

    Raises:
        InputError: A template of more than ``length`` tokens, or in other symbols.
    """
    if template is None:
        return None
    check_text(template, "sampling.template")
    tokens, fixed = torch.zeros(length, dtype=torch.int64), torch.zeros(length, dtype=torch.bool)
    at = 0
    for part in re.findall(f"{BLANK}+|[^{BLANK}]+", template):
        here = _ids(part, tokenizer)
        if at + len(here) > length:
            raise InputError(
                f"sampling.template must be {length} tokens or less, data.length; "
                f"{part!r} ends at token {at + len(here)}"
            )
        if not part.startswith(BLANK):
            tokens[at : at + len(here)], fixed[at : at + len(here)] = here, True
        at += len(here)
    return Conditioning(tokens, fixed)


def _ids(part: str, tokenizer: Tokenizer) -> torch.Tensor:
    if part.startswith(BLANK):
        return torch.zeros(len(part), dtype=torch.int64)
    try:
        return torch.from_numpy(tokenizer.encode(part).astype("int64"))
    except InputError as error:
        raise InputError(f"sampling.template, in {part!r}: {error}") from None
