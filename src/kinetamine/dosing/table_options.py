"""What a reader of event tables can be told, and how each face names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from kinetamine.dosing.words import HOURS, MASS, TIME_WORDS, plain
from kinetamine.errors import InputError, UnknownName

__all__ = ["ALSO", "Options", "TableOptions", "in_python", "on_command_line"]


def in_python(option: str, value: Any) -> str:
    """How an option is written in Python.

    Examples
    --------
    >>> in_python("rename", {"WT": "weight"}), in_python("sort", True)
    ("rename={'WT': 'weight'}", 'sort=True')
    """
    return f"{option}={value!r}"


def on_command_line(option: str, value: Any) -> str:
    """How an option is written on the command line.

    Examples
    --------
    >>> on_command_line("rename", {"WT": "weight"}), on_command_line("sort", True)
    ('--rename WT=weight', '--sort')
    """
    name = "--" + option.replace("_", "-")
    if value is True:
        return name
    if isinstance(value, Mapping):
        return " ".join(f"{name} {key}={meaning}" for key, meaning in value.items())
    text = ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    return f"{name} '{text}'" if " " in text or text in ("#", "@") else f"{name} {text}"


#: what a row of output may have besides outputs and columns carried along
ALSO = ("doses", "tad", "parameters")


class Options(TypedDict, total=False):
    """The options of `EventTable.read`, as keywords."""

    rename: Mapping[str, str]
    sort: bool
    time_unit: str
    amount_unit: str
    ignore: str | Sequence[str]
    accept: str | Sequence[str]
    cmt: Mapping[Any, Any] | str | int | None
    missing: Any
    columns: str | Sequence[str] | None
    carry: str | Sequence[str]
    also: str | Sequence[str]
    zero_dose: bool
    no_dose: bool | None
    say: Callable[[str, Any], str]


@dataclass(frozen=True)
class TableOptions:
    """How a table is to be read; each field is an option of `EventTable.read` and explained there."""

    rename: Mapping[str, str] = field(default_factory=dict)
    sort: bool = False
    time_unit: str = ""
    amount_unit: str = ""
    ignore: Sequence[str] = ()
    accept: Sequence[str] = ()
    cmt: Mapping[str, str] | str | None = None
    missing: tuple[str, ...] = ()
    columns: tuple[str, ...] | None = None
    carry: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    zero_dose: bool = False
    no_dose: bool | None = None
    say: Callable[[str, Any], str] = in_python

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> TableOptions:
        """Read the keywords of a call.

        Raises
        ------
        InputError
            If an option is unknown or has a value it cannot have.
        """
        known = {item.name for item in fields(cls)}
        for name in given:
            if name not in known:
                raise UnknownName("events", name, known, "an option of event tables")
        kept: dict[str, Any] = dict(given)
        say = kept.get("say", in_python)
        if not isinstance(kept.get("rename") or {}, Mapping):
            raise InputError(
                "rename", repr(kept["rename"]), "old names and new ones", say("rename", {"WT": "weight"})
            )
        kept["rename"] = {str(old): str(new) for old, new in (kept.get("rename") or {}).items()}
        for name in ("ignore", "accept", "carry", "also"):
            kept[name] = _texts(name, kept.get(name), commas=name in ("carry", "also"))
        kept["also"] = tuple(word.lower() for word in kept["also"])
        for word in kept["also"]:
            if word not in ALSO:
                raise UnknownName("also", word, ALSO, "one of " + ", ".join(ALSO))
        if kept.get("columns") is not None:
            kept["columns"] = _texts("columns", kept["columns"], commas=True)
        absent = kept.get("missing", ())
        absent = (absent,) if isinstance(absent, (str, int, float)) else tuple(absent or ())
        kept["missing"] = tuple(_number_text(item) for item in absent)
        cmt = kept.get("cmt")
        if isinstance(cmt, Mapping):
            kept["cmt"] = {_number_text(old): str(new) for old, new in cmt.items()}
        elif cmt is not None:
            kept["cmt"] = str(cmt)
        if "time_unit" in kept:
            kept["time_unit"] = time_unit(kept["time_unit"])
        if "amount_unit" in kept:
            kept["amount_unit"] = mass_unit(kept["amount_unit"])
        return cls(**kept)


def time_unit(unit: object, where: str = "time_unit") -> str:
    """The name of a unit of time for any word for it; nothing stays nothing."""
    if unit == "":
        return ""
    found = TIME_WORDS.get(plain(unit).strip()) if isinstance(unit, str) else None
    if found is None:
        raise UnknownName(where, str(unit), HOURS, "one of " + ", ".join(HOURS))
    return found


def mass_unit(unit: object, where: str = "amount_unit") -> str:
    """The name of a unit of mass for any word for it; nothing stays nothing."""
    if unit == "":
        return ""
    found = plain(unit).strip() if isinstance(unit, str) else None
    if found not in MASS:
        raise UnknownName(where, str(unit), MASS, "one of " + ", ".join(MASS))
    return found


def _texts(name: str, value: Any, *, commas: bool) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        parts = value.replace(",", " ").split() if commas else [value]
        return tuple(part for part in parts if part)
    if not isinstance(value, Iterable) or not all(isinstance(item, str) for item in value):
        raise InputError(name, repr(value)[:60], "a text or a list of texts", "")
    return tuple(value)


def _number_text(value: Any) -> str:
    """-99, -99.0 and "-99" are one."""
    try:
        return f"{float(value):.12g}"
    except (TypeError, ValueError):
        return str(value)
