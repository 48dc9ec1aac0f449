"""Write the pins anew from the code as it is: python -m tests.pins."""

from tests.pins.surface import FOLDER, PINS

for name, lines in PINS.items():
    (FOLDER / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")
