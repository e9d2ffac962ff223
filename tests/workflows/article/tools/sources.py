# ruff: noqa: F821 - Section is a type of the workflow
from rookery import tool


@tool
def check_sources(sections: list[Section]) -> list[Section]:
    """The sections that name a source."""
    return [section for section in sections if section["sources"]]
