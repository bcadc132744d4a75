"""An automatic choice, with the reason that the user sees."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    value: str
    reason: str

    def __str__(self) -> str:
        return f"{self.value} ({self.reason})"
