# SPDX-License-Identifier: MIT
"""A person: face, hand, habits, and the truth of what they do."""
