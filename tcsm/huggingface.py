"""Loading with Hugging Face's libraries: safe files only, and one line for any failure.

These libraries raise errors of many kinds: OSError, JSON and safetensors errors, KeyError,
AttributeError, panics of Rust code, errors without a message. All become InputErrors.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from tcsm.errors import InputError

MOST = 300  # characters of a reason; some errors list all models of the library
DTYPES = ("float32", "bfloat16")
_LAYER = re.compile(
    r"\.\d+\.(?!.*(masked_bias|inv_freq|position_ids|attn\.bias|attention\.bias)$)"
)
_UNSAFE = (
    ".bin",
    ".pt",
    ".pth",
    ".h5",
    ".msgpack",
    ".gguf",
)  # reading them could run code
_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_PLAIN = (OSError, ValueError, RuntimeError)  # errors whose message is a sentence


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, after its class if it is unclear."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kind = type(error).__name__
    if not lines:
        return kind
    line = " ".join(lines[:2]) if lines[0][-1] == ":" else lines[0]
    line = line if len(line) <= MOST else line[:MOST] + " …"
    return line if isinstance(error, _PLAIN) and line[-1] != ":" else f"{kind}: {line}"


@contextmanager
def one_line(place: str, folder: str | None = None) -> Iterator[None]:
    """Turn any exception raised within the block into an InputError.

    Args:
        place: How the message begins: the key, its value, and what failed.
        folder: Folder that files are read from; the message names a damaged one among them.

    Raises:
        InputError: For any exception, also those of compiled libraries; interrupts pass.
    """
    try:
        yield
    except (InputError, *_ENDS):
        raise
    except BaseException as error:  # a panic of a Rust library is no Exception
        damaged = _damaged(folder, error) if folder else None
        raise InputError(f"{place}: {f'{damaged}: ' if damaged else ''}{reason(error)}") from error


def from_pretrained(kind: Any, place: str, name: str, revision: str, **how: Any) -> Any:  # noqa: ANN401
    """Return ``kind.from_pretrained(...)`` of a folder or of a repository of the Hub.

    Args:
        kind: A class of the library ``transformers``.
        place: How the message of an error begins, see `one_line`.
        name: The folder, "~" allowed, or the repository.
        revision: The branch, tag or commit on the Hub.
        how: Further arguments; no code of a repository is ever run.

    Raises:
        InputError: It cannot be loaded.
    """
    path = os.path.expanduser(name)
    with one_line(place, path), quiet():
        if not os.path.isdir(path) and (path[:1] in "/." or path.count("/") > 1):
            raise OSError("it is a file" if os.path.exists(path) else "no such folder")
        return kind.from_pretrained(path, revision=revision, trust_remote_code=False, **how)


def model(kind: str, key: str, name: str, revision: str, dtype: str = "float32") -> Any:  # noqa: ANN401
    """Return a model in evaluation mode, every weight of which comes from its files.

    Args:
        kind: A class of ``transformers``, such as "AutoModelForCausalLM".
        key: Key of the configuration that holds ``name`` and ``dtype``.
        name: As for `from_pretrained`.
        revision: As for `from_pretrained`.
        dtype: Type of the loaded weights, whatever the files hold.

    Raises:
        InputError: It cannot be loaded; its weights are in an unsafe format; a weight is missing,
            of
            another shape, or not finite; its files have more layers than its configuration.
    """
    if dtype not in DTYPES:
        raise InputError(f"{key}.dtype must be {' or '.join(DTYPES)}, found {dtype}")
    place = f"{key}.name: {name} cannot be loaded"
    how = {"use_safetensors": True, "dtype": getattr(torch, dtype)}  # other files could run code
    how |= {"output_loading_info": True, "ignore_mismatched_sizes": True}  # checked below
    with one_line(place):
        import transformers  # noqa: PLC0415  seconds to load

        chosen = getattr(transformers, kind)
        _require_safe_files(os.path.expanduser(name))
    loaded, report = from_pretrained(chosen, place, name, revision, **how)
    require_whole(place, loaded, report)
    for config in (loaded.config, loaded.config.get_text_config()):
        config.use_cache = False  # each text is read in one pass
    return loaded.eval()


def config(name: str, key: str) -> dict[str, Any]:
    """Return the ``config.json`` of a folder, empty for a repository of the Hub.

    Raises:
        InputError: It cannot be read.
    """
    folder = os.path.expanduser(name)
    if not os.path.isfile(os.path.join(folder, "config.json")):
        return {}
    with one_line(f"{key}: {name}: its config.json cannot be read", folder):
        from transformers import PretrainedConfig  # noqa: PLC0415  seconds to load

        return dict(PretrainedConfig.get_config_dict(folder)[0])


def tokenizer(key: str, name: str, revision: str) -> Any:  # noqa: ANN401
    """Return the tokenizer beside a model.

    Args:
        key: The key that names the model.
        name: A repository of the Hub, or a folder.
        revision: The branch, tag or commit on the Hub.

    Raises:
        InputError: It cannot be loaded, or has no tokens.
    """
    place = f"{key}: {name}: its tokenizer cannot be loaded"
    with one_line(place):
        from transformers import AutoTokenizer  # noqa: PLC0415  seconds to load
    loaded = from_pretrained(AutoTokenizer, place, name, revision)
    with one_line(place):
        # without its files the library makes a tokenizer of control tokens alone
        control = {*loaded.all_special_tokens, *loaded.get_added_vocab()}
        words = loaded.get_vocab().keys() - control
        if len(words) < 2 or not loaded("a b")["input_ids"]:  # "▁" alone is no word
            raise InputError(f"{place}: it is empty; are its files all there?")
    return loaded


def places(model: Any) -> int | None:  # noqa: ANN401
    """Return the largest length that a model of ``transformers`` accepts, None if unlimited."""
    config = model.config.get_text_config()
    most: object = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or most < 1:
        return None
    for name, module in model.named_modules():
        padding = getattr(module, "padding_idx", None)
        if name.endswith("position_embeddings") and padding is not None:
            return most - int(padding) - 1  # RoBERTa counts positions from after its padding
    return most


def _require_safe_files(folder: str) -> None:
    """Check that a folder with weights holds a complete model in safetensors.

    Raises:
        OSError: It does not.
    """
    if not os.path.isdir(folder):
        return
    files = sorted(os.listdir(folder))
    if "adapter_config.json" in files:
        names = ", ".join(file for file in files if file.startswith("adapter"))
        raise OSError(f"it holds an adapter ({names}); merge it into its base model and save that")
    others = [file for file in files if file.endswith(_UNSAFE)]
    if "config.json" not in files:
        raise OSError(f"it has no config.json, but {', '.join(files[:3]) or 'no file at all'}")
    if others and not any(file.endswith(".safetensors") for file in files):
        raise OSError(f"it holds {others[0]}, but no .safetensors; save it anew as such")


def require_whole(place: str, model: Any, report: dict[str, Any]) -> None:  # noqa: ANN401
    """Check that files and model have the same weights, all of them finite.

    Raises:
        InputError: They do not.
    """
    kind = type(model).__name__
    wrong = {
        f"lacks what {kind} needs": report["missing_keys"],
        f"has other shapes than its config.json says for {kind}": [
            key for key, *_ in report["mismatched_keys"]
        ],
        f"has layers that its config.json does not give {kind}": [
            key for key in report["unexpected_keys"] if _LAYER.search(key)
        ],
        "has weights that are no numbers": [
            key for key, weight in model.named_parameters() if not weight.isfinite().all()
        ],
    }
    for fault, keys in wrong.items():
        if keys:
            some = ", ".join(sorted(keys)[:3])
            raise InputError(f"{place}: it {fault}: {some}{' …' if len(keys) > 3 else ''}")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the tables and progress bars of ``transformers`` off the console."""
    from transformers import utils  # noqa: PLC0415  seconds to load

    logging: Any = utils.logging  # untyped
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _damaged(folder: str, error: BaseException) -> str | None:
    """Return the file of a folder that caused an error, if the message does not name it."""
    if not os.path.isdir(folder):
        return None
    for file in sorted(os.listdir(folder)):
        path = os.path.join(folder, file)
        if file not in str(error) and os.path.isfile(path) and _unreadable(path, error):
            return path
    return None


def _unreadable(path: str, error: BaseException) -> bool:
    """Return whether a file is the unreadable one: tensors, a tokenizer, or the failing JSON."""
    from safetensors import safe_open  # noqa: PLC0415
    from tokenizers import Tokenizer  # noqa: PLC0415

    failed = getattr(error, "doc", None)  # the text that is not JSON
    try:
        if failed:
            with open(path, encoding="utf-8", errors="replace") as stream:
                return path.endswith(".json") and stream.read() == failed
        if path.endswith(".safetensors"):
            with safe_open(path, "pt"):
                return False
        if path.endswith("tokenizer.json"):
            Tokenizer.from_file(path)
    except BaseException as failure:
        if isinstance(failure, _ENDS):
            raise
        return True
    return False
