"""The sizes at which training steps are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A network and a batch.

    Attributes:
        name: short name, part of the result's file name.
        vocabulary: clean tokens; the mask comes on top.
        length: tokens of a sequence.
        batch: sequences of a step.
        depth: blocks.
        dim: width.
        heads: attention heads.
    """

    name: str
    vocabulary: int
    length: int
    batch: int
    depth: int
    dim: int
    heads: int

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch * self.length


SIZES = {
    size.name: size
    for size in (
        Size("char", vocabulary=27, length=256, batch=16, depth=4, dim=256, heads=4),
        Size("bpe-8k", vocabulary=8192, length=256, batch=8, depth=6, dim=256, heads=4),
        Size("gpt2", vocabulary=50257, length=256, batch=8, depth=6, dim=384, heads=6),
        Size("gpt2-small", vocabulary=50257, length=1024, batch=32, depth=12, dim=768, heads=12),
        Size("char-85m", vocabulary=27, length=256, batch=256, depth=12, dim=768, heads=12),
        Size("tiny", vocabulary=96, length=16, batch=8, depth=2, dim=16, heads=2),
        Size("small-64", vocabulary=27, length=64, batch=32, depth=2, dim=128, heads=4),
        Size("small-128", vocabulary=27, length=128, batch=16, depth=2, dim=128, heads=4),
    )
}
