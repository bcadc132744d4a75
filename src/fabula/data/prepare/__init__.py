"""From a source to a prepared folder: splits, duplicates, vocabulary, encoding, writing."""

from fabula.data.prepare.journal import unfinished
from fabula.data.prepare.preparation import PreparationSummary, default_folder, prepare

__all__ = ["PreparationSummary", "default_folder", "prepare", "unfinished"]
