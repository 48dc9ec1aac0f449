"""The program: `understage`, and `python -m actors.cli`. Signals and streams are in order before the slow imports."""

import os
import signal
import sys
from typing import Final

from actors.cli.reload_signal import reload_signal

_STDERR: Final = 2


def main() -> None:
    """Run the command line and exit the process."""
    # Process 1 of a container has no default action: without a handler the first second would lose the signal.
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    if is_watch := command == "watch" and hasattr(signal, "SIGHUP"):
        reload_signal.listen()
    # Nor does a database or socket take the number of a closed stream, into which somebody else may write.
    while (free := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        os.set_inheritable(free, True)
    os.close(free)
    try:
        from actors.cli.main import main as run

        run()
    except KeyboardInterrupt:  # before or after the command, which handles it itself
        os.write(_STDERR, b"understage: interrupted\n")
        os._exit(128 + signal.SIGINT)
    finally:
        if is_watch:  # the interpreter sets every other handler back before it ends
            signal.signal(signal.SIGHUP, signal.SIG_IGN)


if __name__ == "__main__":
    main()
