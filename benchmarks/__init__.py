"""One folder per question; `python -m benchmarks.<question>.run` answers it and writes results/."""
