"""A folder to the Hugging Face hub in one commit, by the hub's own client.

The repository is made private, whatever it is to become: until the one commit stands there is nothing in it, and only
after that it may become public. Whoever is interrupted leaves an empty private repository, and the next call goes on.
One that is there already stays as it is: a public one is gone into only by who wants everybody to see the run.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fabula.errors import InputError
from fabula.record.wording import plural

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AGAIN = "the same call tries again"


@dataclass(frozen=True)
class Pushed:
    url: str
    public: bool


def check_repository(repository: str, sending: bool) -> None:
    """Raise InputError unless `repository` is the name of one, NAME or OWNER/NAME; and, where something is to be sent,
    unless somebody has logged in."""
    from huggingface_hub import get_token  # an extra
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils._validators import validate_repo_id

    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        reason = str(error).split(": '")[0]
        raise InputError(f"{repository} is no name of a repository: {reason}; write OWNER/NAME") from None
    if sending and get_token() is None:
        raise InputError("nobody has logged in to the Hugging Face hub; run `hf auth login`, or set HF_TOKEN")


def push(folder: Path, repository: str, *, public: bool, update: bool, message: str) -> Pushed:
    """Send all of `folder`. Raises InputError, in a line, where the name is taken, the hub refuses or does not answer;
    what it has then is told."""
    from huggingface_hub import CommitOperationAdd, HfApi  # an extra
    from huggingface_hub.errors import HfHubHTTPError

    # Whichever HTTP library this version of the client stands on: what it raises where nobody answers is of this kind.
    # A RuntimeError is what it makes of one that it met while it sent a large file.
    failures: tuple[type[BaseException], ...] = (OSError, RuntimeError, *HfHubHTTPError.__bases__)
    api = HfApi()
    try:
        repository, empty, private = _opened(api, repository, public, update)
    except failures as error:
        raise InputError(f"{_reason(error)}; nothing was sent") from None
    try:
        files = sorted(each for each in folder.rglob("*") if each.is_file())
        adds = [CommitOperationAdd(each.relative_to(folder).as_posix(), each) for each in files]
        api.create_commit(repository, adds, commit_message=message)
    except failures as error:
        seen = "private" if private else "public"
        state = f"is there, {seen} and empty" if empty else "is as it was"
        raise InputError(f"{_reason(error)}; {repository} {state}, and {AGAIN}") from None
    if public and private:
        try:
            api.update_repo_settings(repository, private=False)
        except failures as error:
            raise InputError(f"{_reason(error)}; all was sent to {repository}, which stays private; {AGAIN}") from None
    return Pushed(f"{api.endpoint}/{repository}", public or not private)


def _opened(api: "HfApi", repository: str, public: bool, update: bool) -> tuple[str, bool, bool]:
    """The repository's whole name, whether nothing is in it yet, and whether it is private. Raises InputError where
    something is in it over which nothing was to be put, and where everybody would see what not everybody was to."""
    name = str(api.create_repo(repository, private=True, exist_ok=True).repo_id)
    info = api.model_info(name)
    there = {each.rfilename for each in info.siblings or ()} - {".gitattributes"}
    if there and not update:
        raise InputError(
            f"{name} is taken: it has {plural(len(there), 'file')}; choose another, or add --update to go over them"
        )
    if not info.private and not public:
        raise InputError(f"{name} is public: everybody would see the run; add --public, or choose another")
    return name, not there, bool(info.private)


def _reason(error: BaseException) -> str:
    """Why the hub did not take it, in some words."""
    while isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return "the Hugging Face hub does not know this token; run `hf auth login` again"
    if status == 403:
        return "the Hugging Face hub does not let you write there; choose a name of your own, or a token that may write"
    if status is not None:
        said = getattr(error, "server_message", None) or f"HTTP {status}"
        return f"the Hugging Face hub refuses it ({' '.join(str(said).split())[:200]})"
    return "the Hugging Face hub does not answer; is there a network?"
