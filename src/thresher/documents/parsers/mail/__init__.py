"""Mails: what they hold, whichever program wrote them.

mail.py            a mail as a value, and its text
eml.py             RFC 5322 and MIME; headers.py parts.py transfer.py flowed.py its pieces
msg.py             Outlook's MSG; msg_properties.py compressed_rtf.py its pieces
attachments.py     the attachments of a mail, and of the mails attached to it
"""
