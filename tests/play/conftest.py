import pytest
from tests.play.models import write_runs

from fabula.play.shelf import Asked, Shelf


@pytest.fixture(scope="package")
def asked(tmp_path_factory: pytest.TempPathFactory) -> list[Asked]:
    return write_runs(tmp_path_factory.mktemp("play"), ("one", "two"))


@pytest.fixture(scope="package")
def shelf(asked: list[Asked]) -> Shelf:
    return Shelf(asked)
