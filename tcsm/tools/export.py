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
from tcsm.errors import InputError
from tcsm.io.atomic import require_folder
from tcsm.io.layout import CONFIG, WEIGHTS, record_of, telemetry_of, written
from tcsm.io.records import Record, read_json
from tcsm.runs.models import load_model
from tcsm.runs.run import Run
from tcsm.student import half_width

USAGE = "tcsm export RUN FOLDER [LICENSE], such as tcsm export results/mine published cc-by-4.0"
KEYS = ("steps", "tokens", "parameters", "weights_sha256")  # of the record of a training
FILES = [CONFIG, *(file for stage in ("train", "evaluate", "sample") for file in written(stage))]
OUTSIDE = ("model", "reference", "tokenizer")  # may name files that others lack
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
    """Write the folder and print its place.

    Raises:
        InputError: No such run, a folder that is not empty, or a disk that cannot be written.
    """
    if len(arguments) not in (2, 3):
        raise InputError(f"export: found {len(arguments)} words; type {USAGE}")
    source, target = Path(arguments[0]), Path(arguments[1])
    for name in (WEIGHTS, CONFIG, record_of("train")):
        if not (source / name).is_file():
            raise InputError(f"export: {source / name} does not exist; name a trained run")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise InputError(f"export: {target} exists; name a new folder, or an empty one")
    run = Run(source)
    card, config = _card(run, *(arguments[2:] or ["unknown"])), _config(run)
    require_folder("export", target.absolute().parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        whole = Path(folder) / "run"
        whole.mkdir()
        for name in filter(lambda name: (source / name).is_file(), FILES):
            shutil.copyfile(source / name, whole / name)
        (whole / "README.md").write_text(card, "utf-8")
        (whole / "config.json").write_text(json.dumps(config, indent=1) + "\n", "utf-8")
        os.replace(whole, target)
    print(f"→ {target}/README.md; say in it what you know of the data's license")
    print(f'next: tcsm sample {target}, or in Python tcsm.load("{target}")')
    return 0


def _config(run: Run) -> Record:
    """Return ``config.json``: the kind of model, its configuration, and the hash of its weights.

    Raises:
        InputError: The weights are not those that the training saved.
    """
    trained = OmegaConf.to_container(run.require_trained("export"), resolve=True)
    load_model(run, build(run.config.devices))  # compares the hash of the weights
    own = {"model_type": "tcsm", "weights": WEIGHTS, "weights_sha256": run.weights}
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
    for top in OUTSIDE:
        for key, value in leaves(trained.get(top), top):
            if isinstance(value, str) and os.sep in value and Path(value).exists():
                yield key, value
