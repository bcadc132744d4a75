"""How far a run is."""

from dataclasses import dataclass


@dataclass
class Progress:
    """How far a run is: the numbers that a checkpoint keeps beside the tensors."""

    step: int = 0
    tokens: int = 0
    positions: int = 0
    training_seconds: float = 0.0
    evaluation_seconds: float = 0.0
    skipped_in_a_row: int = 0
    best_step: int = 0
    best_loss: float | None = None
