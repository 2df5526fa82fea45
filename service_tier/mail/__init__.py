"""Mails: written from templates, and sent by SMTP or into a folder."""
