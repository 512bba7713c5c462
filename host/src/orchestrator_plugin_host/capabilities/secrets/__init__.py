"""Secrets: values that the host puts into requests, and takes out of what comes back.

`binding` reads them from where the policy says, `bound` has them, `scrubbing` and `spellings` find
them; `frames` keeps them out of reports of errors, and `stand_ins` out of what is observed.
"""
