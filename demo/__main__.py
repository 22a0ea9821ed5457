"""Lets ``python -m demo`` run the demonstration."""

from demo.cli import main

if __name__ == "__main__":
    main()
