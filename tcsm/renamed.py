"""Classes by their former names, as files that earlier versions wrote still have them."""

# Former → present, both as dotted names.
CLASSES = {"tcsm.training.optim.Recipe": "tcsm.training.optim.OptimConfig"}


def current(text: str) -> str:
    """Return a text, such as a run's ``config.yaml``, with the present names of classes."""
    for former, present in CLASSES.items():
        text = text.replace(former, present)
    return text
