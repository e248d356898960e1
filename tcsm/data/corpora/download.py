"""Text at an https address, such as text8 and enwik8."""

import gzip
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tcsm.data.corpora.base import Normalize, Normalized, Splits, check_fractions, cut
from tcsm.data.corpora.fetch import Opener, fetch, open_url
from tcsm.data.corpora.folder import KINDS, OF_RECORDS
from tcsm.data.encoding import decode
from tcsm.errors import InputError


@dataclass(frozen=True)
class Download(Normalized):
    """The UTF-8 text of a file that is downloaded once.

    Attributes:
        url: Its https address.
        sha256: SHA-256 of the file as served.
        cache: Folder of downloaded files.
        normalize: The normalization; `verbatim` for text8, which is normalized already.
        member: The file to read in a zip archive; ".gz" needs none.
        fractions: Train, valid and test, contiguous by character.
        opener: Opens a request.
    """

    url: str
    sha256: str
    cache: str | Path
    normalize: Normalize
    member: str | None = None
    fractions: Sequence[float] = (0.9, 0.05, 0.05)
    opener: Opener = open_url

    def __post_init__(self) -> None:
        check_fractions(self.fractions)
        if KINDS.get(Path(self.title.removesuffix(".gz")).suffix.lower()) == OF_RECORDS:
            key = "corpus.member" if self.member else "corpus.url"
            raise InputError(
                f"{key}: {self.title} holds records, not prose; fetch it and set "
                "corpus=records, or take them from the Hub as corpus/wikitext103.yaml does"
            )

    @property
    def title(self) -> str:
        """Return the name of the file that holds the text."""
        return self.member or self._served

    def splits(self) -> Splits:
        """Return the three parts of the text.

        Raises:
            InputError: It cannot be fetched, unpacked or decoded.
        """
        file = fetch(self.url, Path(self.cache) / self._served, self.sha256, self.opener)
        try:
            content = self._unpack(file)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
            raise InputError(f"{file}: cannot be unpacked: {error}") from error
        text = self.tally(decode(content, file))
        if not text or text.isspace():
            raise self.nothing_kept(str(file), "corpus.url")
        return cut(self.title, [text], self.fractions)

    @property
    def _served(self) -> str:
        return Path(urlsplit(self.url).path).name

    def _unpack(self, file: Path) -> bytes:
        if self.member is not None:
            with zipfile.ZipFile(file) as archive:
                names = archive.namelist()
                if self.member not in names:
                    raise InputError(f"{file}: no member {self.member!r}, only {names[:9]}")
                return archive.read(self.member)
        if zipfile.is_zipfile(file):
            raise InputError(f"{file}: a zip archive; set corpus.member to the file of it to take")
        content = file.read_bytes()
        return gzip.decompress(content) if file.suffix == ".gz" else content
