"""The text of an answer: it ends before a stop sequence, and fits to the prompt without a second space."""

from collections.abc import Sequence


class Until:
    """Text that comes in pieces, up to the first of `stops`. What may be the beginning of one is held back."""

    def __init__(self, stops: Sequence[str], spaces: int = 0) -> None:
        """`spaces`: so many at the beginning are left out, since the prompt ended with them."""
        self.stops, self.stopped = stops, False
        self.length = 0
        """Of what came so far, with what is held back."""
        self._held, self._spaces = "", spaces

    def piece(self, text: str) -> str:
        """What can be said now."""
        while text and self._spaces and text[0] == " ":
            text, self._spaces = text[1:], self._spaces - 1
        self._spaces = 0 if text else self._spaces
        self.length += len(text)
        text = self._held + text
        ends = [place for place in (text.find(stop) for stop in self.stops) if place >= 0]
        if ends:
            self.stopped, self._held = True, ""
            return text[: min(ends)]
        keep = max((_begun(text, stop) for stop in self.stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """What was held back, once nothing follows."""
        held, self._held = self._held, ""
        return held


def _begun(text: str, stop: str) -> int:
    """How much of `stop` the end of `text` is."""
    return next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if stop.startswith(text[-size:])), 0)
