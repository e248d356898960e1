"""Student's 95 % interval, which every ± of the package is."""

from scipy.special import stdtrit


def half_width(error: float, count: int) -> float:
    """Return t(0.975; n − 1) · error, half the interval of a mean over n observations."""
    return float(stdtrit(count - 1, 0.975)) * error
