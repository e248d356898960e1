"""``KEY=VALUE`` as users type it, quoted for Hydra's grammar.

Hydra reads ``out=~/run``, ``corpus.path=a=b.txt`` or ``sampling.template=it's ___`` only in
quotes of its own, inside those of the shell. For a key of type text, everything after the first
"=" is the text; for other keys the error shows the line to type.
"""

import inspect
import re
import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, Quote, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from tcsm.config.signatures import argument_type, is_text, is_texts
from tcsm.config.values import KINDS, MAYBE_TEXT, TEXT, TEXTS
from tcsm.errors import InputError

ASSIGNED = re.compile(r"(\+{0,2})([\w.@/-]+)=(.*)", re.DOTALL)
UNKNOWN = (None, Any, inspect.Parameter.empty)
# Texts whose leading and trailing blanks are significant.
BLANKS = ("sampling.template",)


class Overrides:
    """The overrides of one command line.

    Args:
        lines: The overrides as typed.
        compose: Makes a configuration of the group choices among them.
    """

    def __init__(
        self, lines: Sequence[str], compose: Callable[[Sequence[str]], DictConfig]
    ) -> None:
        self._lines, self._compose = lines, compose

    def quoted(self) -> list[str]:
        """Return the lines, quoted so that Hydra can read them.

        Raises:
            InputError: A line that Hydra cannot read and that sets no text.
        """
        return [self._quoted(line) for line in self._lines]

    def _quoted(self, line: str) -> str:
        typed = ASSIGNED.fullmatch(line)
        parsed = _parsed(line)
        if typed is None:
            if parsed is None:
                raise InputError(f"{line}: cannot be read; expected KEY=VALUE{self._joined(line)}")
            return line
        plus, key, text = typed.groups()
        sweep = parsed is not None and parsed.is_sweep_override()
        if parsed is not None and not sweep and not self._is_other(parsed, key, text):
            return line
        if self._holds(key, TEXT, MAYBE_TEXT, test=is_text):
            return f"{plus}{key}={_in_quotes(text)}"
        if self._holds(key, TEXTS, test=is_texts) and re.fullmatch(r"\[.*\]", text, re.DOTALL):
            return f"{plus}{key}=[{','.join(map(_in_quotes, _items(text)))}]"
        raise InputError(f"{line}: {self._advice(line, sweep)}")

    @staticmethod
    def _is_other(parsed: Override, key: str, text: str) -> bool:
        """Return whether Hydra reads a text as something else than what was typed."""
        if KINDS.get(key) not in (TEXT, MAYBE_TEXT):
            return False
        value = parsed._value
        if isinstance(value, str):
            return key in BLANKS and value == text.strip() != text
        return value is not None and not isinstance(value, QuotedString)

    def _holds(self, key: str, *kinds: object, test: Callable[[Any], bool]) -> bool:
        """Return whether a key is of these kinds, or an argument whose type passes the test."""
        return KINDS.get(key) in kinds if key in KINDS else test(self._type(key))

    def _type(self, key: str) -> Any:  # noqa: ANN401 -- an annotation
        parent, _, name = key.rpartition(".")
        node = OmegaConf.select(self._chosen, parent) if parent else None
        return argument_type(node, name) if isinstance(node, DictConfig) else None

    @cached_property
    def _chosen(self) -> DictConfig:
        """Return the configuration of the group choices; its classes tell which keys are texts."""
        return self._compose(self._lines)

    def _advice(self, line: str, sweep: bool) -> str:
        """Return what to type instead of a line that sets no text."""
        key, _, text = line.partition("=")
        if sweep:
            return f"found several values; a list is written {for_shell(f'{key}=[{text}]')}"
        kind = KINDS.get(key.lstrip("+"))
        if kind is not None:
            return f"cannot be read; expected KEY=VALUE, where VALUE is {kind.name}"
        if self._type(key.lstrip("+")) not in UNKNOWN:
            return "cannot be read; expected KEY=VALUE"
        line = for_shell(f"{key}={_in_quotes(text)}")
        return f"cannot be read; expected KEY=VALUE, a text in quotes: {line}"

    def _joined(self, line: str) -> str:
        """Return what to type where the shell split a value at its blanks."""
        index = self._lines.index(line)
        start = next((i for i in range(index, -1, -1) if "=" in self._lines[i]), None)
        if start is None or line.startswith("-"):
            return ""
        key = self._lines[start].partition("=")[0].lstrip("+")
        if not self._holds(key, TEXT, MAYBE_TEXT, test=is_text):
            return ""
        end = next((i for i in range(index, len(self._lines)) if "=" in self._lines[i]), None)
        whole = for_shell(" ".join(self._lines[start:end]))
        return f"; a value with blanks needs quotes: {whole}"


def for_shell(line: str) -> str:
    """Return an argument as typed in a shell, in quotes if it needs them."""
    if "'" in line and not re.search(r'["$`!]|\\[\\\n]|\\$', line):
        return f'"{line}"'
    return shlex.quote(line)


def _parsed(line: str) -> Override | None:
    """Return Hydra's parse of a line, None if it cannot read it."""
    try:
        return OverridesParser.create().parse_override(line)
    except HydraException:
        return None


def _in_quotes(text: str) -> str:
    """Return a text in quotes, so that Hydra reads it literally; a quoted text stays as it is."""
    given = _parsed(f"k={text}")
    if given is not None and isinstance(given._value, QuotedString):
        return text
    return QuotedString(text, Quote.single).with_quotes()


def _items(text: str) -> list[str]:
    """Return the items of ``[a, b]``, split at commas."""
    return [part.strip() for part in text.strip()[1:-1].split(",")]
