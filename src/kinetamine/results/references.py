"""The papers behind a run, as text or BibTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["bibtex", "link", "listed", "text"]

# "Authors. Journal 2021;60(4):501-516", the form used in sources.toml; a title may stand between
_JOURNAL = re.compile(
    r"^(?P<authors>.+?[^.])\. (?:(?P<title>.+)[.?] )?(?P<journal>[^.;]+?) (?P<year>\d{4});"
    r"\s*(?P<volume>[^:;(]+)?(?:\((?P<number>[^)]+)\))?(?::(?P<pages>[\w.\-–]+))?"
)
_LATEX = str.maketrans({c: "\\" + c for c in "&%$#_{}"})


def link(source: Mapping[str, Any]) -> str:
    """Where a source can be found: its DOI as a link, else its address, else nothing.

    Examples
    --------
    >>> link({"doi": "10.1007/s00228-021-03104-1"})
    'https://doi.org/10.1007/s00228-021-03104-1'
    """
    doi = str(source.get("doi") or "").strip()
    doi = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", doi, flags=re.IGNORECASE)
    if doi.startswith("10."):
        return "https://doi.org/" + doi
    address = str(source.get("url") or doi).strip()
    return address if re.match(r"https?://", address) else ""


def text(source: Mapping[str, Any]) -> str:
    """One reference in a line; says so when its numbers are recalled and not read.

    Examples
    --------
    >>> text({"key": "x_2020", "citation": "X Y. J 2020;1:2-3", "doi": "10.1/x", "seen": "recalled"})
    'X Y. J 2020;1:2-3. https://doi.org/10.1/x [numbers recalled, not read in the source]'
    """
    line = str(source.get("citation") or source.get("key") or "").strip().rstrip(".")
    address = link(source)
    line += "." if line else ""
    if address and address not in line:
        line += f" {address}"
    if source.get("seen") == "recalled":
        line += " [numbers recalled, not read in the source]"
    return line.strip()


def bibtex(source: Mapping[str, Any]) -> str:
    """One BibTeX entry; what the citation does not say is left out.

    Examples
    --------
    >>> paper = "Otto ME, Bergmann KR. J Pharm 2021;77(8):1181-1192"
    >>> print(bibtex({"key": "otto_2021", "citation": paper, "doi": "10.1/x"}))
    @article{otto_2021,
      author = {Otto, ME and Bergmann, KR},
      journal = {J Pharm},
      year = {2021},
      volume = {77},
      number = {8},
      pages = {1181--1192},
      doi = {10.1/x}
    }
    """
    citation = str(source.get("citation") or "")
    match = _JOURNAL.match(citation)
    fields: dict[str, str] = {}
    kind = "misc"
    if match:
        kind = "article"
        found = {k: v.strip() for k, v in match.groupdict().items() if v}
        fields["author"] = _authors(found.pop("authors").translate(_LATEX))
        fields |= found
        if "pages" in fields:
            fields["pages"] = re.sub(r"[-–]+", "--", fields["pages"])
    else:
        fields["howpublished"] = citation
    for key in ("title", "journal", "year"):
        if source.get(key):
            fields[key] = str(source[key])
    address = link(source)
    if address.startswith("https://doi.org/"):
        fields["doi"] = address.removeprefix("https://doi.org/")
    elif address:
        fields["url"] = address
    raw = ("author", "doi", "url")  # escaped already, or may hold an underscore as it is
    lines = [f"  {k} = {{{v if k in raw else v.translate(_LATEX)}}}" for k, v in fields.items() if v]
    key = re.sub(r"[^\w:-]", "_", str(source.get("key") or "source"))
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _authors(names: str) -> str:
    """ "Otto ME, Bergmann KR" → "Otto, ME and Bergmann, KR"."""
    people = []
    for name in re.split(r",\s*|;\s*|\s+and\s+|\s*\\&\s*", names):
        if re.fullmatch(r"et al\.?", name):
            people.append("others")
            continue
        name = re.sub(r"\s+et al\.?$", "", name.strip())
        family, _, initials = name.rpartition(" ")
        # a group has no initials: in braces BibTeX leaves it whole
        group = f"{{{name}}}" if family else name
        people.append(f"{family}, {initials}" if family and initials.isupper() else group)
        if names.endswith(("et al", "et al.")) and name in names.rsplit(",", 1)[-1]:
            people.append("others")
    return " and ".join(p for p in people if p)


def listed(sources: Iterable[Mapping[str, Any]], as_bibtex: bool = False) -> str:
    """All references, one per line, or as BibTeX; each once.

    Examples
    --------
    >>> listed([{"key": "a", "citation": "A"}, {"key": "a", "citation": "A"}])
    'A.'
    """
    write = bibtex if as_bibtex else text
    return ("\n\n" if as_bibtex else "\n").join(dict.fromkeys(write(s) for s in sources))
