"""``python -m fastem``: the command line."""

from fastem.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
