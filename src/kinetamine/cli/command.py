"""From a question's record to a command: options, help and one definition of what comes out where.

A command is a function of a question and of `Out`::

    @command("effects", formats=("table", "json", "csv"), gives=("out", "figure", "cite"), examples='''…''')
    def effects(asked: questions.Effects, out: Out) -> None:
        "One sentence for the help."

Its record is looked at when the command is called or its help is shown; ``kinetamine --help`` needs none.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperCommand, TyperGroup

from kinetamine.cli.output import DISCLAIMER, check_writable, emit, render, say, write_whole
from kinetamine.errors import FaultyFile, InputError, UnknownName, nearest

if TYPE_CHECKING:
    from kinetamine.questions.record import Question, Said

__all__ = ["Command", "Out", "Root", "command", "signature"]

_OUT = "What comes out"
#: what a command may offer beside its question: declaration and default
_GIVES: dict[str, tuple[Any, dict[str, Any]]] = {
    "out": (str | None, {"metavar": "PATH", "help": "Write to a file instead of the screen."}),
    "data": (
        str | None,
        {
            "metavar": "PATH.csv",
            "help": "Write each comparison, all parts in one shape, as the page shows them.",
        },
    ),
    "figure": (
        str | None,
        {"metavar": "PATH.svg", "help": "Also draw it: .svg, .png, .pdf, .html (offline) or .json."},
    ),
    "report": (str | None, {"metavar": "PATH.html", "help": "Also write a self-contained report."}),
    "cite": (bool, {"help": "List the papers behind this very run."}),
    "quiet": (bool, {"help": "No messages but errors."}),
}


@dataclass
class Out:
    """Where an answer goes and in which shape."""

    format: str = "table"
    out: str | None = None
    data: str | None = None
    figure: str | None = None
    report: str | None = None
    cite: bool = False
    quiet: bool = False

    def check(self) -> None:
        """Refuse places that cannot be written before any work is done.

        Raises
        ------
        InputError
        """
        for name in ("out", "data", "figure", "report"):
            if getattr(self, name) is not None:
                check_writable(getattr(self, name), f"--{name}")
        if self.figure is not None:
            from kinetamine.report import figures

            figures.writable(self.figure, "--figure")

    def say(self, line: str) -> None:
        """A message, unless none are wanted."""
        if not self.quiet:
            say(line)

    def give(
        self,
        table: Callable[[], Iterable[Any]],
        *,
        sources: Callable[[], Iterable[str]] | None = None,
        figure: Callable[[Any], Any] | None = None,
        write: Callable[[str, str], None] | None = None,
        notice: str = DISCLAIMER,
        **texts: Callable[[], str],
    ) -> None:
        """Draw the figure, print or write the answer, and say what it rests on.

        Parameters
        ----------
        table : callable
            Parts of what a person reads; the notice is put under them.
        sources : callable, optional
            Lines behind ``--cite``: part of a table, messages beside other formats.
        figure : callable(figures), optional
            What ``--figure`` draws, made by `kinetamine.report.figures`.
        write : callable(path, format), optional
            Writes an answer that is not a table to a file; default: its text.
        notice : str
        **texts : callable
            The answer as text in each other format.
        """
        if self.figure is not None and figure is not None:
            from kinetamine.report import figures

            figures.save(figure(figures), self.figure)
        cited = list(sources()) if self.cite and sources is not None else []
        if self.format == "table":
            under = ["", "Sources", *cited] if cited else []
            text = render(*table(), *under, *([notice] if notice else []), plain=self.out is not None)
        elif write is not None and self.out is not None:
            write(self.out, self.format)
        else:
            text = texts[self.format]()
        if self.out is None:
            emit(text)
        elif self.format == "table" or write is None:
            write_whole(self.out, text)
        if self.format != "table":
            lines = [*cited, *([notice] if notice else [])]
            if lines:
                self.say("\n".join(lines))


@dataclass
class _Entry:
    """What a command is made from."""

    name: str
    run: Callable[..., None]
    formats: tuple[str, ...]
    gives: tuple[str, ...]
    examples: str
    bare: bool
    raw: bool

    @property
    def record(self) -> type[Question]:
        """The record that the function's first argument is annotated with."""
        hints = get_type_hints(self.run)
        found: type[Question] = hints[next(iter(hints))]
        return found


#: the commands, in the order of the help
_COMMANDS: dict[str, _Entry] = {}


def command(
    name: str,
    *,
    formats: Sequence[str] = (),
    gives: Sequence[str] = (),
    examples: str,
    bare: bool = False,
    raw: bool = False,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a command of a function of a question and of `Out`.

    Parameters
    ----------
    formats : sequence of str
        Shapes of the answer; the first is the usual one.
    gives : sequence of str
        Of ``out data figure report cite quiet``.
    examples : str
        Command lines, one in each line.
    bare : bool
        It may be called without any word; otherwise that shows the help.
    raw : bool
        The function takes what was said by field, to be laid over a file, not the record.
    """

    def add(run: Callable[..., None]) -> Callable[..., None]:
        _COMMANDS[name] = _Entry(name, run, tuple(formats), tuple(gives), examples, bare, raw)
        return run

    return add


class Command(TyperCommand):
    """A command whose options are made when they are first asked for."""

    def __init__(self, entry: _Entry) -> None:
        self.entry = entry
        self._made: Any = None
        lines = [line for line in entry.examples.strip().splitlines() if line]
        epilog = "\n\n".join(["Examples:" if len(lines) > 1 else "Example:", *lines])
        help = inspect.cleandoc(entry.run.__doc__ or "")
        super().__init__(entry.name, help=help, epilog=epilog, no_args_is_help=not entry.bare)

    @property
    def params(self) -> list[Any]:
        """The options, made by typer from the record."""
        found: list[Any] = self.made.params  # the list itself: an option of help is put into it
        return found

    @params.setter
    def params(self, value: list[Any]) -> None:
        pass

    @property
    def made(self) -> Any:
        """The same command as typer makes it."""
        if self._made is None:
            alone = typer.Typer(add_completion=False)
            alone.command(self.entry.name)(_called(self.entry))
            self._made = typer.main.get_command(alone)
        return self._made

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        return ctx.invoke(self.made.callback, **ctx.params)


class Root(TyperGroup):
    """The program: the commands that were declared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = {**self.commands, **{name: Command(entry) for name, entry in _COMMANDS.items()}}


def _called(entry: _Entry) -> Callable[..., None]:
    record = entry.record

    def run(**given: Any) -> None:
        out = Out(**{key: given.pop(key) for key in entry.gives})
        if entry.formats:
            out.format = _format(given.pop("format"), out.out, entry.formats)
        asked: Any = record.read_words(given) if entry.raw else record.from_words(given)
        out.check()
        try:
            entry.run(asked, out)
        except FaultyFile:
            raise
        except InputError as error:
            faults = record.renamed(error, "command line")
            if faults == error.faults:
                raise
            one = faults[0]
            raise InputError(one.where, one.given, one.expected, one.try_) from None

    run.__signature__ = signature(record, entry.formats, entry.gives)  # type: ignore[attr-defined]
    run.__annotations__ = {}
    return run


def _format(given: str | None, out: str | None, formats: tuple[str, ...]) -> str:
    if given is not None:
        if given not in formats:
            raise UnknownName("--format", given, formats, "a format")
        if given == "parquet" and out is None:
            raise InputError("--format", "parquet", "a file to write it to", "--out result.parquet")
        return given
    suffix = Path(out or "").suffix.lower()
    if suffix[1:] in formats:
        return suffix[1:]
    if suffix in ("", ".txt"):
        return formats[0]
    known = [f".{f}" for f in formats[1:]]
    close = nearest(suffix, known)
    cure = f"{Path(out or '').stem}{close[0] if close else known[-1]}, or --format with it"
    raise InputError("--out", repr(out), f"a name ending in .txt, {' or '.join(known)}", cure)


def signature(
    record: type[Question], formats: Sequence[str] = (), gives: Sequence[str] = ()
) -> inspect.Signature:
    """The parameters that typer makes options from."""
    found = [_parameter(said) for said in record.said()]
    if formats:
        words = "How to show it" + (": default the suffix of --out, else table." if "out" in gives else ".")
        shown = typer.Option("--format", metavar="|".join(formats), help=words, rich_help_panel=_OUT)
        found.append(_keyword("format", Annotated[str | None, shown], None))
    for name in gives:
        kind, words_ = _GIVES[name]
        names = ("--quiet", "-q") if name == "quiet" else (f"--{name}",)
        option: Any = typer.Option(*names, rich_help_panel=_OUT, **words_)
        found.append(_keyword(name, Annotated[kind, option], False if kind is bool else None))
    return inspect.Signature(found)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _parameter(said: Said) -> inspect.Parameter:
    if said.words.argument:
        many = list[str] if said.shape == "many" else str
        argument: Any = typer.Argument(metavar=said.words.metavar, help=said.help)
        if said.info.is_required():
            return _keyword(said.name, Annotated[many, argument], inspect.Parameter.empty)  # type: ignore[valid-type]
        return _keyword(said.name, Annotated[many | None, argument], None)  # type: ignore[valid-type]
    kind = {"flag": bool | None, "one": str | None}.get(said.shape, list[str] | None)
    usual = said.info.default
    shown = said.shape == "one" and usual is not None and not said.info.is_required()
    option: Any = typer.Option(
        said.option, metavar=said.words.metavar or None, help=said.help, rich_help_panel=said.words.panel or None,
        show_default=f"{usual}" if shown else False,
    )  # fmt: skip
    return _keyword(said.name, Annotated[kind, option], None)  # type: ignore[valid-type]
