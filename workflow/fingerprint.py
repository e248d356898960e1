"""Fingerprints of code: which sources a job can depend on, and a hash of what they do.

A job runs its stage, all that the stage imports, and the objects that its configuration names (of
the package, or of a package of the user). Comments, docstrings and layout do not count. So an edit
of one objective reruns the runs that name it, and no other.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

INSTALLED = {"site-packages", "dist-packages"}
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def homes(packages: Iterable[str]) -> dict[str, Path]:
    """Return package → the folder that Python would import it from, for those that are there."""
    folders = [*map(Path, reversed(sys.path)), Path()]  # the first folder wins
    there = lambda f, p: _source(f, p) or f.joinpath(*p.split(".")).is_dir()  # noqa: E731
    return {p: f for p in packages for f in folders if there(f, p)}


def _source(folder: Path, module: str) -> Path | None:
    """Return the file of a module below a folder."""
    path = folder.joinpath(*module.split("."))
    files = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((file for file in files if file.is_file()), None)


class Sources:
    """The sources of some packages as they are now; the first package holds the stages.

    What else lies in the folder of a package counts where it is imported, unless everything is
    installed there.
    """

    def __init__(self, homes: Mapping[str, Path]) -> None:
        self.homes, self.package = homes, next(iter(homes))
        self._tree, self._imports = cache(self._parse), cache(self._imported)
        self._hash = cache(lambda m: hashlib.sha256(ast.dump(self._tree(m)).encode()).hexdigest())

    def reads(self, stage: str) -> tuple[str, ...]:
        """Return the keys that a stage reads, ``READS`` of its module, which is not imported."""
        module = f"{self.package}.stages.{stage}"
        for statement in map(ast.unparse, self._tree(module).body):
            if match := re.fullmatch(r"READS\b.*? = (.+)", statement):
                return tuple(ast.literal_eval(match[1]))
        raise ValueError(f"{module}: holds no READS")

    def fingerprint(self, stage: str, config: str) -> str:
        """Return a hash of the code that a stage runs with a configuration (its YAML text).

        Files make no numbers: ``io/`` does not count, ``reporting/`` only for the report.
        """
        modules = self.closure({f"{self.package}.stages.{stage}"} | self.named(config))
        rooms = ("io",) if stage == "report" else ("io", "reporting")
        left_out = tuple(f"{self.package}.{room}" for room in rooms)
        counted = sorted(module for module in modules if not module.startswith(left_out))
        lines = "\n".join(f"{module} {self._hash(module)}" for module in counted)
        return hashlib.sha256(lines.encode()).hexdigest()[:16]

    def named(self, config: str) -> set[str]:
        """Return the dotted names in a configuration that start with a package's name."""
        starts = "|".join(map(re.escape, self.homes))
        names = re.findall(rf"\b(?:{starts})(?:[.:]\w+)+", config)
        return {name.replace(":", ".") for name in names}

    def closure(self, names: Iterable[str]) -> set[str]:
        """Return the modules that importing these (or what is in them) runs."""
        closed: set[str] = set()
        waiting = [module for name in names for module in self._on_the_way(name)]
        while waiting:
            if (module := waiting.pop()) not in closed:
                closed.add(module)
                waiting += self._imports(module)
        return closed

    def _on_the_way(self, name: str) -> list[str]:
        """Return the modules on the way to ``a.b.C``: a, a.b and, if it is one, a.b.C."""
        parts = name.split(".")
        dotted = [".".join(parts[: n + 1]) for n in range(len(parts))]
        return [module for module in dotted if self._file(module)]

    def _imported(self, module: str) -> list[str]:
        """Return the modules that a module imports, wherever it does."""
        file, parts = self._file(module), module.split(".")
        parts += [""] * (file is not None and file.name == "__init__.py")
        names = []
        for node in ast.walk(self._tree(module)):
            if isinstance(node, ast.Import):
                names += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = parts[: -node.level] if node.level else []
                base = ".".join([*above, *filter(None, [node.module])])
                names += [f"{base}.{alias.name}" for alias in node.names]
        return [imported for name in names for imported in self._on_the_way(name)]

    def _file(self, module: str) -> Path | None:
        own = [home for name, home in self.homes.items() if f"{module}.".startswith(f"{name}.")]
        free = [home for home in self.homes.values() if INSTALLED.isdisjoint(home.parts)]
        return next(filter(None, (_source(home, module) for home in own or free)), None)

    def _parse(self, module: str) -> ast.Module:
        """Return the syntax tree of a module without docstrings; an empty one if there is none."""
        file = self._file(module)
        tree = ast.parse(file.read_bytes() if file else b"")
        for node in ast.walk(tree):
            if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        return tree
