"""Target Concrete Score Matching: one objective for discrete diffusion (arXiv 2504.16431)."""

from wrapt import register_post_import_hook

from tcsm.public import importer

__all__ = [
    "Run",
    "evaluate",
    "load",
    "sample",
]
__getattr__ = importer(
    __name__,
    {
        "Run": "runs.run",
        "evaluate": "library",
        "load": "library",
        "sample": "library",
    },
)

# Names, and not functions: what they need is imported when transformers is.
_AUTO = "transformers.models.auto"
register_post_import_hook("tcsm.auto:register_config", f"{_AUTO}.configuration_auto")
register_post_import_hook("tcsm.auto:register_model", f"{_AUTO}.modeling_auto")
