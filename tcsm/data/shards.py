"""Shards: tokenize documents in parts, in several processes, and keep finished parts.

A shard is a token file named by a hash of its texts and its tokenizer, so an existing shard is
always the right one, and an interrupted run continues after the last shard that it wrote.
"""

import hashlib
import multiprocessing
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from tcsm.config.values import MOST_THREADS
from tcsm.data.examples import Document, Example
from tcsm.data.header import Header
from tcsm.data.tokenfile import Piece, TokenFile, open_tokens, write_tokens
from tcsm.data.tokenizers import Tokenizer
from tcsm.errors import InputError

CHARACTERS = 2**22  # least size of a shard, which ends with a document

Texts = tuple[Document, ...]


@dataclass(frozen=True)
class Shards:
    """The tokenization of a split.

    Attributes:
        folder: Folder of the shards until all exist.
        tokenizer: The tokenizer.
        workers: Number of processes; no byte depends on it.
        characters: Smallest number of characters in a shard, except for the last.
    """

    folder: Path
    tokenizer: Tokenizer
    workers: int = 1
    characters: int = CHARACTERS

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= MOST_THREADS:
            raise InputError(f"TCSM_WORKERS must lie in [1, {MOST_THREADS}], found {self.workers}")

    def pieces(self, documents: Iterable[Document], header: Header) -> Iterator[Piece]:
        """Yield the tokens of a split, shard by shard, in the order of its documents."""
        make = partial(_make, self.folder, self.tokenizer, header)
        start, count = time.monotonic(), 0
        for number, path in enumerate(self._paths(make, self._cut(documents)), start=1):
            shard = open_tokens(path, self.tokenizer)
            count += shard.header.count
            pace = count / max(time.monotonic() - start, 1e-3)
            print(
                f"{header.corpus} {header.split}  shard {number}  {count:,} tokens  "
                f"{pace / 1e6:.1f} M tok/s ",
                file=sys.stderr,
            )
            columns = shard.lengths(), shard.roles()
            yield Piece(shard.tokens, shard.header.characters, *columns)

    def _cut(self, documents: Iterable[Document]) -> Iterator[Texts]:
        """Yield the texts of each shard; later ones begin with "" for a separator."""
        texts: list[Document] = []
        first: list[Document] = [""]
        size = 0
        for text in documents:
            texts.append(text)
            size += len(text)
            if size >= self.characters:
                yield tuple(texts)
                first = [""] if isinstance(text, str) else []
                texts, size = list(first), 0
        if texts != first:
            yield tuple(texts)

    def _paths(self, make: Callable[[Texts], Path], shards: Iterable[Texts]) -> Iterator[Path]:
        """Yield the files of the shards; only few wait at a time, to bound memory."""
        if self.workers == 1:
            yield from map(make, shards)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(self.workers, context) as pool:
            waiting: deque[Future[Path]] = deque()
            try:
                for texts in shards:
                    waiting.append(pool.submit(make, texts))
                    if len(waiting) > 2 * self.workers:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def pieces(documents: Iterable[Document], tokenizer: Tokenizer, title: str) -> Iterator[Piece]:
    """Yield the tokens of each document, and the separator between two texts.

    Raises:
        InputError: A symbol that the tokenizer does not know, with the title of the corpus.
    """
    separator = np.array([tokenizer.separator], dtype=tokenizer.dtype)
    none = np.zeros(1, np.uint16) if tokenizer.measures else None
    between = Piece(separator, int(tokenizer.characters(separator[None])[0]), none)
    for number, text in enumerate(documents):
        if number and isinstance(text, str):
            yield between
        try:
            if isinstance(text, Example):
                yield text.piece(tokenizer)
                continue
            tokens, lengths = tokenizer.measured(text)
        except InputError as error:
            way = f"; {tokenizer.advice}" if tokenizer.advice else ""
            raise InputError(f"corpus {title}: {error}{way}") from error
        counted = tokenizer.characters(tokens[None])[0] if lengths is None else lengths.sum()
        yield Piece(tokens, int(counted), lengths)


def _make(folder: Path, tokenizer: Tokenizer, header: Header, texts: Texts) -> Path:
    """Return the file of a shard, written unless a valid one exists."""
    digest = hashlib.sha256(f"{tokenizer.name} {tokenizer.fingerprint}".encode())
    for text in texts:
        content = (text if isinstance(text, str) else repr(text)).encode(errors="surrogatepass")
        digest.update(len(content).to_bytes(8, "little") + content)
    path = folder / f"{digest.hexdigest()}.tok"
    if _opened(path, tokenizer) is None:
        write_tokens(path, pieces(texts, tokenizer, header.corpus), header)
    return path


def _opened(path: Path, tokenizer: Tokenizer) -> TokenFile | None:
    try:
        return open_tokens(path, tokenizer)
    except InputError:
        return None
