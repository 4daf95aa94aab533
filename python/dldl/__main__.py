"""The command ``dldl``, as ``python -m dldl`` and as a script."""

import signal
import sys

from ._dldl import command


def main() -> None:
    """Runs the command with the arguments of the process."""
    # Python's handler would only take note of Ctrl-C until the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.exit(command(sys.argv[1:]))


if __name__ == "__main__":
    main()
