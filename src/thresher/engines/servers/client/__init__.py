"""The client that all adapters share: one server's address and key, one attempt per call, typed faults.

``address`` what the user wrote, ``transport`` HTTP, ``refusal`` what a status means, ``retry`` when to come again,
``patience`` for how long, ``limit`` how many at once, ``loop`` the thread in which all of it runs.
"""
