"""HTTP: the host decides on each request, makes it, and bounds what comes back.

`rules` decides by manifest and policy, `targets` and `addresses` where a request goes; `exchanges`
makes one, over a `wire`; `responses` has what comes; `call` is what a plugin's call has of it all.
"""
