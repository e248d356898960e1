"""Names of the stages and tools, with the first line of each one's docstring."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent


def described(folder: str) -> dict[str, str]:
    """Return name → first line of the docstring of every module in a folder, importing none.

    Args:
        folder: A folder of the package, "stages" or "tools".
    """
    files = sorted(f for f in (PACKAGE / folder).glob("*.py") if not f.stem.startswith("_"))
    docs = {f.stem: ast.get_docstring(ast.parse(f.read_text("utf-8"))) or "" for f in files}
    return {name: doc.partition("\n")[0] for name, doc in docs.items()}
