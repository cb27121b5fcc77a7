# SPDX-License-Identifier: MIT
"""pyvae inside other libraries, each in a file of its own that imports its library when asked for.

``pyvae[integrations]`` installs all of them; the guide's page says which extra holds which.
"""
