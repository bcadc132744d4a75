"""The trackers that are known: what each needs installed, and where it would put a run."""

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
        else "kept in wandb/ (nothing is sent: you are not logged in, or WANDB_MODE says so; `wandb sync` sends it)"
    )


def wandb_mode() -> Literal["online", "offline", "disabled"]:
    """As WANDB_MODE says; without it online for who has logged in, and else offline: nothing ever asks for a key."""
    match os.environ.get("WANDB_MODE"):
        case "online":
            return "online"
        case "offline" | "dryrun":
            return "offline"
        case "disabled":
            return "disabled"
    host = urlsplit(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    file = Path(os.environ.get("NETRC", "~/.netrc")).expanduser()
    try:
        logged_in = bool(os.environ.get("WANDB_API_KEY")) or host in netrc.netrc(file).hosts
    except (OSError, netrc.NetrcParseError):
        logged_in = False
    return "online" if logged_in else "offline"


def _trackio() -> str:
    if remote := os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL"):
        return f"sent to {remote.partition('?')[0]}"
    return f"kept here; `trackio show --project {project('TRACKIO_PROJECT')}` shows it"


def _mlflow() -> str:
    uri = urlsplit(os.environ.get("MLFLOW_TRACKING_URI", ""))
    return f"sent to {uri.hostname}" if uri.hostname else f"kept in {uri.path or 'mlflow.db'}; `mlflow ui` shows it"


def project(variable: str) -> str:
    return os.environ.get(variable) or PROJECT


KNOWN = {
    each.name: each
    for each in (
        Tracker("tensorboard", ("tensorboard",), lambda: "into the run's folder; `tensorboard --logdir .` shows it"),
        Tracker("wandb", ("wandb",), _wandb),
        Tracker("trackio", ("trackio",), _trackio),
        Tracker("mlflow", ("mlflow", "sqlalchemy", "alembic"), _mlflow),
        Tracker("aim", ("aim",), lambda: "kept in .aim; `aim up` shows it"),
    )
}


def chosen(names: Sequence[str]) -> list[Tracker]:
    """The trackers of these names, each once. Raises InputError for one that is not known or not installed."""
    trackers = []
    for name in dict.fromkeys(each.strip() for given in names for each in given.split(",")):
        if name not in KNOWN:
            raise InputError(f'unknown tracker "{name}"{nearest(name, list(KNOWN))}')
        for module in KNOWN[name].needs:
            if importlib.util.find_spec(module) is None:
                raise InputError(f"{name} needs the package {module}; install it with: pip install 'fabula[{name}]'")
        trackers.append(KNOWN[name])
    return trackers
