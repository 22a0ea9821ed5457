"""`python -m devstack.clickhouse`: the server on its own."""

from devstack.clickhouse.cli import main

if __name__ == "__main__":
    main()
