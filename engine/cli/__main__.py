"""`python -m engine.cli`: the command line, without a traceback from the first moment.

The modules of the command line take a moment to import. Until `run_process` handles
signals, an interrupt ends the process in the way of the system, with no exception.
"""

import signal


def run() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from engine.cli.main import run_process

    run_process()


if __name__ == "__main__":
    run()
