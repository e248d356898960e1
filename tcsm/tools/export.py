"""Copy a trained run into a folder to publish: weights, configuration, records and a model card.

The folder is a run itself: ``tcsm.load``, ``tcsm evaluate`` and ``tcsm sample`` take it, and
``initial=`` starts a training from it. The weights are the same bytes.
"""

import json
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from omegaconf import OmegaConf

from tcsm.config import build, leaves
from tcsm.data.tokenizers import HuggingFace
from tcsm.errors import InputError
from tcsm.huggingface import one_line
from tcsm.io.atomic import require_folder
from tcsm.io.layout import (
    CONFIG,
    PUBLISHED,
    REFERENCE,
    WEIGHTS,
    record_of,
    telemetry_of,
    weights_of,
    written,
)
from tcsm.io.records import Record, read_json
from tcsm.runs.models import load_model
from tcsm.runs.run import Run
from tcsm.student import half_width

USAGE = (
    "tcsm export RUN FOLDER [LICENSE], such as tcsm export results/mine published cc-by-4.0, or "
    "hub:OWNER/NAME instead of FOLDER"
)
KEYS = ("steps", "tokens", "parameters", "weights_sha256")  # of the record of a training
FILES = {CONFIG, *(file for stage in ("train", "evaluate", "sample") for file in written(stage))}
FILES -= {WEIGHTS}  # which has another name
HUB = "hub:"
OUTSIDE = "model"  # may name files that others lack
CARD = """---
license: {quoted}
library_name: tcsm
tags: [discrete-diffusion, tcsm]
---

# {name}

{model}, trained on {corpus} by `tcsm {version}` for {steps:,} steps and {tokens:,} tokens; {parameters:,} parameters.
Target Concrete Score Matching: [arXiv 2504.16431](https://arxiv.org/abs/2504.16431).

## Metrics

{metrics}

## Use

```python
import tcsm

run = tcsm.load("FOLDER")  # this folder
print(run.sample(2))
print(run.score(["a text"]))  # nats, their standard error, bits per character
```

`tcsm sample FOLDER`, `tcsm evaluate FOLDER` and `tcsm train initial=FOLDER …` take it, too.
{needs}
## Origin

- data: {corpus}, SHA-256 of its tokens `{data_sha256}`; its license is that of its source
- weights: license {license}, SHA-256 `{weights_sha256}`
- code: commit `{commit}`, {versions}

## Citation

```bibtex
@inproceedings{{zhang2025,
  author = {{Zhang, Ruixiang and Zhai, Shuangfei and Zhang, Yizhe and Thornton, James and Ou, Zijing and Susskind, Joshua and Jaitly, Navdeep}},
  title = {{Target Concrete Score Matching: A Holistic Framework for Discrete Diffusion}},
  booktitle = {{International Conference on Machine Learning}},
  year = {{2025}},
  url = {{https://arxiv.org/abs/2504.16431}},
}}
```
"""  # noqa: E501 -- lines of Markdown


def main(arguments: Sequence[str]) -> int:
    """Write the folder, or upload it to the Hub, and print its place.

    Raises:
        InputError: No such run, a folder that is not empty, a disk that cannot be written, or an
            upload that fails.
    """
    if len(arguments) not in (2, 3):
        raise InputError(f"export: found {len(arguments)} words; type {USAGE}")
    source, target = Path(arguments[0]), arguments[1]
    for path in (weights_of(source), source / CONFIG, source / record_of("train")):
        if not path.is_file():
            raise InputError(f"export: {path} does not exist; name a trained run")
    card = _card(Run(source), *(arguments[2:] or ["unknown"]))
    if target.startswith(HUB):
        with tempfile.TemporaryDirectory() as folder:
            _write(source, Path(folder) / "run", card)
            _upload(Path(folder) / "run", target.removeprefix(HUB))
        print(f'→ https://huggingface.co/{target.removeprefix(HUB)}; tcsm.load("{target}")')
        return 0
    _write(source, Path(target), card)
    print(f"→ {target}/README.md; say in it what you know of the data's license")
    print(f'next: tcsm sample {target}, or in Python tcsm.load("{target}")')
    return 0


def _write(source: Path, target: Path, card: str) -> None:
    """Write a folder that holds all of a run, or nothing.

    Raises:
        InputError: The folder is not empty, or cannot be written.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"export: {target} exists; name a new folder, or an empty one")
    run = Run(source)
    config = json.dumps(_config(run), indent=1) + "\n"
    require_folder("export", target.absolute().parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        whole = Path(folder) / "run"
        _copy(source, whole)
        reference = run.value("reference")
        if reference and run.record("train").get(REFERENCE):
            _copy(Path(reference), whole / "reference")
        if isinstance(run.tokenizer, HuggingFace):
            run.tokenizer.save(whole)
        (whole / "README.md").write_text(card, "utf-8")
        (whole / "config.json").write_text(config, "utf-8")
        os.replace(whole, target)


def _copy(source: Path, target: Path) -> None:
    """Copy the configuration, the records and the weights of a run."""
    target.mkdir()
    for name in filter(lambda name: (source / name).is_file(), FILES):
        shutil.copyfile(source / name, target / name)
    shutil.copyfile(weights_of(source), target / PUBLISHED)


def _upload(folder: Path, name: str) -> None:
    """Upload a folder to the Hugging Face Hub, as a model repository.

    Raises:
        InputError: There is no connection, no token, or no permission.
    """
    with one_line(f"export: {HUB}{name} cannot be written"):
        from huggingface_hub import HfApi  # noqa: PLC0415 -- may be absent

        HfApi().create_repo(name, exist_ok=True)
        HfApi().upload_folder(repo_id=name, folder_path=folder)


def _config(run: Run) -> Record:
    """Return ``config.json``: the kind of model, its configuration, and the hash of its weights.

    Raises:
        InputError: The weights are not those that the training saved.
    """
    trained = OmegaConf.to_container(run.require_trained("export"), resolve=True)
    load_model(run, build(run.config.devices))  # compares the hash of the weights
    own = {"model_type": "tcsm", "weights": PUBLISHED, "weights_sha256": run.weights}
    return {**own, "tcsm_version": version("tcsm"), "tcsm": trained}


def _card(run: Run, license_: str) -> str:
    trained, record = run.require_trained("export"), run.record("train", KEYS)
    made = read_json(run.folder / telemetry_of("train"), ())
    versions = ", ".join(f"{name} {of}" for name, of in made.get("versions", {}).items())
    return CARD.format(
        license=license_,
        quoted=json.dumps(license_),
        name=f"{trained.get('experiment')}, seed {trained.get('seed')}",
        model=str(trained.model._target_).rpartition(".")[2],
        corpus=record.get("corpus") or "toy data",
        version=version("tcsm"),
        metrics="\n".join(_metrics(run)) or "Not evaluated yet: `tcsm evaluate FOLDER`.",
        needs="".join(f"\nIt needs `{key}`, {path}, which is not in this folder.\n"
                      for key, path in _outside(run)),
        commit=made.get("commit") or "unknown",
        versions=versions or "versions unknown",
        data_sha256=record.get("data_sha256") or "unknown",
        **{key: record[key] for key in KEYS},
    )  # fmt: skip


def _metrics(run: Run) -> Iterator[str]:
    """Yield the rows of the likelihood's table."""
    measured = run.record("evaluate").get("metrics", {}).get("likelihood")
    if not measured:
        return
    yield f"Bits per character by `{measured['bound']}`; ± is Student's 95 % over sequences.\n"
    yield "| split | BPC | sequences | characters | draws |\n|---|---|---|---|---|"
    for name, rate in measured["splits"].items():
        half = half_width(rate["bpc_se"] or math.nan, rate["sequences"])
        counts = " | ".join(f"{rate[key]:,}" for key in ("sequences", "characters", "draws"))
        yield f"| {name} | {rate['bpc']:.3f} ± {half:.3f} | {counts} |"


def _outside(run: Run) -> Iterator[tuple[str, str]]:
    """Yield keys and values of the configuration that name existing files or folders."""
    trained = OmegaConf.to_container(run.require_trained("export"), resolve=True)
    assert isinstance(trained, dict)
    for key, value in leaves(trained[OUTSIDE], OUTSIDE):
        if isinstance(value, str) and os.sep in value and Path(value).exists():
            yield key, value
