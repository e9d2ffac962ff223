# ruff: noqa: F821 - Invoice is a type of the workflow
"""Rows of the workflow as a table."""

import csv
import io


def as_csv(rows: list[Invoice]) -> str:
    """A table with a head, a line for each row, and the sum below."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", "customer", "total_eur", "due"])
    for row in sorted(rows, key=lambda each: each["due"]):
        writer.writerow([row["number"], row["customer"], f"{row['total_eur']:.2f}", row["due"]])
    writer.writerow(["", "sum", f"{sum(row['total_eur'] for row in rows):.2f}", ""])
    return out.getvalue()
