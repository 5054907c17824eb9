"""`python -m hashyard_simulator`."""

from hashyard_simulator.cli import main

if __name__ == "__main__":
    main()
