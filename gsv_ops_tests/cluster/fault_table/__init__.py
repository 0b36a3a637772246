"""The fault table: what is broken, and what an operator must then be told, within which time, and what may be left.

A row is declared once (`backups`, `proofs`, `restores`, `the_sandbox`) and its test judges by it, so that table and test cannot disagree.
`make test-faults` writes what was seen of every row to docs/faults.md.
"""
