"""`fabula play`: a page on this machine on which one prompts models."""

from typing import Annotated

import typer

FIRST_PORT = 8321


def play(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="[RUN[@STEP]]...",
            help="One to four run folders, or checkpoints of them; default: the newest run under runs/.",
        ),
    ] = [],  # noqa: B006
    port: Annotated[int | None, typer.Option(help=f"The port; default: the first free one from {FIRST_PORT}.")] = None,
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Where to listen; default: this machine alone. Beyond it (0.0.0.0) the address has a token in it.",
        ),
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Run the code of your own that the runs' recipes name.")
    ] = False,
) -> None:
    """Prompt one to four models side by side on a page, and see what else each word could have been.

    The page is for this machine alone. Other programs can use the models there as they use OpenAI's: /v1/completions.
    """
    from fabula.cli.named.defaults import LOADING, need_torch
    from fabula.cli.named.newest import named_or_newest
    from fabula.cli.named.several_models import are_there, names_of, place_of
    from fabula.cli.screen.terminal import show, tell
    from fabula.serve.address import listen
    from fabula.serve.door import new_token
    from fabula.serve.running import serve

    need_torch()
    places = [place_of(each) for each in runs] or [(named_or_newest(None), None)]
    names = names_of(places)
    address = listen(FIRST_PORT, port, host)
    with address.socket:
        if are_there(places):  # else one line is to say what is wrong
            tell(f"fabula: {', '.join(names)}{LOADING}", stderr=True)
        from fabula.play.server.app import make_app  # these load torch: the first line is told before
        from fabula.play.shelf import Asked, Shelf

        def say(text: str) -> None:
            tell(f"fabula: {text}", stderr=True)

        shelf = Shelf([Asked(name, run, step) for name, (run, step) in zip(names, places, strict=True)], trust, say)
        token = "" if address.is_local else new_token()

        def ready() -> None:
            tell("Ctrl-C ends it", stderr=True)
            show(f"\nNext: open {address.url}{f'?token={token}' if token else ''} in a browser")

        serve(make_app(shelf, address, token), address, ready)
