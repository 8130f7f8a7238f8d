"""The audit: what in a case set would make training go wrong, and what one should know before it."""

from .page import audit_page
from .parts import own_split, read_split
from .report import CHECKS, AuditReport, Finding
from .whole import audit
from .written import check_folder, write_audit

__all__ = [
    "CHECKS",
    "AuditReport",
    "Finding",
    "audit",
    "audit_page",
    "check_folder",
    "own_split",
    "read_split",
    "write_audit",
]
