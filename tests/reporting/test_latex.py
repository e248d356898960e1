"""Tables as LaTeX: pdflatex compiles any text, and every sign that a table may hold."""

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest

from tcsm.reporting.latex import escape
from tcsm.reporting.tables import latex

TOP = Path(__file__).parents[2]
SIGNS = sorted(
    {
        c
        for folder in ("tcsm/reporting", "params/report", "params/ablation", "reports/chapters")
        for path in (TOP / folder).rglob("*")
        if path.suffix in (".py", ".yaml", ".md", ".j2")
        for c in path.read_text("utf-8")
        if c.isprintable()
    }
)
HOSTILE = (
    *(r"\input{/etc/passwd}", "50 % & #1_a^b~{x}", "[+0.1, −0.2]", "*", "a|b <c> \\", "½ ± x₁²"),
    *("Größe, ø, þ, ł, ğ, ő", "привет", "中文", "αβγ ΑΒΩ ς", "a\tb\nc\x00\x0cd", "", "🙂", "“q”"),
    *("Δ → ∑ᵢ √2 ≤ ≥ ≈ ∞ · × µ °", "e\u0301"),
)


@pytest.mark.parametrize("text", [*HOSTILE, "".join(SIGNS), string.printable])
def test_what_is_written_is_ascii_or_latin_and_balanced(text: str) -> None:
    found = escape(text)
    assert all(ord(c) < 256 and c.isprintable() for c in found)
    bare = re.sub(r"\\[&%$#_{}]", "", found)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert not re.search(r"[&%#~]", bare)
    assert "_" not in re.sub(r"\$[^$]*\$", "", bare)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ΔBPC", r"$\Delta$BPC"),
        ("β=1", r"$\beta$=1"),
        ("x₁", "x$_{1}$"),
        ("10⁻³", "10$^{-}$$^{3}$"),
        ("½", "1/2"),
        ("中", "(U+4E2D)"),
        ("ł", "(U+0142)"),
        ("ğ", "g"),
        ("é", "é"),
        ("[a", "{[}a"),
    ],
)
def test_signs(text: str, found: str) -> None:
    assert escape(text) == found


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_it_compiles(tmp_path: Path) -> None:
    cells = [*HOSTILE, *SIGNS, *string.printable]
    parts, headers = (cells[:40], cells[40:]), ("[95 %]", "Δ_β")
    (tmp_path / "a.tex").write_text(
        "\\documentclass{article}\\usepackage{booktabs}\\begin{document}\n"
        + "\n\n".join(latex(headers, [(c, c) for c in part]) for part in parts)
        + "\\end{document}\n",
        "utf-8",
    )
    command = ["pdflatex", "-halt-on-error", "-no-shell-escape", "a.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:].decode("latin-1")
    assert b"Missing character" not in done.stdout
