"""``python -m actlint``."""

from actlint.cli import main

if __name__ == "__main__":
    main()
