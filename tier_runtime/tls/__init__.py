"""Mutual TLS between the tiers: certificates, read again when they change, and who may call."""
