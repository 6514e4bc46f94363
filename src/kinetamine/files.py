"""Files written whole or not at all: the one way in which kinetamine writes a file."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from kinetamine.errors import InputError

__all__ = ["check_writable", "write_whole"]

#: what is written: a text, bytes, or a function that fills the file whose path it is given
Content = str | bytes | Callable[[str], object]

#: seconds after which a part of another machine counts as left behind
_LEFT_BEHIND_S = 86_400.0
_NODE = re.sub(r"\W+", "_", platform.node())


def check_writable(path: str | os.PathLike[str], where: str | None = None) -> Path:
    """Refuse a place that cannot be written before any work is done.

    Parameters
    ----------
    path : str or path
    where : str, optional
        Named in the error; default the path itself.

    Raises
    ------
    InputError
        If its folder is missing or closed, or it is a folder itself.

    Examples
    --------
    >>> check_writable("no such folder/result.csv", "--out")
    Traceback (most recent call last):
    kinetamine.errors.InputError: --out: got 'no such folder/result.csv' in the folder ..., which does not exist; ...
    """
    path = Path(path)
    place, given = where or str(path), repr(str(path))
    try:
        # a link keeps pointing to the file
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise InputError(place, f"{given}, a folder", "the name of a file", str(path / "result.csv"))
        if not target.parent.is_dir():
            raise InputError(
                place,
                f"{given} in the folder {target.parent}, which does not exist",
                "a file in a folder that exists",
                f"mkdir -p {target.parent}",
            )
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            return target
        if not os.access(target.parent, os.W_OK):
            raise InputError(place, given, "a folder that may be written to", "another folder")
    except (OSError, ValueError) as error:
        raise _refused(place, error) from None
    return target


def write_whole(path: str | os.PathLike[str], content: Content, where: str | None = None) -> None:
    """Write a file so that a reader finds the old one or the whole new one, never a part.

    The new one is made beside the old one and put in its place in one step; what a killed process left there
    goes. A device or a pipe is written to as it is.

    Parameters
    ----------
    path : str or path
    content : str, bytes or callable(path)
        A text (UTF-8), bytes, or what fills the file at the path it is given.
    where : str, optional
        Named in the error; default the path itself.

    Raises
    ------
    InputError
        If it cannot be written: no such folder, not allowed, disk full. The old file is still there.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(folder + "/a.txt", "all of it")
    ...     Path(folder, "a.txt").read_text()
    'all of it'
    """
    place = where or str(path)
    target = check_writable(path, where)
    try:
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            with tempfile.TemporaryDirectory() as folder:
                part = Path(folder, "whole")
                _fill(part, content)
                target.write_bytes(part.read_bytes())
            return
        _clear(target)
        part = target.parent / f".{target.name[:100]}.{_NODE}.{os.getpid()}.{secrets.token_hex(4)}.part"
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            if target.exists():
                part.chmod(stat.S_IMODE(target.stat().st_mode))
            _fill(part, content)
            os.replace(part, target)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(place, error) from error


def _fill(part: Path, content: Content) -> None:
    if isinstance(content, str):
        part.write_text(content, encoding="utf-8", newline="")
    elif isinstance(content, bytes):
        part.write_bytes(content)
    else:
        content(str(part))


def _refused(place: str, error: OSError | ValueError) -> InputError:
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(place, reason, "a place that can be written to", "another folder")


def _clear(target: Path) -> None:
    """Remove the parts that processes which are gone have left beside a file."""
    head = f".{target.name[:100]}."
    for part in target.parent.iterdir():
        if not (part.name.startswith(head) and part.name.endswith(".part")):
            continue
        with contextlib.suppress(OSError):
            if _left_behind(part, head):
                part.unlink()


def _left_behind(part: Path, head: str) -> bool:
    node, number, *_ = [*part.name.removeprefix(head).split("."), ""]
    # a signal of 0 asks whether a process is there; elsewhere than on POSIX it would end it
    if node == _NODE and number.isdigit() and os.name == "posix":
        if int(number) == os.getpid():
            return False
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            return True
        except OSError:
            return False
        return False
    return time.time() - part.stat().st_mtime > _LEFT_BEHIND_S
