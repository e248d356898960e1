"""Fingerprints of code: which sources a job can depend on, and a hash of what they do.

A job runs its stage and whatever the stage imports, file by file, and the objects that its
configuration names (whatever starts with the package's name, or with that of a package of the user
that may be named). Comments, docstrings and
layout do not count. So an edit of one objective reruns the runs that name it, and no other.
"""

import ast
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


INSTALLED = {"site-packages", "dist-packages"}


def homes(packages: Iterable[str]) -> dict[str, Path]:
    """Package → the first folder that Python would import it from, for those that are there."""
    found: dict[str, Path] = {}
    for package in packages:
        for folder in map(Path, ("", *sys.path)):
            place = folder.joinpath(*package.split("."))
            if place.is_dir() or place.with_suffix(".py").is_file():
                found[package] = folder
                break
    return found


class Sources:
    """The sources of a package as they are on the disk now.

    Attributes:
        root: the folder that holds the package.
        package: its name.
        users: the packages of the user that a configuration may name, and the folders that hold
            them. What else lies in such a folder counts where it is imported, unless everything
            is installed there.
    """

    def __init__(
        self, root: Path, package: str = "tcsm", users: Mapping[str, Path] | None = None
    ) -> None:
        self.root = root
        self.package = package
        self.users = dict(users or {})
        self._tree = cache(self._parse)
        self._hash = cache(self._digest)
        self._one = cache(self._digest_of_one)
        self._named = cache(self._search_one)
        self._next = cache(self._imported)
        self._closure = cache(self._search)

    def reads(self, stage: str) -> tuple[str, ...]:
        """The keys that a stage reads, ``READS`` of its module, which is not imported.

        Raises:
            ValueError: the module does not exist or holds no literal ``READS``.
        """
        name = f"{self.package}.stages.{stage}"
        if self._file(name) is None:
            raise ValueError(f"{name}: no such stage")
        for node in self._tree(name).body:
            targets = (
                node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", 0)]
            )
            if any(isinstance(t, ast.Name) and t.id == "READS" for t in targets):
                return tuple(ast.literal_eval(node.value))  # type: ignore[attr-defined]
        raise ValueError(f"{name}: holds no READS")

    def fingerprint(self, stage: str, config: str) -> str:
        """Hash the code that a stage runs with a configuration (its YAML text).

        Files hold numbers and make none: ``io/`` does not count, ``reporting/`` only for
        ``report``.
        """
        modules = self.closure({f"{self.package}.stages.{stage}"} | self.named(config))
        unseen = [
            f"{self.package}.io",
            *([] if stage == "report" else [f"{self.package}.reporting"]),
        ]
        seen = [m for m in modules if not m.startswith(tuple(unseen))]
        return self._hash(frozenset(seen))

    def named(self, config: str) -> set[str]:
        """The dotted names in a configuration that start with the package's, or with a user's."""
        starts = "|".join(map(re.escape, (self.package, *self.users)))
        found = re.findall(rf"\b(?:{starts})(?:[.:]\w+)+", config)
        return {name.replace(":", ".") for name in found}

    def of_users(self, config: str) -> bool:
        """Whether a configuration names something of a user's package."""
        return any(not name.startswith(f"{self.package}.") for name in self.named(config))

    def closure(self, names: Iterable[str]) -> frozenset[str]:
        """The modules that importing these dotted names (of modules or what is in them) runs."""
        return self._closure(frozenset(names))

    def _search(self, names: frozenset[str]) -> frozenset[str]:
        return frozenset().union(*(self._named(name) for name in names))

    def _search_one(self, name: str) -> frozenset[str]:
        found: set[str] = set()
        waiting = self._chain(name)
        while waiting:
            module = waiting.pop()
            if module not in found:
                found.add(module)
                waiting += self._next(module)
        return frozenset(found)

    def _digest(self, modules: frozenset[str]) -> str:
        parts = [f"{module} {self._one(module)}" for module in sorted(modules)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def _digest_of_one(self, module: str) -> str:
        return hashlib.sha256(ast.dump(self._tree(module)).encode()).hexdigest()

    def _chain(self, name: str) -> list[str]:
        """The modules on the way to ``a.b.C``: a, a.b and, if it is one, a.b.C."""
        parts = name.split(".")
        if parts[0] != self.package and not self.users:
            return []
        dotted = [".".join(parts[: n + 1]) for n in range(len(parts))]
        return [module for module in dotted if self._file(module)]

    def _imported(self, module: str) -> list[str]:
        return [found for name in self._imports(module) for found in self._chain(name)]

    def _imports(self, module: str) -> Iterator[str]:
        for node in ast.walk(self._tree(module)):
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                base = self._base(module, node)
                yield from (f"{base}.{alias.name}" for alias in node.names)

    def _base(self, module: str, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        file = self._file(module)
        inside = int(file is not None and file.name == "__init__.py")
        parts = module.split(".")
        above = parts[: len(parts) - node.level + inside]
        return ".".join([*above, *([node.module] if node.module else [])])

    def _file(self, module: str) -> Path | None:
        for folder in self._folders(module):
            path = folder.joinpath(*module.split("."))
            for file in (path / "__init__.py", path.parent / f"{path.name}.py"):
                if file.is_file():
                    return file
        return None

    def _folders(self, module: str) -> list[Path]:
        """Where a module is looked for."""
        if module.partition(".")[0] == self.package:
            return [self.root]
        own = [home for name, home in self.users.items() if f"{module}.".startswith(f"{name}.")]
        return own or [h for h in self.users.values() if INSTALLED.isdisjoint(h.parts)]

    def _parse(self, module: str) -> ast.Module:
        file = self._file(module)
        tree = ast.parse(file.read_bytes() if file else b"")
        for node in ast.walk(tree):
            if isinstance(node, Documented) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        return tree
