"""`python -m actors.cli`: the same as the command `understudy`."""

from actors.cli.main import main

main()
