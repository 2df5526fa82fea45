"""The way of a database from nothing to what `repository_tier.tables` describes.

One DDL statement a revision, because MySQL commits each by itself; every revision is safe to run
again after it was done but not recorded.
"""
