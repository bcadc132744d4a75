"""Features by name, hashed into a vector, and logistic regression on them."""

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
import scipy.optimize
import scipy.sparse

BITS = 17
SIZE = 1 << BITS
"""131,072 places, a byte each in a file; a story has some five hundred features."""

Row = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def hashed(features: Mapping[str, float]) -> Row:
    """Places and values. crc32, since Python's own hash differs from process to process."""
    places = np.fromiter((crc32(name.encode()) & (SIZE - 1) for name in features), np.int64, len(features))
    return places, np.fromiter(features.values(), np.float64, len(features))


def dot(row: Row, weights: npt.NDArray[np.float64]) -> float:
    places, values = row
    return float(values @ weights[places])


def stacked(rows: Sequence[Row]) -> scipy.sparse.csr_matrix:
    ends = np.cumsum([0, *(len(places) for places, _ in rows)])
    places = np.concatenate([places for places, _ in rows])
    return scipy.sparse.csr_matrix(
        (np.concatenate([values for _, values in rows]), places, ends), shape=(len(rows), SIZE)
    )


def logistic(x: Any, true: npt.NDArray[np.bool_], penalty: float) -> tuple[npt.NDArray[np.float64], float]:
    """Of rows of features, dense or sparse: the weights and the constant with which sigmoid(x @ weights + constant) is
    the probability of `true`."""
    sign = np.where(true, 1.0, -1.0)
    transposed = x.T.tocsr() if scipy.sparse.issparse(x) else x.T

    def loss(weights: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        margin = sign * (x @ weights[:-1] + weights[-1])
        value = np.logaddexp(0.0, -margin).mean() + 0.5 * penalty * weights[:-1] @ weights[:-1]
        slope = -sign / (1.0 + np.exp(np.minimum(margin, 500.0))) / len(sign)
        return value, np.append(transposed @ slope + penalty * weights[:-1], slope.sum())

    start = np.zeros(x.shape[1] + 1)
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    return found[:-1], float(found[-1])
