"""The trackers that are known: what each needs installed, and where it would put a run."""

import configparser
import importlib.util
import netrc
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from fabula.errors import InputError, nearest

PROJECT = "fabula"
"""What trackers put the runs under, unless the tracker's own environment variable names something else."""


@dataclass(frozen=True)
class Tracker:
    name: str
    needs: tuple[str, ...]
    """Modules that have to be installed."""
    where: Callable[[], str]
    """Where a run would go, in words."""


def _wandb() -> str:
    return (
        "sent to your account"
        if wandb_mode() == "online"
        else "kept in wandb/ (nothing is sent: you are not logged in, or `wandb offline` or WANDB_MODE says so; "
        "`wandb sync` sends it)"
    )


def wandb_mode() -> Literal["online", "offline", "disabled"]:
    """As WANDB_MODE says, else as W&B's settings files do; where nothing says it, online for who has logged in, and
    else offline: nothing ever asks for a key."""
    saved = _wandb_settings()
    match os.environ.get("WANDB_MODE") or saved.get("mode"):
        case "online":
            return "online"
        case "offline" | "dryrun":
            return "offline"
        case "disabled":
            return "disabled"
    host = urlsplit(os.environ.get("WANDB_BASE_URL") or saved.get("base_url") or "https://api.wandb.ai").hostname or ""
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        logged_in = bool(os.environ.get("WANDB_API_KEY")) or host in netrc.netrc(file).hosts
    except (OSError, netrc.NetrcParseError):
        logged_in = False
    return "online" if logged_in else "offline"


def _wandb_settings() -> dict[str, str]:
    """What `wandb offline`, `wandb disabled`, `wandb init` and `wandb login` have saved: for this folder, and else for
    all. Read here as its wandb/sdk/lib/settings_file.py reads it, for importing W&B takes seconds."""
    root = Path(os.environ.get("WANDB_DIR", ".")).expanduser()
    here = root / (".wandb" if (root / ".wandb").exists() else "wandb")
    saved: dict[str, str] = {}
    for folder in (Path(os.environ.get("WANDB_CONFIG_DIR", "~/.config/wandb")).expanduser(), here):
        parser = configparser.ConfigParser()
        try:
            parser.read(folder / "settings")
            saved |= dict(parser.items("default"))
        except (OSError, UnicodeDecodeError, configparser.Error):
            continue  # none is there, or W&B could not read it either
    return saved


def _trackio() -> str:
    if remote := os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL"):
        return f"sent to {remote.partition('?')[0]}"
    return f"kept here; `trackio show --project {project('TRACKIO_PROJECT')}` shows it"


def _mlflow() -> str:
    named = os.environ.get("MLFLOW_TRACKING_URI", "")
    uri = urlsplit(named)
    if named == "databricks" or uri.scheme == "databricks":
        return "sent to Databricks"
    if len(uri.scheme) <= 1 or uri.scheme == "file" or uri.scheme.startswith("sqlite"):  # one letter: a drive
        place = uri.path.removeprefix("/") if uri.scheme.startswith("sqlite") else uri.path
        return f"kept in {place or 'mlflow.db'}; `mlflow ui` shows it"
    return f"sent to {uri.hostname or named.partition('?')[0].rpartition('@')[2]}"


def _aim() -> str:
    named = os.environ.get("AIM_REPO", "")
    if named.startswith("aim://"):
        return f"sent to {urlsplit(named).hostname}"
    return f"kept in {Path(named) / '.aim'}; `aim up` shows it"


def project(variable: str) -> str:
    return os.environ.get(variable) or PROJECT


KNOWN = {
    each.name: each
    for each in (
        Tracker("tensorboard", ("tensorboard",), lambda: "into the run's folder; `tensorboard --logdir .` shows it"),
        Tracker("wandb", ("wandb",), _wandb),
        Tracker("trackio", ("trackio",), _trackio),
        Tracker("mlflow", ("mlflow", "sqlalchemy", "alembic"), _mlflow),
        Tracker("aim", ("aim",), _aim),
    )
}


def chosen(names: Sequence[str]) -> list[Tracker]:
    """The trackers of these names, each once. Raises InputError for one that is not known, not installed, or off."""
    trackers = []
    for name in dict.fromkeys(each.strip() for given in names for each in given.split(",")):
        if name not in KNOWN:
            raise InputError(f'unknown tracker "{name}"{nearest(name, list(KNOWN))}')
        for module in KNOWN[name].needs:
            if importlib.util.find_spec(module) is None:
                raise InputError(f"{name} needs the package {module}; install it with: pip install 'fabula[{name}]'")
        if name == "wandb" and wandb_mode() == "disabled":
            raise InputError(
                "W&B is switched off here, by `wandb disabled` or WANDB_MODE=disabled, and would keep nothing; switch "
                "it on with `wandb enabled` (or without WANDB_MODE), or leave wandb out"
            )
        trackers.append(KNOWN[name])
    return trackers
