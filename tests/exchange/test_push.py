"""`fabula push` against a stand-in for the hub: whole, refused and interrupted; a line each, and nothing by halves."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from tests.exchange.hub import TOKEN, Hub, running
from tests.train.tiny import tiny, tiny_run

from fabula.cli import run
from fabula.errors import InputError
from fabula.exchange.pushing import check_repository, push

FILES = {
    "README.md", "config.json", "generation_config.json", "model.safetensors", "recipe.toml", "report.html",
    "report.md", "tokenizer.json", "tokenizer_config.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def made(grammar_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_run(grammar_folder, tmp_path_factory.mktemp("push") / "first", tiny(steps=3))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in, in the place of the hub, and somebody who has logged in."""
    with running() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
        monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's tries
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def test_a_run_is_there_as_one_private_commit_and_again_over_itself(
    made: Path, hub: Hub, grammar_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["push", str(made), "me/tiny", "--html", str(made / "run.json")]) == 0
    out = capsys.readouterr().out
    assert f"{hub.url}/me/tiny" in out and "private" in out
    files = hub.files("me/tiny")
    assert set(files) == FILES | {"model.html"} and hub.commits == 1 and hub.repositories["me/tiny"]["private"]
    assert b"report.md" in files["README.md"] and b"pipeline_tag" in files["README.md"]
    assert len(files["model.safetensors"]) > 10_000
    del files["model.html"]  # which is run.json here
    for place in (made.parent, grammar_folder):
        assert not [name for name, content in files.items() if str(place).encode() in content], (
            "no path of this machine"
        )
    assert run(["push", str(made), "tiny"]) == 2
    assert "me/tiny is taken: it has 10 files" in capsys.readouterr().err and hub.commits == 1
    assert run(["push", str(made), "me/tiny", "--update", "--public"]) == 0
    assert hub.commits == 2 and not hub.repositories["me/tiny"]["private"] and "public" in capsys.readouterr().out


def test_what_would_be_sent_is_shown_and_nothing_is_asked(
    made: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert run(["push", str(made), "me/tiny", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in FILES) and "9 files would go to me/tiny, private" in out
    assert run(["push", str(made), "me/../tiny", "--dry-run"]) == 2
    assert "is no name of a repository" in capsys.readouterr().err
    assert not hub.seen


@pytest.mark.parametrize("more", [(), ("--update",)], ids=["empty", "with files"])
def test_a_public_repository_is_gone_into_only_with_public(
    more: tuple[str, ...], made: Path, hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    there = {"README.md": b"by hand"} if more else {}
    hub.repositories["me/tiny"] = {"private": False, "files": dict(there)}
    assert run(["push", str(made), "me/tiny", *more]) == 2
    assert "me/tiny is public: everybody would see the run; add --public, or choose another" in capsys.readouterr().err
    assert hub.files("me/tiny") == there and hub.commits == 0
    assert run(["push", str(made), "me/tiny", *more, "--public"]) == 0
    assert set(hub.files("me/tiny")) == FILES


REFUSED = {
    "no token": ({}, "me/tiny", None, "nobody has logged in"),
    "a bad token": ({}, "me/tiny", "hf_other", "does not know this token"),
    "somebody else's": ({}, "stranger/tiny", TOKEN, "does not let you write there"),
    "the commit is refused": ({"/api/models/me/tiny/commit": 400}, "me/tiny", TOKEN, "private and empty"),
    "the network goes away": ({"/blobs": 0}, "me/tiny", TOKEN, "me/tiny is there, private and empty"),
    "not made public": ({"/api/models/me/tiny/settings": 400}, "me/tiny", TOKEN, "which stays private"),
}


@pytest.mark.parametrize("how", REFUSED)
def test_each_refusal_is_a_line_and_nothing_is_there_by_halves(
    how: str, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.broken, name, token, said = REFUSED[how]
    (tmp_path / "folder").mkdir()
    for file in FILES:
        (tmp_path / "folder" / file).write_bytes(os.urandom(2000) if "safetensors" in file else b"a text")
    monkeypatch.setenv("HF_TOKEN", token or "")

    def checked_and_pushed() -> None:
        check_repository(name, sending=True)
        push(tmp_path / "folder", name, public=True, update=False, message="a test")

    with pytest.raises(InputError, match=said) as refused:
        checked_and_pushed()
    assert "\n" not in str(refused.value)
    for repository in hub.repositories.values():
        assert repository["private"] and set(repository["files"]) in (set(), FILES)


def test_one_that_is_stopped_goes_on(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the weights are sent."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "model.safetensors").write_bytes(os.urandom(2000))

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.HfApi.preupload_lfs_files", stopped)
        with pytest.raises(KeyboardInterrupt):
            push(tmp_path / "folder", "me/tiny", public=True, update=False, message="a test")
    assert hub.repositories["me/tiny"] == {"private": True, "files": {}}
    assert push(tmp_path / "folder", "me/tiny", public=True, update=False, message="a test").public
    assert set(hub.files("me/tiny")) == {"model.safetensors"} and not hub.repositories["me/tiny"]["private"]
