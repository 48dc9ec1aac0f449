"""What users rely on, written down: `tests/test_pins.py` compares the code with the text files of this folder."""
