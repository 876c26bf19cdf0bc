"""The report."""


def write_report(rows, out):
    return ""
