"""One run from start to end: probes, data, plan, work, tables, report and mirror, and what is printed about it."""
