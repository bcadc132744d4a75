"""Keeping the memory that a step frees, instead of returning it to the system and faulting it in again."""

import ctypes
import platform

from fabula.train.machine.choice import Choice

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc


def keep_freed_memory() -> Choice:
    """Tell glibc's allocator to reuse large blocks.

    By default each block above 32 MB is mapped anew and its pages are zeroed by the kernel at first touch. A step of
    `basic` allocates some hundred such megabytes: on two cores it took 383 and 453 ms so, 295 and 302 ms otherwise.
    No threshold would do for trimming, since the largest that can be given is 2 GB: a step of `quality`, which frees
    4, took 2.77 s with it and 2.40 without any. The price is that the process keeps its peak memory until it ends.
    """
    if platform.libc_ver()[0] != "glibc":
        return Choice("default", "not glibc, whose allocator is the one that returns large blocks at once")
    libc = ctypes.CDLL(None)
    settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 2**28))  # -1: never trim
    if not all(libc.mallopt(name, value) for name, value in settings):
        return Choice("default", "the allocator refused to keep freed memory")
    return Choice("kept", "freed memory is reused, which saves the page faults of every step")
