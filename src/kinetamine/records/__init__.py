"""How every data file is read: form (records), then sense, sources included, all faults of a step at once."""

from kinetamine.records.form import (
    ById,
    Record,
    Seen,
    Sourced,
    form_faults,
    parse_toml,
    record_of,
    rows_of,
    unknown,
)
from kinetamine.records.names import Names
from kinetamine.records.reading import (
    check_sources,
    data_folder,
    raise_all,
    read_csv,
    read_text,
    read_toml,
    source_faults,
)

__all__ = [
    "ById",
    "Names",
    "Record",
    "Seen",
    "Sourced",
    "check_sources",
    "data_folder",
    "form_faults",
    "parse_toml",
    "raise_all",
    "read_csv",
    "read_text",
    "read_toml",
    "record_of",
    "rows_of",
    "source_faults",
    "unknown",
]
