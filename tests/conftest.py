"""What holds for every test."""

import signal

# A shell lets what it starts in the background ignore interrupts, and so would every
# program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
