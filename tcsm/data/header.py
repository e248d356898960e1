"""The header of a token file.

    b"TCSMTOK1" | uint32 length of the JSON | JSON

It is padded with spaces to 4,096 bytes, or a multiple if it is longer, so that it can be written
last and the ids begin on a page.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from tcsm.errors import InputError

MAGIC = b"TCSMTOK1"
LENGTHS = "<u2"
ROLES = "|u1"
COLUMNS = ("lengths", "roles")  # optional numbers of each token, behind the ids
PAGE = 4096
_MOST = 2**24  # largest size of a header in bytes
_PREFIX = len(MAGIC) + 4


@dataclass(frozen=True)
class Header:
    """The header of a token file.

    Attributes:
        tokenizer: Name of the tokenizer.
        fingerprint: Fingerprint of the tokenizer.
        vocabulary: Number of ids.
        dtype: Type of the ids, such as "<u2".
        corpus: Title of the corpus.
        split: "train", "valid" or "test".
        count: Number of tokens.
        characters: Number of characters that the tokens stand for.
        sha256: SHA-256 of the ids' bytes.
        source: Configuration of the corpus, see `tcsm.data.source`; empty for samples.
        lengths: Type of the characters of each token, or "" if the file has none.
        lengths_sha256: SHA-256 of the bytes of these lengths.
        roles: Type of the roles of tokens, see `tcsm.data.examples`; "" if all are text.
        roles_sha256: SHA-256 of the bytes of these roles.
    """

    tokenizer: str
    fingerprint: str
    vocabulary: int
    dtype: str
    corpus: str
    split: str
    count: int = 0
    characters: int = 0
    sha256: str = ""
    source: Mapping[str, Any] = field(default_factory=dict)
    lengths: str = ""
    lengths_sha256: str = ""
    roles: str = ""
    roles_sha256: str = ""

    @property
    def offset(self) -> int:
        """Return the offset of the ids: after the pages of the longest possible header."""
        digest = "0" * 64
        longest = replace(
            self, count=2**63, characters=2**63, sha256=digest, lengths_sha256=digest
        )
        if self.roles:
            longest = replace(longest, roles_sha256=digest)
        return -(-(_PREFIX + len(longest._text())) // PAGE) * PAGE

    @property
    def digest(self) -> str:
        """Return the SHA-256 of what is trained on: the ids, and roles if there are some."""
        if not self.roles:
            return self.sha256
        return hashlib.sha256((self.sha256 + self.roles_sha256).encode()).hexdigest()

    @property
    def columns(self) -> dict[str, tuple[str, int]]:
        """Return the numbers of each token, "dtype" being its id: name → type and place."""
        place, columns = self.offset, {}
        for name in ("dtype", *COLUMNS):
            if kind := getattr(self, name):
                columns[name] = kind, place
                place += self.count * np.dtype(kind).itemsize
        return columns

    @property
    def size(self) -> int:
        """Return the size of the file in bytes."""
        kind, place = list(self.columns.values())[-1]
        return place + self.count * np.dtype(kind).itemsize

    def pack(self) -> bytes:
        """Return the bytes before the ids."""
        room = self.offset - _PREFIX
        return MAGIC + room.to_bytes(4, "little") + self._text().ljust(room)

    def _text(self) -> bytes:
        """Return the header as JSON, without fields that are empty in a file of samples."""
        facts = asdict(self)
        optional = {"source", *COLUMNS, *(f"{name}_sha256" for name in COLUMNS)}
        kept = {key: value for key, value in facts.items() if value or key not in optional}
        return json.dumps(kept, sort_keys=True).encode()


def read_header(path: Path, maker: str = "prepare") -> Header:
    """Return the header of a token file.

    Raises:
        InputError: The file has none.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_PREFIX)
            length = int.from_bytes(head[len(MAGIC) :], "little")
            head += file.read(min(length, _MOST))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}; run {maker}{elsewhere(maker)}"
        ) from error
    try:
        header = Header(**json.loads(head[_PREFIX:]))
        if head != header.pack() or header.count < 0 or header.size < header.offset:
            raise ValueError
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(
            f"{path}: not a token file, or cut in its header; run {maker} again"
        ) from error
    return header


def elsewhere(maker: str = "prepare") -> str:
    """Return the second half of an advice to run a stage: the key that names another folder."""
    return ", or set data.root to another folder" if maker == "prepare" else ""
