"""Side-by-side measurements, run by hand with `make bench`; what is claimed about speed stands in results.md."""
