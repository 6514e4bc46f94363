"""The server: one JSON route per command, and the files of the page.

``app`` puts it together, ``door`` is what every request passes first (host, size, headers), ``queue`` gives each
computation a place and a time limit, ``limits`` says how much one request may ask for, ``requests`` what it may
say, ``given`` turns that into arguments of public names, ``routes`` answer, ``reproduce`` says the same in other
words, ``errors`` gives refusals their one shape, ``files`` serves the page, ``server`` starts and stops.
"""
