"""`python -m engine.cli`: the command line, without a traceback from the first moment.

The modules of the command line take a moment to import. Until `run_process` handles
signals, an interrupt ends the process in the way of the system, with no exception.
`bin/latent` holds interrupts back until this module runs, since the interpreter itself
would answer them with a traceback.
"""

import signal


def run() -> None:
    """Run the command line."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    from engine.cli.main import run_process

    run_process()


if __name__ == "__main__":
    run()
