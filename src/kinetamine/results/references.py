"""The works behind a run, as text, BibTeX, RIS or CSL-JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kinetamine.errors import UnknownName

__all__ = ["FORMS", "bibtex", "csl", "link", "listed", "ris", "text"]

#: CSL's name of a type → BibTeX's and RIS's
_TYPES = {
    "article-journal": ("article", "JOUR"),
    "book": ("book", "BOOK"),
    "chapter": ("incollection", "CHAP"),
    "thesis": ("phdthesis", "THES"),
    "report": ("techreport", "RPRT"),
    "pamphlet": ("booklet", "PAMP"),
    "webpage": ("misc", "ELEC"),
    "dataset": ("misc", "DATA"),
    "software": ("misc", "COMP"),
    "legislation": ("misc", "STAT"),
    "document": ("misc", "GEN"),
}
#: where the container, the journal or book, goes in BibTeX
_CONTAINERS = {
    "article": "journal", "incollection": "booktitle", "phdthesis": "school", "techreport": "institution",
    "book": "publisher", "booklet": "howpublished",
}  # fmt: skip
_LATEX = str.maketrans({c: "\\" + c for c in "&%$#_{}"})
#: a citation in one line, as model files of one's own have it: "Authors. Title. Journal 2021;60(4):501-516"
_JOURNAL = re.compile(
    r"^(?P<authors>.+?[^.])\. (?:(?P<title>.+)[.?] )?(?P<container>[^.;]+?) (?P<year>\d{4});"
    r"\s*(?P<volume>[^:;(]+)?(?:\((?P<issue>[^)]+)\))?(?::(?P<pages>[\w.\-–]+))?"
)


def link(source: Mapping[str, Any]) -> str:
    """Where a source can be found: its DOI as a link, else PubMed, else its address, else nothing.

    Examples
    --------
    >>> link({"doi": "10.1007/s00228-021-03104-1"})
    'https://doi.org/10.1007/s00228-021-03104-1'
    """
    doi = str(source.get("doi") or "").strip()
    doi = re.sub(r"^(https?://(dx\.)?doi\.org/|doi:\s*)", "", doi, flags=re.IGNORECASE)
    if doi.startswith("10."):
        return "https://doi.org/" + doi
    if source.get("pmid"):
        return f"https://pubmed.ncbi.nlm.nih.gov/{source['pmid']}/"
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


def _fields(source: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a work; of a citation in one line those that can be told apart."""
    if "type" in source:
        return dict(source)
    citation = str(source.get("citation") or source.get("key") or "")
    match = _JOURNAL.match(citation)
    if match is None:
        return {"type": "document", "title": citation, **source}
    found: dict[str, Any] = {k: v.strip() for k, v in match.groupdict().items() if v}
    found["authors"] = _people(found["authors"])
    return {"type": "article-journal", **found, **{k: v for k, v in source.items() if k != "citation"}}


def _people(names: str) -> list[str]:
    others = re.sub(r",?\s+et al\.?$", "", names)
    people = [n for n in re.split(r",\s*|;\s*|\s+and\s+|\s*&\s*", others) if n]
    return [*people, *(["et al."] if others != names else [])]


def _name(author: str) -> dict[str, str]:
    """CSL's name: family and initials, or the whole name of an organisation.

    Examples
    --------
    >>> _name("van Esdonk MJ"), _name("World Health Organization")
    ({'family': 'van Esdonk', 'given': 'MJ'}, {'literal': 'World Health Organization'})
    """
    family, _, initials = author.rpartition(" ")
    if (
        family
        and re.fullmatch(r"[A-Z][A-Z-]{0,4}", initials)
        and not re.search(r"\b(?:of|and|for)\b", family)
    ):
        return {"family": family, "given": initials}
    return {"family": author} if re.fullmatch(r"(?:[a-z]+ )*[A-Z][\w'’-]+", author) else {"literal": author}


def csl(source: Mapping[str, Any]) -> dict[str, Any]:
    """One work as CSL-JSON.

    Examples
    --------
    >>> csl({"key": "a", "type": "book", "title": "T", "authors": ["X Y"], "year": 2020})["issued"]
    {'date-parts': [[2020]]}
    """
    found = _fields(source)
    plain: dict[str, Any] = {"id": str(source.get("key") or "source"), "type": found["type"]}
    people = [_name(a) for a in found.get("authors", ()) if a != "et al."]
    if "et al." in found.get("authors", ()):
        people.append({"literal": "others"})
    names = {
        "title": "title", "container": "container-title", "volume": "volume", "issue": "issue", "pages": "page",
        "number": "number", "publisher": "publisher", "revision": "version", "doi": "DOI", "pmid": "PMID",
        "pmcid": "PMCID", "note": "note",
    }  # fmt: skip
    plain |= {name: str(found[key]) for key, name in names.items() if found.get(key)}
    if people:
        plain["author"] = people
    if found.get("year"):
        plain["issued"] = {"date-parts": [[int(found["year"])]]}
    if address := link(found):
        plain["URL"] = address
    return plain


def bibtex(source: Mapping[str, Any]) -> str:
    """One BibTeX entry of the right type; what is not known is left out.

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
    found = _fields(source)
    kind = _TYPES[found["type"]][0]
    fields: dict[str, str] = {}
    if people := _bibtex_people(found.get("authors", ())):
        fields["author"] = people
    fields["title"] = found.get("title") or ""
    fields[_CONTAINERS.get(kind, "howpublished")] = found.get("container") or found.get("publisher") or ""
    fields |= {key: str(found.get(key) or "") for key in ("year", "volume")}
    fields["number"] = str(found.get("issue") or found.get("number") or "")
    fields["pages"] = re.sub(r"[-–]+", "--", str(found.get("pages") or ""))
    fields["edition"] = f"revised {found['revision']}" if found.get("revision") else ""
    address = link(found)
    if address.startswith("https://doi.org/"):
        fields["doi"] = address.removeprefix("https://doi.org/")
    elif address:
        fields["url"] = address
    raw = ("author", "doi", "url")  # escaped already, or may hold an underscore as it is
    lines = [f"  {k} = {{{v if k in raw else v.translate(_LATEX)}}}" for k, v in fields.items() if v]
    key = re.sub(r"[^\w:-]", "_", str(source.get("key") or "source"))
    return f"@{kind}{{{key},\n" + ",\n".join(lines) + "\n}"


def _bibtex_people(authors: Iterable[str]) -> str:
    """In braces BibTeX leaves the name of an organisation whole."""
    people = []
    for author in authors:
        name = _name(author)
        if author == "et al.":
            people.append("others")
        elif "literal" in name:
            people.append(f"{{{author.translate(_LATEX)}}}")
        else:
            people.append(", ".join(name.values()).translate(_LATEX))
    return " and ".join(people)


def ris(source: Mapping[str, Any]) -> str:
    """One RIS record, as reference managers read it.

    Examples
    --------
    >>> print(ris({"key": "a", "type": "book", "title": "T", "authors": ["X Y"], "year": 2020}))
    TY  - BOOK
    ID  - a
    AU  - X, Y
    TI  - T
    PY  - 2020
    ER  -
    """
    found = _fields(source)
    lines = [("TY", _TYPES[found["type"]][1]), ("ID", str(source.get("key") or "source"))]
    lines += [("AU", ", ".join(_name(a).values())) for a in found.get("authors", ()) if a != "et al."]
    first, _, last = re.sub(r"[-–]+", "-", str(found.get("pages") or "")).partition("-")
    container = "JO" if found["type"] == "article-journal" else "T2"
    values = (
        ("TI", found.get("title")), (container, found.get("container")), ("PB", found.get("publisher")),
        ("PY", found.get("year")), ("VL", found.get("volume")), ("IS", found.get("issue")), ("SP", first), ("EP", last),
        ("M1", found.get("number")), ("ET", found.get("revision")), ("DO", found.get("doi")),
        ("AN", found.get("pmid")), ("UR", link(found)),
    )  # fmt: skip
    lines += [(tag, str(value)) for tag, value in values if value]
    return "\n".join(f"{tag}  - {value}" for tag, value in lines) + "\nER  -"


#: form → how one work is written
FORMS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "text": text,
    "bibtex": bibtex,
    "ris": ris,
    "csl": lambda source: json.dumps(csl(source), ensure_ascii=False, indent=1),
}


def listed(sources: Iterable[Mapping[str, Any]], form: str = "text") -> str:
    """All references in one of `FORMS`, each once.

    Raises
    ------
    UnknownName
        If there is no such form.

    Examples
    --------
    >>> listed([{"key": "a", "citation": "A"}, {"key": "a", "citation": "A"}])
    'A.'
    """
    if form not in FORMS:
        raise UnknownName("cite", form, FORMS, "a form of references")
    written = dict.fromkeys(FORMS[form](s) for s in sources)
    if form == "csl":
        return "[" + ",\n".join(written) + "]"
    return ("\n" if form == "text" else "\n\n").join(written)
