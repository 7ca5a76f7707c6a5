"""Who does the work, and when: the scheduler, the in-process executor, and Ray in the modules `ray_*`.

Both executors call the functions of grid/work and give the same bytes.
"""
