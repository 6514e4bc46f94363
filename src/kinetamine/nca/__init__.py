"""Non-compartmental analysis of one's own data.

``profile`` computes the parameters of one curve, ``read`` makes curves of a table, ``result`` holds what was found of
all of them, under the names of Phoenix WinNonlin or of CDISC (``names``).
"""

from kinetamine.nca.result import NCA, nca

__all__ = ["NCA", "nca"]
