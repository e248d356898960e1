"""Exported runs in transformers: its AutoConfig and AutoModel load them after ``import tcsm``.

``tcsm/__init__.py`` has wrapt call these functions when transformers imports its registries, so
``import tcsm`` imports neither transformers nor torch.
"""

from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from transformers.configuration_utils import PretrainedConfig

if TYPE_CHECKING:
    from tcsm.library import TrainedRun


class ExportedConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The ``config.json`` of ``tcsm export``; ``tcsm`` is the configuration of the run."""

    model_type = "tcsm"


class Exported(nn.Module):
    """An exported run as a module; its ``run`` samples and scores.

    Args:
        run: The run.
    """

    config_class = ExportedConfig

    def __init__(self, run: "TrainedRun") -> None:
        super().__init__()
        self.run, self.model = run, run.model

    @classmethod
    def from_pretrained(
        cls,
        name: str,
        *_: Any,  # noqa: ANN401
        revision: str | None = None,
        **others: Any,  # noqa: ANN401
    ) -> "Exported":
        """Return the run of a folder or of a repository of the Hub, in evaluation mode.

        Args:
            name: The folder, or OWNER/NAME.
            revision: A branch, tag or commit on the Hub.
            others: What AutoModel passes on; the run decides device and type of its weights.

        Raises:
            InputError: As in `tcsm.load`.
        """
        from tcsm.library import HUB, load  # noqa: PLC0415 -- half a second, for this call alone

        at = f"@{revision}" if revision else ""
        return cls(load(name if Path(name).is_dir() else f"{HUB}{name}{at}")).eval()

    def forward(self, input_ids: Tensor, t: Tensor) -> Tensor:
        """Return log q^i(· | x_t) at every position, (B, L, V), as `TrainedRun.log_conditionals`.

        Args:
            input_ids: States, (B, L); the mask is the state V.
            t: Times, (B), 0 for noise and 1 for data.

        Raises:
            InputError: The model has no marginals.
        """
        return self.run.log_conditionals(input_ids, t)


def register_config(module: ModuleType) -> None:
    """Register the configuration with transformers' AutoConfig."""
    module.AutoConfig.register(ExportedConfig.model_type, ExportedConfig)


def register_model(module: ModuleType) -> None:
    """Register the model with transformers' AutoModel."""
    module.AutoModel.register(ExportedConfig, Exported)
