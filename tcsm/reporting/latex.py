"""Any text as LaTeX that pdflatex compiles, and tables that need booktabs alone.

Greek letters, signs, sub- and superscripts become mathematics; a letter that pdflatex has no
glyph of becomes its ASCII base, or its code point: "(U+4E2D)".
"""

import re
import unicodedata
from collections.abc import Sequence

GREEK = re.compile(r"GREEK (SMALL|CAPITAL) LETTER (\w+)(?: SIGMA)?")
MACROS = {"lamda": "lambda", "final": "varsigma"}  # Unicode's names that are not LaTeX's
LATIN = {"Eta": "H", "Rho": "P", "Chi": "X"}  # capitals that look like another Latin letter
OWN = ("Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Upsilon", "Phi", "Psi", "Omega")
SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}",
    "[": "{[}", "*": "{*}",  # which are options of the row's end before them
    "–": "--", "—": "---", "…": r"\dots{}", "\N{FRACTION SLASH}": "/",
    "\N{LEFT SINGLE QUOTATION MARK}": "`", "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
}  # fmt: skip
MATHEMATICS = {
    "−": "-", "±": r"\pm", "·": r"\cdot", "×": r"\times", "→": r"\to", "←": r"\leftarrow",
    "↦": r"\mapsto", "≤": r"\le", "≥": r"\ge", "≈": r"\approx", "≠": r"\ne", "∑": r"\sum",
    "√": r"\surd", "∞": r"\infty", "∈": r"\in", "°": r"^\circ", "µ": r"\mu",
}  # fmt: skip
KNOWN = {**SIGNS, **{sign: f"${macro}$" for sign, macro in MATHEMATICS.items()}}
NATIVE = re.compile(r"[ -~À-ÏÑ-ÖØ-Ýß-ïñ-öø-ýÿ]")  # letters of Latin-1 that its own fonts have
WIDTH, BETWEEN = 345.0, 12.0  # points: the text of an article, and the space between columns
SIZES = {r"\small": 0.92, r"\footnotesize": 0.85}  # of ten points; estimates are on the wide side
NARROW, BROAD = re.compile(r"[ijltf.,:;'|!()\[\] ]"), re.compile(r"[A-Zmw±+−–→≥≤·%&@]")
ROWS = 40  # of a page
TABLE = r"""\begin{table}[t]
\centering%(size)s
\caption{%(caption)s}
\label{tab:%(name)s}
\begin{tabular}{@{}%(columns)s@{}}
\toprule
%(head)s
\midrule
%(body)s
\bottomrule
\end{tabular}
\end{table}
"""
LEVELS = {"<super>": "^", "<sub>": "_"}


class Strong(str):
    """A cell in bold."""

    strong = True


def table(name: str, caption: str, headers: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return the main cells, whose header has no +, as tables of at most the text's width.

    They have a caption and the label ``tab:NAME``. What is too wide becomes smaller, its first
    column breaks lines, and then columns from the right are left out.
    """
    main = [at for at, header in enumerate(headers) if not header.startswith("+")]
    rows = [[row[at] for at in main] for row in (headers, *cells)]
    size, first, kept = next(filter(None, (_fit(rows, n) for n in range(len(main), 0, -1))))
    wrap = "" if first == "l" else r"\raggedright "
    head, *lines = (wrap + " & ".join(map(_cell, row[:kept])) + r" \\" for row in rows)
    note = re.sub(r"\{\*\}(.+?)\{\*\}", r"\\emph{\1}", escape(caption.replace("`", "")))
    shared = {"size": size, "columns": first + "r" * (kept - 1), "head": head}
    text = "".join(f"% {escape(header)} is in the CSV alone\n" for header in rows[0][kept:])
    for at in range(0, len(lines), ROWS):
        place = {"name": f"{name}-{at + 1}", "caption": "Continued."} if at else {}
        part = {"name": name, "caption": note, **place, "body": "\n".join(lines[at : at + ROWS])}
        text += TABLE % (shared | part)
    return text


def _fit(rows: Sequence[Sequence[str]], kept: int) -> tuple[str, str, int] | None:
    """Return size, first column and number of columns if they fit into the text."""
    columns = list(zip(*(row[:kept] for row in rows), strict=True))
    widths = [max(map(width, column)) for column in columns]
    for size, scale in SIZES.items():
        rest = WIDTH - BETWEEN * (kept - 1) - scale * sum(widths[1:])
        if scale * widths[0] <= rest:
            return size, "l", kept
    words = max(width(word) for text in columns[0] for word in [*text.split(), ""])
    fits = rest >= max(70.0, scale * words) or kept == 1
    return (size, f"p{{{rest:.0f}pt}}", kept) if fits else None


def width(text: str) -> float:
    """Return about how many points a text takes in a font of ten."""
    narrow, broad = (len(kind.findall(text)) for kind in (NARROW, BROAD))
    plain = 5.3 * len(text) - 2.0 * narrow + 2.7 * broad
    return 1.16 * plain if isinstance(text, Strong) else plain


def _cell(text: str) -> str:
    return rf"\textbf{{{escape(text)}}}" if isinstance(text, Strong) else escape(text)


def escape(text: str) -> str:
    """Return a text on one line as LaTeX."""
    return "".join(_escape(c) for c in unicodedata.normalize("NFC", " ".join(text.split())))


def _escape(c: str) -> str:
    if c in KNOWN or NATIVE.fullmatch(c):
        return KNOWN.get(c, c)
    if greek := GREEK.fullmatch(unicodedata.name(c, "")):
        return _greek(greek[1] == "CAPITAL", greek[2].lower())
    level, _, base = unicodedata.decomposition(c).partition(" ")
    if level in LEVELS:
        inner = "".join(_escape(chr(int(code, 16))) for code in base.split()).replace("$", "")
        return f"${LEVELS[level]}{{{inner}}}$"
    plain = [part for part in unicodedata.normalize("NFKD", c) if not unicodedata.combining(part)]
    if not plain or plain == [c]:
        return f"(U+{ord(c):04X})"
    return "".join(map(_escape, plain))


def _greek(capital: bool, name: str) -> str:
    """Return a Greek letter by its name in Unicode."""
    name = MACROS.get(name, name)
    if not capital:
        return "o" if name == "omicron" else rf"$\{name}$"
    name = name.capitalize()
    return rf"$\{name}$" if name in OWN else LATIN.get(name, name[0])
