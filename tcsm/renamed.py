"""Former names of classes and modules, which files of earlier versions still hold."""

# Former → present, both as dotted names.
CLASSES = {
    "tcsm.training.optim.Recipe": "tcsm.training.optim.OptimConfig",
    "tcsm.data.feeds.": "tcsm.data.batch_sources.",
}


def current(text: str) -> str:
    """Return a text, such as a run's ``config.yaml``, with the present names of classes."""
    for former, present in CLASSES.items():
        text = text.replace(former, present)
    return text
