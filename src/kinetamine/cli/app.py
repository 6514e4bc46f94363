"""The command ``kinetamine``: thin commands over public names, one line per error.

Exit codes: 0 done, 1 a run failed, 2 what was asked cannot be done as asked, 130 stopped by the user.
"""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated, Any

import typer

from kinetamine.cli import output
from kinetamine.cli.command import Root
from kinetamine.cli.output import PipeClosed, say
from kinetamine.errors import KinetamineError
from kinetamine.version import version

# each declares its command; this is the order of the help
# isort: off
from kinetamine.cli import simulate  # noqa: F401
from kinetamine.cli import effects  # noqa: F401
from kinetamine.cli import compare  # noqa: F401
from kinetamine.cli import models  # noqa: F401
from kinetamine.cli import validate  # noqa: F401
from kinetamine.cli import infusion  # noqa: F401
from kinetamine.cli import nca  # noqa: F401
from kinetamine.cli import detect  # noqa: F401
from kinetamine.cli import posterior  # noqa: F401
from kinetamine.cli import claims  # noqa: F401
from kinetamine.cli import course  # noqa: F401
from kinetamine.cli import interactions  # noqa: F401
from kinetamine.cli import screen  # noqa: F401
from kinetamine.cli import scale  # noqa: F401
from kinetamine.cli import combine  # noqa: F401
from kinetamine.cli import misuse  # noqa: F401
from kinetamine.cli import law  # noqa: F401
from kinetamine.cli import check  # noqa: F401
from kinetamine.cli import regimens  # noqa: F401
from kinetamine.cli import serve  # noqa: F401
# isort: on

__all__ = ["app", "main", "run"]

app = typer.Typer(
    name="kinetamine",
    cls=Root,
    help="Simulate ketamine treatment with published models: a source and a grade on every number.\n\n"
    "For research and teaching only: not for treating a person, not for dosing oneself.",
    epilog='Start with: kinetamine simulate --model otto_2021_s_ketamine --dose "10 mg iv over 30 min"',
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version())
        raise typer.Exit


@app.callback()
def _root(
    version_: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def run(argv: list[str]) -> int:
    """Run one command line and give its exit code; nothing is raised."""
    output.command = shlex.join(["kinetamine", *argv])
    try:
        code = typer.main.get_command(app).main(argv, prog_name="kinetamine", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except KinetamineError as error:
        return _fail(f"error: {error}", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", 130)
    except (PipeClosed, BrokenPipeError):
        # The reader has gone (`kinetamine … | head`): say nothing, also not when Python flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemoryError:
        return _fail("error: not enough memory for this run; try --stream, fewer patients or fewer times", 1)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        usage = getattr(error, "format_message", None)
        if usage is not None:  # a misspelt option, a missing argument: typer's own words
            return _fail(f"error: {_cure(usage(), error)}", 2)
        return _internal(error)


def _fail(line: str, code: int) -> int:
    if os.environ.get("KINETAMINE_DEBUG") == "1":
        import traceback

        traceback.print_exc()
    say(" ".join(line.split()))
    return code


def _cure(message: str, error: Any) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "kinetamine"
    return f"{message.rstrip('.')}; try {command} --help"


def _internal(error: Exception) -> int:
    place, trace = "", error.__traceback__
    while trace is not None:
        name = trace.tb_frame.f_code.co_filename
        if f"{os.sep}kinetamine{os.sep}" in name:
            place = f" ({os.path.basename(name)}:{trace.tb_lineno})"
        trace = trace.tb_next
    text = f"{type(error).__name__}: {error}"[:300]
    cure = "please report it with the command; KINETAMINE_DEBUG=1 shows the traceback"
    return _fail(f"internal error: {text}{place}; {cure}", 1)


def main() -> None:
    """Entry point of the installed command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
    sys.exit(run(sys.argv[1:]))
