"""The version of Latent, which packaging, the command line, OSC and files name.

It stands here as text because a checkout that was never installed has no metadata.
"""

VERSION = "0.2.0"
