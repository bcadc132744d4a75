"""Where a text was copied, letter by letter; and the whole validation stories that a judge is tested with."""

import json
from pathlib import Path

import numpy as np

from fabula.cli.judging import _true_stories
from fabula.coherence.measures.copying import copied_groups, copied_places
from fabula.coherence.measures.known import TrainingStories
from fabula.data.dataset import open_dataset


def test_stretches_are_found_by_hand() -> None:
    corpus = np.arange(100)
    text = [500, *range(10, 30), 501, *range(40, 50), 502]  # 20 tokens of the corpus, then 10
    (groups,) = copied_groups([text], corpus)
    assert groups.sum() == 13 + 3
    assert copied_places(groups, 16) == [(1, 21)]
    assert copied_places(groups, 10) == [(1, 21), (22, 32)]
    assert copied_places(groups, 21) == []
    (whole, short) = copied_groups([list(range(12)), [1, 2]], corpus)
    assert copied_places(whole, 8) == [(0, 12)] and copied_places(short, 1) == []


def test_places_are_those_of_letters(grammar_folder: Path) -> None:
    data = open_dataset(grammar_folder)
    story = data.tokenizer.decode(data.split("train").story(0))
    known = TrainingStories(data)
    inside = story[20:220]
    text = f"Ünlikely wörds: {inside} Qqq zzz xxx."
    assert known.copied_places(["Nothing of zq it. " * 3]) == [[]]
    ((stretch,),) = known.copied_places([text])
    found = text[stretch[0] : stretch[1]]
    assert len(found) > 150 and found.strip() in f" {story} "


def test_a_judge_is_tested_with_whole_stories_of_the_data(grammar_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"data": {"path": str(grammar_folder)}}))
    of_run, given = _true_stories(tmp_path, None), _true_stories(tmp_path, grammar_folder)
    data = open_dataset(grammar_folder)
    split = data.split("validation")
    stories = {data.tokenizer.decode(split.story(index)).strip() for index in range(len(split.story_hashes))}
    assert of_run == given and of_run
    assert all(f"{each.beginning}{each.continuation}".strip() in stories for each in of_run)
    (tmp_path / "run.json").write_text("{}")
    assert _true_stories(tmp_path, None) == []
