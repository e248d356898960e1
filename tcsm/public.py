"""Public names of a package, each imported from its module on first use (PEP 562).

So ``from tcsm.process import Path`` works, ``import tcsm.process`` stays cheap, and the code
fingerprint of a job contains only the modules that the job uses.
"""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def importer(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package with public names.

    Args:
        package: ``__name__`` of the package.
        modules: Public name → the module of the package that defines it.
    """

    def find(name: str) -> Any:  # noqa: ANN401 -- any public object
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{modules[name]}"), name)

    return find
