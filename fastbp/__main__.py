"""``python -m fastbp`` is the command ``fastbp``."""

from .cli import main

if __name__ == "__main__":
    main()
