"""``python -m groundtune``."""

from groundtune.cli.main import main

if __name__ == "__main__":
    main()
