"""The learning rates that variants of a question are given, and what these are chosen by."""

from dataclasses import dataclass, field

UNTRAINED = ("trainer.steps=0", "stages=[evaluate]")


@dataclass(frozen=True)
class Question:
    """Rates that its variants are given, and what these are chosen by.

    Attributes:
        axis: the one that says what a variant does.
        rates: the same for all variants.
        criterion: the measure that should be small.
        start: the variant that nothing was done to, if text has a price.
        keep: values of other axes, if not all.
        overrides: of every variant.
    """

    axis: str
    rates: tuple[str, ...]
    criterion: str
    start: str | None = None
    keep: dict[str, list[str]] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()


# All but the second rounds, which need a first one, and what has no rate.
REWARDED = ["none", "continued", "text_4", "text_2", "text_1", "text_half", "mixed", "filtered"]
REWARDED += ["samples", "samples_filtered", "ratio", "gradient"]
QUESTIONS = {
    "density_ratio": Question(
        "ratio", ("0.0001", "0.0003", "0.001", "0.003", "0.01"), "valid_bpc"
    ),
    "tilt": Question(
        "way", ("0.0003", "0.001", "0.003", "0.01", "0.03"), "tv", keep={"beta": ["0.4", "0.2"]}
    ),
    "reward": Question(
        "method",
        ("0.0003", "0.0006", "0.001", "0.003", "0.006"),
        "loss",
        "none",
        keep={"method": REWARDED},
        overrides=("metric.rewards.count=192",),
    ),
    "preference": Question(
        "objective", ("0.0001", "0.0003", "0.001", "0.003"), "lost", "reference"
    ),
}


def ask(question: Question, plan: dict, scale: str) -> dict:
    """The file of a question with the axis ``rate``; what is not trained takes one rate alone."""
    rates = {rate: [f"trainer.learning_rate={rate}"] for rate in question.rates}
    values = plan["axes"][question.axis]
    idle = [value for value, lines in values.items() if {*lines} & {*UNTRAINED}]
    alone = [{question.axis: value, "rate": r} for value in idle for r in question.rates[1:]]
    own = plan["scales"].get(scale, {}).get("overrides", [])
    part = {"overrides": [*own, *question.overrides], "keep": question.keep}
    return {
        **plan,
        "axes": {**plan["axes"], "rate": rates},
        "without": [*plan.get("without", []), *alone],
        "scales": {scale: part},
    }
