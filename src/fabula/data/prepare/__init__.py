"""From a source to a prepared folder: splits, duplicates, vocabulary, encoding, writing."""

from fabula.data.prepare.preparation import PreparationSummary, prepare

__all__ = ["PreparationSummary", "prepare"]
