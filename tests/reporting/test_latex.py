"""Tables as LaTeX: pdflatex compiles any text, and every sign that a table may hold."""

import re
import shutil
import string
import subprocess
from pathlib import Path

import pytest

from tcsm.reporting.latex import Strong, escape, table

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
    actual = escape(text)
    assert all(ord(c) < 256 and c.isprintable() for c in actual)
    bare = re.sub(r"\\[&%$#_{}]", "", actual)
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


def test_a_table_has_caption_label_and_its_main_columns_alone() -> None:
    cells = [("A & B_1", Strong("−0.1 [−0.2, −0.1]"), "7"), ("50 %", "2.1 ± 0.1", "8")]
    assert table("toy", "*Δ* in %.", ("Variant", "ΔBPC", "+Steps"), cells).splitlines() == [
        r"\begin{table}[t]",
        r"\centering\small",
        r"\caption{\emph{$\Delta$} in \%.}",
        r"\label{tab:toy}",
        r"\begin{tabular}{@{}lr@{}}",
        r"\toprule",
        r"Variant & $\Delta$BPC \\",
        r"\midrule",
        r"A \& B\_1 & \textbf{$-$0.1 {[}$-$0.2, $-$0.1]} \\",
        r"50 \% & 2.1 $\pm$ 0.1 \\",
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]


def test_what_is_too_wide_breaks_lines_then_loses_columns() -> None:
    named = table("toy", "", ("Variant", "a", "b"), [("a long name of a variant " * 5, "1", "2")])
    assert r"\begin{tabular}{@{}p{" in named
    assert "CSV alone" not in named
    wide = table("toy", "", ("Variant", *"abcdefgh"), [("name", *("0.123 [0.1, 0.2]",) * 8)])
    assert "% h is in the CSV alone" in wide
    assert r"Variant & a & b & c & d \\" in wide
    assert table("toy", "", ("a",), [("b",)] * 90).count(r"\begin{table}") == 3


def compiled(folder: Path, parts: list[str]) -> str:
    """What pdflatex says of an article of these parts."""
    body = "\n\\clearpage\n".join(parts)
    text = f"\\documentclass{{article}}\\usepackage{{booktabs}}\\begin{{document}}\n{body}\n"
    (folder / "a.tex").write_text(text + "\\end{document}\n", "utf-8")
    command = ["pdflatex", "-halt-on-error", "-no-shell-escape", "-draftmode", "a.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    shown = done.stdout.decode("latin-1")
    assert done.returncode == 0, shown[-2000:]
    assert "Missing character" not in shown
    return shown


needed = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@needed
def test_any_text_compiles(tmp_path: Path) -> None:
    cells = [*HOSTILE, *SIGNS, *string.printable]
    headers = ("[95 %]", "Δ_β")
    assert compiled(tmp_path, [table("a", "".join(SIGNS), headers, [(c, c) for c in cells])])
