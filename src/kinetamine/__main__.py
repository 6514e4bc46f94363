"""``python -m kinetamine`` is the command ``kinetamine``."""

from kinetamine.cli.app import main

if __name__ == "__main__":
    main()
