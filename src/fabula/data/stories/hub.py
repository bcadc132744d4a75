"""Data sets of the Hugging Face hub, by way of its own library and cache."""

import re
from pathlib import Path

from fabula.data.network import answers
from fabula.data.stories.formats.kinds import suffix_of
from fabula.data.stories.sources import BUILTIN
from fabula.errors import InputError

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
OTHERWISE = f"or take the built-in stories: fabula prepare {BUILTIN}"


def fetch_from_hub(name: str) -> Path:
    """The local copy of a data set that huggingface_hub keeps in its own cache, fetched if the network answers.

    Raises InputError where the library is not installed, and where the data set can be neither found nor fetched.
    """
    try:
        from huggingface_hub import HfApi, constants, snapshot_download  # an extra
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise InputError(
            f"{name} is no file or folder here; to fetch it as a data set from the Hugging Face hub, first: "
            f"pip install 'fabula[hub]'; {OTHERWISE}"
        ) from None
    try:
        if constants.HF_HUB_OFFLINE or not answers(constants.ENDPOINT):
            return Path(snapshot_download(name, repo_type="dataset", local_files_only=True))
        files = HfApi().list_repo_files(name, repo_type="dataset")
        export = [file for file in files if file.startswith("data/") and file.endswith(".parquet")]
        wanted = export or [file for file in files if suffix_of(Path(file)) is not None]
        return Path(snapshot_download(name, repo_type="dataset", allow_patterns=wanted))
    except LocalEntryNotFoundError:
        reason = "the network does not answer, and the hub's cache does not hold it"
    except (OSError, HfHubHTTPError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
    raise InputError(
        f"{name} is no file or folder here, and cannot be fetched from the Hugging Face hub: {reason}; {OTHERWISE}"
    )
