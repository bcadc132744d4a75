"""A loss of too few points for a level and its noise, which rises all the same."""

from itertools import combinations

from fabula.findings.curves.episodes import MIN_POINTS, Episode
from fabula.findings.facts import Curve, Facts

OUT_OF_ORDER = {5: 0, 6: 1, 7: 2}
"""Points -> pairs that may fall although the loss rises. Without a trend, so few out of all pairs have a chance of
less than 1 in 100 (Kendall 1938: 1/120, 6/720, 27/5040); four points are in order once in 24."""
MIN_RISE = 1.5
"""... and the loss ends half higher than it began: from 2.0 to 3.0, where chance of noise is no excuse any more."""


def rise_of_few(facts: Facts) -> Episode | None:
    """The rise of a run whose every loss curve is short and rises. Of validation loss alone nothing is said: a model
    that memorises its stories looks the same there."""
    curves = [curve.finite for curve in facts.loss_curves if len(curve.finite) > 1]
    if not curves or not any(curve.name != "val_loss" for curve in curves):
        return None
    told = max(curves, key=lambda curve: (len(curve), curve.name != "val_loss"))
    if not _rises(told) or any(curve.values[-1] <= curve.values[0] for curve in curves):
        return None
    steps, values = told.steps, told.values
    return Episode(
        curve=told.name,
        first=int(steps[1]),
        last=int(steps[-1]),
        peak_step=int(steps[int(values.argmax())]),
        level=float(values[0]),
        peak=float(values.max()),
        end=float(values[-1]),
        over_at=None,
        recovered_at=None,
        noise=0.0,
    )


def _rises(curve: Curve) -> bool:
    values = curve.values
    if len(values) >= MIN_POINTS or len(values) not in OUT_OF_ORDER or values[0] <= 0:
        return False
    falling = sum(later <= earlier for earlier, later in combinations(values.tolist(), 2))
    return falling <= OUT_OF_ORDER[len(values)] and bool(values[-1] >= MIN_RISE * values[0])
