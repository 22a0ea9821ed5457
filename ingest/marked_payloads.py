"""Payloads with the places of their quotes, and which of them are plain text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ingest.payloads import LINE_END, Payloads

Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_QUOTE, _BACKSLASH, _SPACE = b'"\\ '


class MarkedPayloads:
    """What is found by one look at the bytes of many payloads.

    ``starts`` and ``ends`` are where each payload lies in ``data``; ``quotes`` are the places of
    all quotes, ``first_quotes`` the index of each payload's first one. ``plain`` tells which hold
    no escape and no control character, are UTF-8 and not too long.
    """

    def __init__(self, payloads: Payloads, max_bytes: int) -> None:
        self.data = bytes(payloads.joined)
        bounds = payloads.bounds
        self.starts, self.ends = bounds[:-1], bounds[1:] - len(LINE_END)
        self.codes = np.frombuffer(self.data, np.uint8)
        marks = np.flatnonzero((self.codes == _QUOTE) | (self.codes < _SPACE))
        is_quote = self.codes[marks] == _QUOTE
        self.quotes = marks[is_quote]
        self._bounds = np.append(np.searchsorted(self.quotes, self.starts), len(self.quotes))
        self.first_quotes = self._bounds[:-1]
        self.plain = self.ends - self.starts <= max_bytes
        self._rule_out(marks[~is_quote])
        if b"\\" in self.data:
            self.plain[self._owners(np.flatnonzero(self.codes == _BACKSLASH))] = False
        if not self.data.isascii():
            self._rule_out_other_than_utf8()

    def __len__(self) -> int:
        return len(self.starts)

    def payload(self, place: int) -> bytes:
        """One payload."""
        return self.data[self.starts[place] : self.ends[place]]

    def quotes_of(self, places: Int64Array) -> Int64Array:
        """How many quotes each of these payloads has."""
        counts: Int64Array = self._bounds[places + 1] - self._bounds[places]
        return counts

    def _rule_out(self, controls: Int64Array) -> None:
        """Control characters other than the line end behind each payload."""
        if len(controls) == len(LINE_END) * len(self):
            return
        inside = controls < self.ends[self._owners(controls)]
        self.plain[self._owners(controls[inside])] = False

    def _rule_out_other_than_utf8(self) -> None:
        try:
            self.data.decode()
        except UnicodeDecodeError:
            for place in range(len(self)):
                try:
                    self.payload(place).decode()
                except UnicodeDecodeError:
                    self.plain[place] = False

    def _owners(self, places: Int64Array) -> Int64Array:
        """The payload in which each place lies."""
        return np.searchsorted(self.starts, places, side="right") - 1
