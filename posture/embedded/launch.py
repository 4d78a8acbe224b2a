"""Becomes a server: gives up root where asked, ties its life to the starter's, then executes.

Run as a script by `posture.embedded.process`, never imported; standard library only. It exists
because the same steps in a `preexec_fn` may deadlock in a program with threads, and because the
order matters: prctl(2) says the parent-death signal is cleared by a change of user, so it is set
after the change, and the parent is looked at again in case it died in between.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
EXIT_CANNOT_EXECUTE = 127


def give_up_root(uid: int, gid: int) -> None:
    """Become `uid` and `gid` with no further group."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Ask Linux for `death_signal` when the starter dies; elsewhere there is no such call."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")
    if os.getppid() != parent:
        sys.exit("the program that started this server is gone; not starting")


def main() -> None:
    """Arguments: parent pid, death signal, umask, uid and gid (or -), program and its arguments."""
    parent, death_signal, umask, uid, gid, *command = sys.argv[1:]
    try:
        if umask != "-":
            os.umask(int(umask, 8))
        if uid != "-":
            give_up_root(int(uid), int(gid))
        die_with_parent(int(parent), int(death_signal))
        os.execv(command[0], command)  # noqa: S606 - the purpose of this script; no shell
    except OSError as refusal:
        sys.stderr.write(f"cannot execute {command[0]}: {refusal}\n")
        sys.exit(EXIT_CANNOT_EXECUTE)


if __name__ == "__main__":
    main()
