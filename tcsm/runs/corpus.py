"""The text of a run: its token files, and whether runs that it learns from share it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tcsm.config import Unbuilt
from tcsm.data.corpora.base import SPLITS, Corpus
from tcsm.data.header import elsewhere
from tcsm.data.source import difference, moved, source_of
from tcsm.data.tokenfile import TokenFile, open_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError
from tcsm.runs.run import Run, hashes


@dataclass(frozen=True)
class Text:
    """The text of a run, in the tokens of its tokenizer.

    Attributes:
        root: Folder of the token files.
        tokenizer: The tokenizer.
        corpus: The corpus that they were made from.
    """

    root: Path
    tokenizer: Tokenizer
    corpus: Unbuilt[Corpus]

    def open(self, split: str) -> TokenFile:
        """Return the token file of a split, checked against tokenizer and corpus.

        Raises:
            InputError: It cannot be used, or was made from another corpus; the key that differs.
        """
        path = self.root / f"{split}.tok"
        tokens, source = open_tokens(path, self.tokenizer), source_of(self.corpus())
        if not tokens.header.source:
            raise InputError(f"{path}: does not say what it was made from; run prepare again")
        if differs := difference(tokens.header.source, source):
            ways = [f"set {line}" for line in moved(tokens.header.source, source)]
            way = " or ".join([*ways, f"run prepare again{elsewhere()}"])
            raise InputError(f"{path}: made from {differs}; {way}")
        return tokens

    def require_same_splits(self, runs: Mapping[str, str | None]) -> dict[str, str]:
        """Return split → SHA-256 of its tokens; check the runs that a training learns from.

        With other cuts, the test split of the same corpus would hold text that they were trained
        on.

        Args:
            runs: key → folder.

        Raises:
            InputError: A run was trained on another cut of the same corpus.
        """
        splits, corpus = hashes(self.root, SPLITS), _uncut(self.corpus)
        for key, folder in runs.items():
            run = Run(Path(folder or "."))
            known = run.record().get("splits_sha256", splits) if folder else splits
            if known != splits and _uncut(run.corpus) == corpus:
                raise InputError(
                    f"{key}: {folder} was trained on other splits of the same corpus; prepare it "
                    "as it was there, or train that run again"
                )
        return splits

    def require_same_corpus(self, reference: str) -> None:
        """Refuse a reference of another corpus: a ratio to it would learn the other text.

        Raises:
            InputError: The reference was trained on another corpus.
        """
        run = Run(Path(reference))
        run.require_trained("reference")
        splits = run.record().get("splits_sha256")
        same = splits is not None and splits == hashes(self.root, splits)
        if same or run.corpus is None:
            return  # the same tokens; their text may have moved
        if differs := difference(source_of(run.corpus()), source_of(self.corpus())):
            raise InputError(f"reference: {reference} was trained on {differs}")


def _uncut(corpus: Unbuilt[Corpus] | None) -> dict[str, object]:
    """Return the configuration of a corpus without the fractions of its splits."""
    plain = {} if corpus is None else corpus.plain
    return {name: value for name, value in plain.items() if name != "fractions"}
