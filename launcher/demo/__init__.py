"""Demo data as pure functions of a number: the same ids and contents every time, on every machine.

Whoever writes a tutorial or a benchmark may rely on them: the seventh product is the same one in a
shop of ten and of 100,000.
"""
