"""Time stamps in lists of files: seconds as in TUM's, or milli-, micro- or nanoseconds."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

import numpy as np
import numpy.typing as npt

Times = npt.NDArray[np.int64]

_SECOND, _MILLI, _MICRO, _NANO = 9, 6, 3, 0  # tens that a unit is of a nanosecond
_SINCE_1970 = ((1e17, _NANO), (1e14, _MICRO), (1e11, _MILLI))  # from 1973 on, and none of the next
_STEPS = ((5e6, _NANO), (5e3, _MICRO), (5.0, _MILLI))  # between images, 5 ms to 5 s
_MOST_DIGITS = 20  # before the point; as a whole number, 1e999999999 would fill the memory
_NOW_S = 1e9  # seconds since 1970 in this century


def parse_stamps(texts: Sequence[str]) -> Times:
    """Return stamps in nanoseconds, exactly; all are of one unit, which their size tells.

    Numbers too small for a time since 1970 are seconds, unless they are whole and so far apart that
    images would come more than 5 s after each other.

    Raises:
        ValueError: one is no number, or reaches beyond the year 2262.
    """
    try:
        stamps = [Decimal(text) for text in texts]
    except InvalidOperation as error:
        raise ValueError("no number") from error
    if not all(stamp.is_finite() for stamp in stamps):
        raise ValueError("no number")
    if any(stamp.adjusted() > _MOST_DIGITS for stamp in stamps):
        raise ValueError("out of range")
    tens = _unit(stamps)
    times_ns = [int(stamp.scaleb(tens).to_integral_value()) for stamp in stamps]
    if any(abs(time_ns) >= 2**63 for time_ns in times_ns):
        raise ValueError("out of range")
    return np.array(times_ns, np.int64)


def _unit(stamps: Sequence[Decimal]) -> int:
    largest = max((abs(float(stamp)) for stamp in stamps), default=0.0)
    for least, tens in _SINCE_1970:
        if largest >= least:
            return tens
    if len(stamps) < 2 or any(stamp != stamp.to_integral_value() for stamp in stamps):
        return _SECOND
    step = float(np.median(np.diff(np.sort(np.array(stamps, np.float64)))))
    for least, tens in _STEPS:
        if step >= least and not (tens == _MILLI and largest >= _NOW_S):
            return tens
    return _SECOND
