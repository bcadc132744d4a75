"""What `fabula` hands out, for type checkers: the package itself loads nothing before it is asked."""

from fabula.api.comparing import compare as compare
from fabula.api.comparing import report as report
from fabula.api.diagnosing import diagnose as diagnose
from fabula.api.diagnosing import read as read
from fabula.api.diagnosing import read_all as read_all
from fabula.api.making import prepare as prepare
from fabula.api.making import train as train
from fabula.api.model import load as load
from fabula.api.planning import plan as plan
from fabula.api.record import Record as Record
from fabula.errors import InputError as InputError
from fabula.recipe import Recipe as Recipe
from fabula.recipe import load_recipe as load_recipe
from fabula.recipe import recipe_names as recipe_names

__version__: str
