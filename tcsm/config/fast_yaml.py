"""YAML parsed by libyaml, in OmegaConf's own dialect: a plan reads a thousand documents.

PyYAML's parser in Python takes ten times as long, and OmegaConf, with which Hydra reads its files,
has no option for the other one. Where PyYAML was built without libyaml nothing changes.
"""

from typing import Any

import yaml
from omegaconf import _utils


def _loader(slow: Any) -> Any:  # noqa: ANN401 -- classes of PyYAML, which has no types for them
    """Return a class for ``yaml.load`` that reads as another one does, in Python."""
    if not yaml.__with_libyaml__:
        return slow
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # noqa: PLC0415 -- as checked

    class Loader(CParser, slow):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:  # noqa: ANN401 -- text or a file
            CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader


FAST = _loader(_utils.get_yaml_loader())
_utils.get_yaml_loader = lambda: FAST
