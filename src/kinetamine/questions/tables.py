"""How a table of one's own is to be read: what the options of `EventTable.read` are called in every face."""

from __future__ import annotations

from typing import Any

from kinetamine.questions.record import Names, Question, Settings, Text, say

__all__ = ["TABLE", "TableOptions", "options_of"]

TABLE = "The table"


class TableOptions(Question):
    """Options of every question that reads an event table or concentrations."""

    rename: Settings = say(
        {}, "Another name of a column; DROP leaves it out; repeat for more.", "OLD=NEW", TABLE, python=None,
        example={"BWT": "weight"},
    )  # fmt: skip
    sort: bool = say(False, "Gather the rows of each ID and order them by time.", panel=TABLE, python=None)
    time_unit: Text | None = say(
        None, "Unit of the table's times.", "s|min|h|d|week", TABLE, python=None, example="min"
    )
    amount_unit: Text | None = say(
        None, "Unit of the table's amounts.", "ug|mg|g", TABLE, python=None, example="ug"
    )
    ignore: Names = say(
        [], "A character that begins lines to leave out, or a condition on rows; repeat for more.", "'#'|'DV.EQ.0'",
        TABLE, python=None, example=["DV.EQ.0"],
    )  # fmt: skip
    accept: Names = say(
        [], "Keep only rows for which a condition holds.", "'ID<10'", TABLE, python=None, example=["ID<10"]
    )
    cmt: Settings | Text | None = say(
        None, "Where doses go that the table says nothing of, or what its numbers mean.", "ENTRY|NUMBER=ENTRY", TABLE,
        python=None, example="iv",
    )  # fmt: skip
    missing: Names = say(
        [], "What stands for a missing value, such as -99.", "VALUE", TABLE, python=None, example=["-99"]
    )
    columns: Names = say(
        [], "Names of the columns of a file without a header.", "ID,TIME,AMT", TABLE, commas=True, python=None,
        example=["ID", "TIME", "AMT"],
    )  # fmt: skip
    zero_dose: bool = say(False, "Take EVID 1 with AMT 0 for a dose of nothing.", panel=TABLE, python=None)
    no_dose: bool = say(False, "A table without a dose is meant.", panel=TABLE, python=None)


def options_of(asked: TableOptions) -> dict[str, Any]:
    """The options as keywords of `EventTable.read`; what says nothing is left out.

    Examples
    --------
    >>> options_of(TableOptions(rename={"BWT": "weight"}, missing=["-99"]))
    {'rename': {'BWT': 'weight'}, 'missing': ['-99']}
    """
    names = TableOptions.model_fields
    return {said.name: value for said, value in asked.told() if said.name in names}
