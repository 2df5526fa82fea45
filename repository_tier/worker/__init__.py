"""The worker: takes jobs from the broker, and hands them to the service tier, which does them.

It is a process of its own, and opens no store: all it knows besides the broker is
`arcana.service.v1.JobService`.
"""
