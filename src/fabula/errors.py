"""The one exception that is meant for the user's eyes."""

import re


class InputError(ValueError):
    """Something the user gave is wrong. The message is one line: what is wrong, and what to do about it.

    The command line prints it without a traceback and exits with 2. Any other exception is a defect of
    fabula and keeps its traceback.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        """`remedy` apart where somebody tells the problem alone, since another way out was found."""
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy

    def __reduce__(self) -> tuple[type["InputError"], tuple[str, str]]:
        return InputError, (self.problem, self.remedy)  # as workers of a pool send it


OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|cannot allocate memory|not enough memory|out of memory|failed to map segment|"
    r"can't start new thread",
    re.IGNORECASE,
)
"""As torch, the system's loader of libraries and Python say it, each in an exception of its own; a thread that cannot
start lacks room for its stack."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that there is no memory left."""
    told = isinstance(error, (RuntimeError, ImportError)) and OUT_OF_MEMORY.search(str(error)) is not None
    return told or isinstance(error, MemoryError)


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean "width"?` for the known word closest to `word`, or the list of what there is."""
    import difflib  # spared where nothing is wrong

    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if match:
        return f'; did you mean "{match[0]}"?'
    return f"; known: {', '.join(sorted(known))}" if known else ""
