"""The rest of Twilio: accounts, numbers, applications and calls, as strict as the original.

Sources: Twilio's OpenAPI document of its API of 2010-04-01, its "Call resource" and its error
dictionary. What it refuses is refused with its code; what it would ignore in silence, such as a
misspelt parameter, is done and written down as a finding.
"""
