"""Whether the network answers, without a long wait where it does not."""

import threading
import urllib.error
import urllib.request

PATIENCE_SECONDS = 5.0  # the libraries that fetch wait without limit or try for half a minute, which reads as a hang


def answers(url: str) -> bool:
    """Whether `url` begins to answer within PATIENCE_SECONDS, be it with a refusal.

    Asked in a thread, because looking up a name has no time limit of its own.
    """
    answered = threading.Event()

    def ask() -> None:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS):
                answered.set()
        except urllib.error.HTTPError:
            answered.set()
        except OSError:
            return

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return answered.is_set()
