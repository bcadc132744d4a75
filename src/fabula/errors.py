"""The one exception that is meant for the user's eyes."""


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


def nearest(word: str, known: list[str]) -> str:
    """`; did you mean "width"?` for the known word closest to `word`, or the list of what there is."""
    import difflib  # spared where nothing is wrong

    match = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if match:
        return f'; did you mean "{match[0]}"?'
    return f"; known: {', '.join(sorted(known))}" if known else ""
