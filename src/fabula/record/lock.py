"""One writer at a time: a lock of the operating system beside a folder, held for as long as its writer lives.

The system lets go of it when the process ends, however it ends, so none is ever left behind; the file that remains
after a kill holds nobody back. It stands beside the folder, which need not exist yet. `filelock`, the library for this,
empties the file that it tries to lock, so that nobody could say which process holds it.
"""

import errno
import glob
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

from fabula.errors import InputError
from fabula.record.content.arguments import without_secrets
from fabula.record.files import PARTIAL, make_folder

PATIENCE_SECONDS = 0.5
"""A reader holds the lock for an instant when it asks whether somebody writes; a writer outwaits that."""
WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
"""What a file system says that knows no locks."""


class Busy(InputError):
    """Another process writes this folder."""


_held: set[Path] = set()
"""Lock files of this process."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder` for the block, first removing what earlier writers, killed on the way, left half done.

    Within a block of the same process it does nothing: a command takes the lock before it sets a training up, and the
    training, which may be called alone, takes it as well. Raises Busy, an InputError that names the process, while
    another one holds it. Where the file system knows no locks, and where nothing can be written (which the writer will
    say better), the block goes on without.
    """
    path = _lock_file(folder)
    descriptor = None if path in _held else _acquire(path, folder)
    if descriptor is None:
        yield
        return
    _held.add(path)
    try:
        _remove_litter(folder)
        yield
    finally:
        _held.discard(path)
        path.unlink(missing_ok=True)  # before it is let go: another writer's file is never removed
        os.close(descriptor)


def writer_of(folder: Path) -> str | None:
    """The process that writes `folder` now, in words; None where there is none, or none can be known."""
    try:
        descriptor = os.open(_lock_file(folder), os.O_RDONLY)
    except OSError:
        return None
    try:
        return None if _lock(descriptor, shared=True) else _text(descriptor)
    except OSError:
        return None
    finally:
        os.close(descriptor)


def _lock_file(folder: Path) -> Path:
    folder = folder.resolve()
    return folder.with_name(f".{folder.name}.lock")


def _acquire(path: Path, folder: Path) -> int | None:
    """The descriptor that holds the lock."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            make_folder(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            locked = _lock(descriptor, shared=False)
            if locked and _is_at(path, descriptor):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"process {os.getpid()} ({_command()})".encode())
                return descriptor
            writer = "" if locked else _text(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in WITHOUT_LOCKS:
                return None
            raise
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise Busy(_refusal(folder, writer or "another process"))
        time.sleep(0.01)


def _is_at(path: Path, descriptor: int) -> bool:
    """Whether the locked file still stands there: its last holder may have removed it between opening and locking."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _refusal(folder: Path, writer: str) -> str:
    return f"{folder} is being written by {writer}; wait until that has ended, or choose another place"


def _text(descriptor: int) -> str:
    return os.pread(descriptor, 500, 0).decode(errors="replace") or "another process"


def _command() -> str:
    name = Path(sys.argv[0]).name
    text = shlex.join(["fabula" if name == "__main__.py" else name, *without_secrets(sys.argv[1:])])
    return text if len(text) <= 200 else f"{text[:200]}..."


def _remove_litter(folder: Path) -> None:
    """Remove half-written files and folders: nobody else writes here, so whoever began them is gone."""
    name = glob.escape(folder.name)
    beside, within = f".{name}.*{PARTIAL}", (f".*{PARTIAL}", f"*/.*{PARTIAL}")
    found = chain(folder.parent.glob(beside), *(folder.glob(pattern) for pattern in within))
    for litter in list(found):
        if litter.is_dir() and not litter.is_symlink():
            shutil.rmtree(litter, ignore_errors=True)
        else:
            litter.unlink(missing_ok=True)


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int, shared: bool) -> bool:
        """Whether the lock could be had at once. A byte far behind the text is locked, so that the text can be read."""
        os.lseek(descriptor, 1 << 20, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    def _lock(descriptor: int, shared: bool) -> bool:
        """Whether the lock could be had at once."""
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
