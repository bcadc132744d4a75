"""Processes that meet in a store which remembers others."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore

from fabula.train.processes.meeting import fresh_part

SOON = timedelta(seconds=20)


def test_each_meeting_has_a_part_of_its_own() -> None:
    size = 3
    store = HashStore()
    seen = []
    for number in range(3):  # torchrun starts the processes again, and the words of the last ones are still there
        order = [0, 1, 2] if number % 2 else [2, 1, 0]
        with ThreadPoolExecutor(size) as threads:
            futures = {rank: threads.submit(fresh_part, store, rank, size, SOON) for rank in order}
            parts = [futures[rank].result() for rank in range(size)]
        assert not parts[0].check(["address"]), "nobody has been here before"
        parts[0].set("address", str(number))
        seen.append([each.get("address").decode() for each in parts])
    assert seen == [[str(number)] * size for number in range(3)]


def test_who_does_not_come_is_not_waited_for_for_ever() -> None:
    with pytest.raises(RuntimeError, match="not all connected"):
        fresh_part(HashStore(), 0, 2, timedelta(seconds=0.2))
