"""Alembic's entry point; see `commerce.migrations`."""

from commerce.migrations import run_environment

run_environment()
