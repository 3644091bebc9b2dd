"""``python -m ml`` is ``holdfast``."""

from ml.cli import main

if __name__ == "__main__":
    main()
