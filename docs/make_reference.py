"""Writes docs/cli.md from the commands themselves (``make docs``); a test fails when it is stale."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import typer

from kinetamine.cli.app import app

TARGET = Path(__file__).with_name("cli.md")
INTRO = """# Command line

Written by `make docs` from the commands themselves; do not edit.

Data go to standard output, messages to standard error. Exit codes: 0 done, 1 the run failed, 2 what was asked
cannot be done as asked, 130 stopped. An error is one line; `KINETAMINE_DEBUG=1` adds the traceback.
`kinetamine --install-completion` sets up completion for your shell.
"""


def text() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    parts = [INTRO]
    for name, command in root.commands.items():
        if not command.hidden:
            parts.append(section(name, command))
    return "\n".join(parts)


def section(name: str, command: Any) -> str:
    """One command: what it does, how it is called, its options, examples."""
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option" and p.name not in ("help",)]
    usage = " ".join(["kinetamine", name, *(a.metavar for a in arguments), "[OPTIONS]" if options else ""])
    lines = [
        f"## kinetamine {name}",
        "",
        inspect.cleandoc(command.help or ""),
        "",
        f"```\n{usage.strip()}\n```",
        "",
    ]
    for argument in arguments:
        lines.append(f"- `{argument.metavar}`: {argument.help}")
    panels: dict[str, list[Any]] = {}
    for option in options:
        panels.setdefault(getattr(option, "rich_help_panel", None) or "Options", []).append(option)
    for panel, members in panels.items():
        lines += ["", f"**{panel}**", "", "| option | |", "|---|---|"]
        for option in members:
            names = ", ".join(sorted(option.opts, key=len, reverse=True))
            value = "" if option.is_flag else f" {option.metavar}"
            repeat = " (may be repeated)" if option.multiple else ""
            words = f"{option.help}{repeat}".replace("|", "\\|")
            lines.append(f"| `{names}{value}` | {words} |".replace(value, value.replace("|", "\\|")))
    if command.epilog:
        examples = [line for line in command.epilog.splitlines() if line.startswith("kinetamine ")]
        lines += ["", "```console", *(f"$ {line}" for line in examples), "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
    print(f"wrote {TARGET}")
