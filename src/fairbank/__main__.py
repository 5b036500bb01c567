"""Run the command line: `python -m fairbank`."""

from fairbank.cli.main import main

main()
