"""JSON numbers as text to Arrow numbers, a whole column at a time (RFC 8259, section 6)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

BoolArray = npt.NDArray[np.bool_]

# Longer numbers and a whole -0 are rare: what they are to a column is the plain decoder's to say.
_FRACTION, _EXPONENT = r"\.[0-9]{1,25}", r"([eE][-+]?[0-9]{1,2})?"
_NUMBER = rf"((0|-?[1-9][0-9]{{0,17}})({_FRACTION})?|-0{_FRACTION}){_EXPONENT}"


def are_numbers(texts: pa.StringArray) -> BoolArray:
    """Which texts are JSON numbers of usual length; each of them is a finite float64."""
    return _match(texts, f"^{_NUMBER}$")


def are_whole(texts: pa.StringArray, digits: int) -> BoolArray:
    """Which texts are JSON numbers without fraction and exponent, of at most so many digits."""
    return _match(texts, f"^(0|-?[1-9][0-9]{{0,{digits - 1}}})$")


def are_scalars(texts: pa.StringArray) -> BoolArray:
    """Which texts are JSON numbers of usual length, ``true``, ``false`` or ``null``."""
    return _match(texts, f"^({_NUMBER}|true|false|null)$")


def are_booleans(texts: pa.StringArray) -> BoolArray:
    """Which texts are ``true`` or ``false``."""
    return _match(texts, "^(true|false)$")


def _match(texts: pa.StringArray, pattern: str) -> BoolArray:
    return np.asarray(pc.match_substring_regex(texts, pattern).to_numpy(zero_copy_only=False))
