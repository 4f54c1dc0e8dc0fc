"""The lock on a recording that is being written, which ends with its process."""


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False when another process holds it.

    On a file system without locks this succeeds: a recording had better be repaired
    while it is written than not at all.
    """
    from filelock import lock_descriptor

    try:
        return lock_descriptor(descriptor, blocking=False)
    except OSError:
        return True
