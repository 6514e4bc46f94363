"""What a question is made of: a record whose fields say once what every face has to know about them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.fields import FieldInfo

from kinetamine.errors import Fault, FaultyFile, InputError, nearest

__all__ = [
    "HOW", "OUT", "WHAT", "WHEN", "WHO", "Count", "LongText", "Names", "Number", "Numbers", "Pairs", "Question",
    "Said", "Seed", "Settings", "Text", "Texts", "Words", "again", "say",
]  # fmt: skip

#: panels of the help, in the order they are shown
WHAT, WHO, WHEN, HOW, OUT = (
    "What is given", "Who gets it", "When to look", "How", "What comes out",
)  # fmt: skip

Text = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Texts = Text | Annotated[list[Text], Field(min_length=1, max_length=1_000)]
LongText = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
Names = Annotated[list[Text], Field(max_length=1_000)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Numbers = Annotated[list[Number], Field(min_length=1, max_length=200)]
Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
#: a list of two is a lowest and a highest value
Settings = Annotated[
    dict[Text, Number | Text | Annotated[list[Number | Text], Field(min_length=2, max_length=2)]],
    Field(max_length=50),
]
#: a number, or one for each of several names
Pairs = Number | Annotated[dict[Text, Number], Field(max_length=50)]


@dataclass(frozen=True)
class Words:
    """What a field says about itself beside its type, default and help.

    Parameters
    ----------
    metavar : str
        What stands for the value in the help of the command line.
    panel : str
        The heading it stands under there.
    option : str
        Its names there, such as ``"--dose"`` or ``"--bolus/--no-bolus"``; default: the name of the field.
    argument : bool
        It stands there without a name.
    toml : str
        Its key in a file, such as ``population.n``; default: its name.
    python : str or None
        Its keyword in the public function; default: its name. None: it is part of another argument.
    commas : bool
        On the command line several values stand in one, with commas between.
    unit : str
    """

    metavar: str = ""
    panel: str = ""
    option: str = ""
    argument: bool = False
    toml: str = ""
    python: str | None = ""
    commas: bool = False
    unit: str = ""

    def __call__(self, schema: dict[str, Any]) -> None:
        """Add what OpenAPI has no word for."""
        if self.unit:
            schema["x-unit"] = self.unit


def say(
    default: Any = ...,
    help: str = "",
    metavar: str = "",
    panel: str = "",
    *,
    example: Any = None,
    **words: Any,
) -> Any:
    """A field of a question: its default, a sentence for the reader, and `Words`.

    Examples
    --------
    >>> class Sum(Question):
    ...     least: Number = say(0.0, "What is counted from.", "NUMBER", unit="mg", example=5.0)
    >>> [(said.option, said.key, said.help) for said in Sum.said()]
    [('--least', 'least', 'What is counted from.')]
    """
    examples = None if example is None else [example]
    return Field(
        default, description=help, examples=examples, json_schema_extra=Words(metavar, panel, **words)
    )


def again(record: type[Question], name: str, default: Any, help: str = "", **other: Any) -> Any:
    """The field of another record with a default of its own, and perhaps another sentence or other `Words`."""
    info = record.model_fields[name]
    words: Any = info.json_schema_extra
    words = replace(words, **other)
    return Field(
        default, description=help or info.description, examples=info.examples, json_schema_extra=words
    )


@dataclass(frozen=True)
class Said:
    """One field of a question, by all its names."""

    name: str
    info: FieldInfo
    words: Words

    @property
    def key(self) -> str:
        """Its name in JSON."""
        return self.info.alias or self.name

    @property
    def toml(self) -> str:
        """Its key in a file, tables with a dot."""
        return self.words.toml or self.key

    @property
    def option(self) -> str:
        """Its names on the command line."""
        if self.words.argument:
            return self.words.metavar.strip("[].")
        return self.words.option or "--" + self.key.replace("_", "-")

    @property
    def help(self) -> str:
        """The sentence for the reader."""
        return self.info.description or ""

    @property
    def example(self) -> Any:
        """A value that could stand there."""
        return (self.info.examples or [None])[0]

    @property
    def shape(self) -> str:
        """How it is given on the command line: ``flag``, ``one``, ``many`` or ``pairs``."""
        kinds = set(_origins(self.info.annotation))
        if dict in kinds:
            return "pairs"
        if list in kinds and not self.words.commas:
            return "many"
        return "flag" if bool in kinds else "one"

    @property
    def takes_text(self) -> bool:
        """Whether a text may stand there as it is."""
        return str in set(_origins(self.info.annotation, deep=False))

    @property
    def takes_numbers(self) -> bool:
        """Whether the values of a table of names may be numbers."""
        return "float" in str(self.info.annotation)

    def place(self, face: str) -> str:
        """What the writer calls it: on the ``command line``, in a ``file`` or in a ``request``."""
        if face == "command line":
            return self.option.partition("/")[0].partition(" ")[0]
        return self.toml if face == "file" else self.key

    def shown(self, face: str) -> str:
        """An example as it would be written."""
        if self.example is None:
            return ""
        one = self.example[0] if isinstance(self.example, list) and self.shape != "one" else self.example
        if face == "request":
            return f"{self.key}: {one!r}"
        if face == "file":
            return f"{self.toml.rpartition('.')[2]} = {one!r}"
        if isinstance(one, dict):
            one = "=".join(map(str, next(iter(one.items()))))
        text = ",".join(map(str, one)) if isinstance(one, list) else str(one)
        return f"{self.place(face)} {text!r}" if " " in text else f"{self.place(face)} {text}"


def _origins(annotation: Any, deep: bool = True) -> Iterator[Any]:
    """The plain types in an annotation; those inside lists and tables are left out."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from _origins(typing.get_args(annotation)[0], deep)
    elif origin in (typing.Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from _origins(one, deep)
    else:
        yield origin or annotation


class Question(BaseModel):
    """Base of all questions: no unknown field, no silent conversion.

    JSON bodies are read strictly; `from_words` reads the texts of a command line, `from_file` what a TOML file says.
    """

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        populate_by_name=True,
        alias_generator=lambda n: n.rstrip("_"),
    )

    #: what the record is called in a sentence
    called: ClassVar[str] = "request"

    @classmethod
    def said(cls, every: bool = False) -> list[Said]:
        """All fields, in the order of the record; with `every` also those that one face alone has."""
        found = []
        for name, info in cls.model_fields.items():
            words = info.json_schema_extra
            if isinstance(words, Words) or every:
                found.append(Said(name, info, words if isinstance(words, Words) else Words()))
        return found

    @classmethod
    def like(cls, other: Question, **more: Any) -> typing.Self:
        """The question with what `other` says in the fields that both have, and more.

        Examples
        --------
        >>> from kinetamine import questions
        >>> asked = questions.Compare(doses="84 mg nasal", patients=10, analyte=["ketamine"])
        >>> questions.Effects.like(asked, seed=1).patients
        10
        """
        mine = {said.name for said in cls.said()}
        values = {said.name: value for said, value in other.told() if said.name in mine}
        return cls.model_validate(values | {k: v for k, v in more.items() if v is not None}, strict=False)

    @classmethod
    def from_words(cls, given: Mapping[str, Any]) -> typing.Self:
        """The question of a command line.

        Parameters
        ----------
        given : dict
            Texts, lists of texts and switches by the name of the field; what was not said is left out.

        Raises
        ------
        InputError
            With every fault, each under the name of its option.
        """
        values = cls.read_words(given)
        try:
            return cls.model_validate(values, strict=False)
        except ValidationError as error:
            raise _refused("command line", cls.faults(error, "command line")) from None

    @classmethod
    def read_words(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """The same words by field, lists and tables made of texts."""
        values: dict[str, Any] = {}
        for said in cls.said():
            value = given.get(said.name)
            if value is None or value == []:
                continue
            if said.shape == "pairs":
                value = _pairs(said, value)
            elif said.words.commas and not said.takes_text and isinstance(value, str):
                value = [part.strip() for part in value.split(",") if part.strip()]
            values[said.name] = value
        return values

    @classmethod
    def from_file(cls, mapping: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """What a file says by field, and what it calls each; unknown names stay, to be refused.

        A key such as ``population.n`` stands in a table; a field whose key is ``population.*`` takes what else
        stands in it, and all of ``[patient]``.
        """
        by_key = {said.toml: said.name for said in cls.said()}
        rest = {key.removesuffix(".*"): name for key, name in by_key.items() if key.endswith(".*")}
        rest |= {"patient": rest["population"]} if "population" in rest else {}
        values: dict[str, Any] = {}
        places: dict[str, str] = {}
        for key, value in mapping.items():
            if key not in rest or not isinstance(value, Mapping):
                name = by_key.get(key, key)
                values[name], places[name] = value, key
                continue
            for inner, one in value.items():
                name = by_key.get(f"{key}.{inner}", "")
                if name:
                    values[name], places[name] = one, f"{key}.{inner}"
                else:
                    values.setdefault(rest[key], {})[inner] = one
                    places[f"{rest[key]}.{inner}"] = f"{key}.{inner}"
        return values, places

    def to_file(self) -> dict[str, Any]:
        """What differs from the defaults, as a file says it.

        Examples
        --------
        >>> from kinetamine import questions
        >>> questions.Simulate(doses="84 mg nasal", patients=10, set={"weight": 80}).to_file()
        {'doses': '84 mg nasal', 'population': {'n': 10, 'weight': 80.0}}
        """
        plain: dict[str, Any] = {}
        tables: dict[str, dict[str, Any]] = {}
        for said, value in self.told():
            table, dot, key = said.toml.rpartition(".")
            if key == "*":
                many = any(s.toml == f"{table}.n" for s, _ in self.told())
                tables.setdefault(table if many else "patient", {}).update(value)
            elif dot:
                tables.setdefault(table, {})[key] = value
            else:
                plain[said.toml] = value
        return plain | tables

    @classmethod
    def renamed(cls, error: InputError, face: str) -> list[Fault]:
        """Faults of a public function under the names that the writer of the question used."""
        called = {"population": "age"}  # effects are refused for ages
        called |= {said.words.python: said.name for said in cls.said() if said.words.python}
        by_name = {key: said for said in cls.said() for key in (said.name, said.key, said.toml)}
        found = []
        for fault in error.faults:
            said = by_name.get(called.get(fault.where, fault.where))
            found.append(replace(fault, where=said.place(face)) if said else fault)
        return found

    def arguments(self) -> dict[str, Any]:
        """Keywords of the public function, without doses and people; what says nothing is left out.

        Examples
        --------
        >>> from kinetamine import questions
        >>> questions.Compare(doses="84 mg nasal", patients=10, analyte=["ketamine"]).arguments()
        {'analyte': ['ketamine']}
        """
        found = {}
        for said, value in self.told():
            if said.words.python is not None:
                one = isinstance(value, list) and len(value) == 1 and said.takes_text
                found[said.words.python or said.name] = value[0] if one else value
        return found

    def told(self) -> Iterator[tuple[Said, Any]]:
        """Fields whose value says something: it is not the default, not nothing, not empty."""
        for said in self.said():
            value = getattr(self, said.name)
            if value is None or value in ([], {}, "") or value == said.info.default:
                continue
            yield said, value

    @classmethod
    def faults(
        cls, error: ValidationError, face: str, places: Mapping[str, str] | None = None
    ) -> list[Fault]:
        """What is wrong with the form of a question: one fault for each field, under the name its writer used."""
        return cls.faults_of(error.errors(include_url=False), face, places)

    @classmethod
    def faults_of(
        cls, items: Iterable[Any], face: str, places: Mapping[str, str] | None = None
    ) -> list[Fault]:
        """The same of pydantic's own rows."""
        by_name = {key: said for said in cls.said(every=True) for key in (said.name, said.key)}
        found: dict[str, tuple[Said | None, list[Any]]] = {}
        for item in items:
            field, *inner = item["loc"] or ("",)
            said = by_name.get(str(field))
            name = said.name if said else str(field)
            where = (places or {}).get(name) or (said.place(face) if said else name)
            more = _inside(said, inner, item) if said and item["type"] != "missing" else []
            where = where + "".join(f"{' ' if face == 'command line' else '.'}{part}" for part in more)
            found.setdefault(where, (said, []))[1].append(item)
        return [cls._fault(where, said, items, face) for where, (said, items) in found.items()]

    @classmethod
    def _fault(cls, where: str, said: Said | None, items: list[Any], face: str) -> Fault:
        item = items[0]
        if said is None:
            known = [one.place(face) for one in cls.said(every=True)]
            close = nearest(where, known)
            cure = " or ".join(map(repr, close)) if close else "one of " + ", ".join(known)
            what = "a field of this request" if face == "request" else f"a key of a {cls.called}"
            return Fault(where, repr(where), what, cure)
        expected = dict.fromkeys(_expected(one, said) for one in items)
        given = "nothing" if item["type"] == "missing" else repr(item["input"])[:60]
        return Fault(where, given, " or ".join(expected), said.shown(face))


def _refused(name: str, faults: list[Fault]) -> InputError:
    if len(faults) == 1:
        one = faults[0]
        return InputError(one.where, one.given, one.expected, one.try_)
    return FaultyFile(name, faults)


def _inside(said: Said, path: list[Any], item: Any) -> list[Any]:
    """Of a place inside a field what is a key or a number of the value; names of alternatives are left out."""
    kinds = ("function-", "constrained-", "list[", "dict[", "union", "literal", "lax-or-strict")
    plain = {"str", "int", "float", "bool", "is-instance", "ModelText"}
    return [
        p for p in path if isinstance(p, int) or not (p in plain or any(str(p).startswith(k) for k in kinds))
    ]


def _pairs(said: Said, texts: list[str]) -> Any:
    """``NAME=VALUE``, repeated; where one value may stand for all, also that alone."""
    where = said.place("command line")
    example = said.shown("command line") or f"{where} weight=95"
    pairs: dict[str, Any] = {}
    for text in texts:
        if len(texts) == 1 and "=" not in text and {float, str} & set(_origins(said.info.annotation)):
            return text
        name, sign, value = (part.strip() for part in text.partition("="))
        if not sign or not name or not value:
            raise InputError(where, repr(text), "a name and a value", example)
        if name in pairs:
            raise InputError(where, f"{name} twice", "each name once", f"{where} {name}={pairs[name]}")
        pairs[name] = number(value) if said.takes_numbers else value
    return pairs


def number(text: str) -> float | str:
    """A number where the text is one, else the text.

    Examples
    --------
    >>> number("95"), number("209 lb"), number("inf")
    (95.0, '209 lb', 'inf')
    """
    try:
        value = float(text)
    except ValueError:
        return text
    return value if value - value == 0 else text


def _expected(item: Any, said: Said) -> str:
    """What a fault of pydantic's expected, in plain words."""
    kind, ctx = item["type"], item.get("ctx", {})
    if kind == "missing":
        first = said.help.partition(";")[0].partition(". ")[0].rstrip(".")
        return first[:1].lower() + first[1:] or "a value"
    for start, words in _PLAIN.items():
        if kind.startswith(start):
            return words.format(**ctx)
    return str(item["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


_PLAIN = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a finite number",
    "bool": "true or false",
    "string_type": "text",
    "string_too_short": "some text",
    "string_too_long": "at most {max_length} characters",
    "list_type": "a list",
    "dict_type": "a table of names and values",
    "model": "a table",
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
}
