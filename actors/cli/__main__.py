"""`python -m actors.cli`: the same as the command `understage`."""

from actors.cli.main import main

main()
