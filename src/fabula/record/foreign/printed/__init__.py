"""Printed lines of training programs: `FORMATS` lists what is known of each."""

from fabula.record.foreign.printed import trainer_lines
from fabula.record.foreign.printed.formats import FORMATS
from fabula.record.foreign.printed.reading import find, names_in

__all__ = ["FORMATS", "find", "names_in", "trainer_lines"]
