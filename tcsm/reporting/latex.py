"""Any text as LaTeX that pdflatex compiles without further packages.

Greek letters, signs, sub- and superscripts become mathematics; a letter that pdflatex has no
glyph of becomes its ASCII base, or its code point: "(U+4E2D)".
"""

import re
import unicodedata

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
LEVELS = {"<super>": "^", "<sub>": "_"}


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
